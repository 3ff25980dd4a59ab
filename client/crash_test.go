package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// This binary is also the process that records and is killed. Its orders come by
// environment: what to do, the folder, the endpoint, the first event and how many.
const orderVariable = "SLICEMETRY_TEST_ORDER"

func TestMain(m *testing.M) {
	if order := os.Getenv(orderVariable); order != "" {
		os.Exit(child(order))
	}
	os.Exit(m.Run())
}

func child(order string) int {
	if f := traced[order]; f != nil {
		f(config(os.Args[1], os.Args[2]))
		return 0
	}
	if order == "withdraw" {
		return withdraw(os.Args[1], os.Args[2])
	}
	first, _ := strconv.Atoi(os.Args[3])
	n, _ := strconv.Atoi(os.Args[4])
	cfg := config(os.Args[1], os.Args[2])
	cfg.Plaintext = order != "send"
	c, err := client.Open(cfg)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for i := range n {
		c.Record(numbered(first + i))
		if order == "upload" && i%50 == 49 {
			_ = c.Flush(context.Background()) // busy or not, what counts is what arrives
		}
	}
	if order == "send" {
		if err := c.Flush(context.Background()); err != nil {
			return 1
		}
	}
	if order == "flush" {
		if err := c.Flush(context.Background()); err != nil {
			fmt.Println("not sent:", err)
		}
	}
	fmt.Println("recorded")
	if order == "die" {
		time.Sleep(time.Hour) // until it is killed
	}
	if err := c.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// withdraw is what a child does on a disk that takes nothing: its user withdraws,
// and its host goes on recording.
func withdraw(dir, endpoint string) int {
	c, err := client.Open(config(dir, endpoint))
	if err != nil {
		return 1
	}
	before := c.Consent().State
	err = c.Refuse()
	c.Record(numbered(0))
	fmt.Println(before, "to", c.Consent().State, "sends:", c.Flush(context.Background()), "error:", err != nil)
	_ = c.Close()
	return 0
}

// The parts of a child that are traced lie between two failing chdir calls to
// these paths.
const (
	traceBegin = "/slicemetry-trace-begin"
	traceEnd   = "/slicemetry-trace-end"
)

// traced are what a child does, in part between the marks.
var traced = map[string]func(cfg client.Config){
	"trace-nobody-agreed": func(cfg client.Config) { traceLife(cfg, true) },
	"trace-environment": func(cfg client.Config) {
		cfg.Getenv = func(name string) string { return map[string]string{"DO_NOT_TRACK": "1"}[name] }
		traceLife(cfg, false)
	},
	"trace-system-file": func(cfg client.Config) {
		cfg.SystemFile = filepath.Join(cfg.Dir, "policy.json")
		traceLife(cfg, false)
	},
	"trace-less":   func(cfg client.Config) { traceCall(cfg, func(c *client.Client) { _ = c.Grant(1, "machine") }) },
	"trace-refuse": func(cfg client.Config) { traceCall(cfg, func(c *client.Client) { _ = c.Refuse() }) },
}

// traceCall traces one call of a client that is open.
func traceCall(cfg client.Config, f func(c *client.Client)) {
	c, err := client.Open(cfg)
	if err != nil {
		os.Exit(1)
	}
	_ = os.Chdir(traceBegin) // it fails: it is a mark for who traces
	f(c)
	_ = os.Chdir(traceEnd)
}

// traceLife traces all that a host may call, from Open to Close. To erase is the
// user's act: where something of theirs is held it connects, whoever forbids to
// record.
func traceLife(cfg client.Config, erase bool) {
	_ = os.Chdir(traceBegin)
	c, err := client.Open(cfg)
	if err != nil {
		os.Exit(1)
	}
	for i := range 100 {
		c.Record(numbered(i))
		c.Count(&telemetryv1.UsageCounters{SlicesStarted: 1})
	}
	_ = c.Flush(context.Background())
	_ = c.UploadIfDue(context.Background())
	_, _ = c.Preview()
	_, _ = c.Sent()
	_ = c.Export(io.Discard, client.JSONLines)
	c.Status()
	if erase {
		_, _ = c.Erase(context.Background())
	}
	time.Sleep(20 * time.Millisecond) // for what goes on in the background
	_ = c.Close()
	_ = os.Chdir(traceEnd)
}

func start(t *testing.T, order, dir, endpoint string, first, n int) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir, endpoint, strconv.Itoa(first), strconv.Itoa(n))
	cmd.Env = append(os.Environ(), orderVariable+"="+order)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

// An event whose Record returned 50 ms before a kill -9 is delivered, once.
func TestKilledHostLosesNothing(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	granted(t, config(dir, r.Addr()))
	const n = 990
	cmd, out := start(t, "die", dir, "127.0.0.1:1", 0, n)
	if line, err := out.ReadString('\n'); err != nil || line != "recorded\n" {
		t.Fatalf("the host says %q, %v", line, err)
	}
	time.Sleep(50 * time.Millisecond) // the guarantee's own number
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed: always an error
	if err := granted(t, config(dir, r.Addr())).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, n)
}

// Four processes record into one spool and two of them send from it.
func TestSeveralProcessesShareASpool(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	last := granted(t, config(dir, r.Addr()))
	var hosts []*exec.Cmd
	for i, order := range []string{"upload", "record", "upload", "record"} {
		cmd, _ := start(t, order, dir, r.Addr(), 300*i, 300)
		hosts = append(hosts, cmd)
	}
	for _, cmd := range hosts {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if err := last.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1200)
}

// A disk that is full costs the event that did not fit, and nothing else.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	granted(t, config(dir, r.Addr()))
	// In a process of its own: the limit holds for all files that it writes.
	cmd := exec.Command("sh", "-c", "ulimit -f 8; exec \"$0\" \"$@\"", os.Args[0], dir, "127.0.0.1:1", "0", "900")
	cmd.Env = append(os.Environ(), orderVariable+"=full")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "recorded\n" {
		t.Fatalf("the host says %q, %v", out, err)
	}
	if err := granted(t, config(dir, r.Addr())).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]int{}
	for _, s := range r.Slices() {
		seen[100*s.VersionMajor+s.VersionMinor]++
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("event %d arrived %d times", i, n)
		}
	}
	if len(seen) < 700 {
		t.Errorf("%d of 900 events arrived; each full segment may cost one", len(seen))
	}
}

// Two clients of one process: the second hears that the first is sending.
func TestLeaseIsExclusive(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	a, b := granted(t, config(dir, r.Addr())), granted(t, config(dir, r.Addr()))
	a.Record(numbered(0))
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan error)
	go func() { flushed <- a.Flush(ctx) }()
	for len(r.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := b.Flush(t.Context()); !errors.Is(err, client.ErrBusy) {
		t.Errorf("Flush() = %v, want ErrBusy", err)
	}
	cancel()
	<-flushed
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// prepare makes a folder with all that can be in one: 400 events that wait, a batch
// that was sent and one that was refused, a token, what the collector said, a
// schedule and a count of what was dropped.
func prepare(t *testing.T, dir string) {
	t.Helper()
	r := clienttest.Start(t)
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1, Next: &collectorv1.PolicyNotice{Version: 2, Effective: 100_000}})
	r.Script(clienttest.Answer{}, clienttest.Answer{Code: codes.InvalidArgument}, clienttest.Answer{Code: codes.Unavailable})
	c := granted(t, config(dir, r.Addr()))
	for range 3 {
		c.Record(numbered(0))
		_ = c.Flush(t.Context()) // the third one fails
	}
	for i := range 399 {
		c.Record(numbered(i))
	}
	c.Record(nil)
	if _, err := c.Preview(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	content := tree(t, dir)
	for _, name := range []string{"collector.json", "schedule.json", ".token", ".draw", ".count", ".sent", ".bad", ".batch", "lost.json"} {
		if !strings.Contains(content, name+" ") {
			t.Fatalf("there is no %s in %s", name, content)
		}
	}
}

// assertOnlyARefusal checks that nothing is left but the decision, which holds
// nothing else, and locks that are empty.
func assertOnlyARefusal(t *testing.T, dir, day string) {
	t.Helper()
	want := fmt.Sprintf("%s %q\n", filepath.Join(dir, "consent.json"), fmt.Sprintf(`{"format":1,"state":"refused","date":"%s"}`, day))
	got := ""
	for line := range strings.Lines(tree(t, dir)) {
		if !strings.HasSuffix(line, ".lock \"\"\n") {
			got += line
		}
	}
	if got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
}
