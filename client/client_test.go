package client_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// nothing is an environment without opt-outs: the tests run under CI too.
func nothing(string) string { return "" }

func config(dir, endpoint string) client.Config {
	return client.Config{Dir: dir, Endpoint: endpoint, Plaintext: true, Getenv: nothing, SystemFile: filepath.Join(dir, "no-such-file")}
}

// clocked is config on a clock of its own, in the middle of a week.
func clocked(dir, endpoint string) (client.Config, *clienttest.Clock) {
	clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
	cfg := config(dir, endpoint)
	cfg.Now = clock.Now
	return cfg, clock
}

func open(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func granted(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c := open(t, cfg)
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered is an event that can be told from others.
func numbered(i int) *telemetryv1.Slice {
	return &telemetryv1.Slice{Machine: "ultimaker_s5", VersionMajor: uint32(i / 100), VersionMinor: uint32(i % 100)}
}

// assertOnce checks that each of n numbered events was taken exactly once.
func assertOnce(t *testing.T, r *clienttest.Recorder, n int) {
	t.Helper()
	seen := map[uint32]int{}
	for _, s := range r.Slices() {
		seen[100*s.VersionMajor+s.VersionMinor]++
	}
	for i := range n {
		if seen[uint32(i)] != 1 {
			t.Errorf("event %d was delivered %d times, want once", i, seen[uint32(i)])
		}
	}
	if len(seen) != n {
		t.Errorf("%d different events, want %d", len(seen), n)
	}
}

func TestRecordedIsDelivered(t *testing.T) {
	r := clienttest.Start(t)
	c := granted(t, config(t.TempDir(), r.Addr()))
	for i := range 450 { // three batches
		c.Record(numbered(i))
	}
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: 2, SlicesFinished: 1})
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: 3, SlicesFailed: 1})
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 450)
	started := uint32(0)
	tokens := map[string]bool{}
	for _, q := range r.Requests() {
		started += q.Batch.GetCounters().GetSlicesStarted()
		tokens[string(q.Batch.UnitToken)] = true
		if q.Batch.Period != uint32(period.Of(time.Now())) || q.Batch.PolicyVersion != 1 {
			t.Errorf("period %d, policy %d", q.Batch.Period, q.Batch.PolicyVersion)
		}
	}
	if started != 5 || len(tokens) != 1 {
		t.Errorf("%d runs started, %d tokens, want 5 and 1", started, len(tokens))
	}
	if s := c.Status(); s.Sent != 450 || s.SpoolBatches != 0 || s.Dropped != (client.Dropped{}) {
		t.Errorf("status %+v", s)
	}
}

// What is not on the lists does not reach the disk, let alone the network.
func TestCoarseOnDisk(t *testing.T) {
	const marker = "alice's printer"
	dir := t.TempDir()
	r := clienttest.Start(t)
	c := granted(t, config(dir, r.Addr()))
	c.Record(&telemetryv1.Slice{Machine: marker, Application: marker, PrintTimeS: 7777,
		Extruders: []*telemetryv1.Extruder{{MaterialType: marker, MaterialBrand: marker}}})
	if _, err := c.Preview(); err != nil { // writes the queue to disk
		t.Fatal(err)
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(data, []byte(marker)) {
			t.Errorf("%s holds the marker", path)
		}
		return nil
	})
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Slices() {
		again := &telemetryv1.Slice{}
		rules.Coarsen(again, s, 0, nil)
		if !proto.Equal(s, again) || s.Machine != "custom" || s.PrintTimeS == 7777 {
			t.Errorf("%v was sent", s)
		}
	}
}

// Each week has a number of its own.
func TestPeriodsDoNotShareTokens(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	for range 3 {
		c.Record(numbered(1))
		if _, err := c.Preview(); err != nil { // the writer reads the clock's week from the event
			t.Fatal(err)
		}
		clock.Add(7 * 24 * time.Hour)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]uint32{}
	for _, q := range r.Requests() {
		tokens[string(q.Batch.UnitToken)] = q.Batch.Period
	}
	if len(tokens) != 3 {
		t.Errorf("%d tokens for 3 weeks", len(tokens))
	}
}

// What Preview shows is what goes out.
func TestPreviewIsTheWire(t *testing.T) {
	r := clienttest.Start(t)
	c := granted(t, config(t.TempDir(), r.Addr()))
	for i := range 333 {
		c.Record(numbered(i))
	}
	c.Count(&telemetryv1.UsageCounters{SlicesCancelled: 4})
	preview, err := c.Preview()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	if len(preview) != len(requests) || len(preview) != 2 {
		t.Fatalf("previewed %d requests, sent %d, want 2", len(preview), len(requests))
	}
	for i := range preview {
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(requests[i])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(wire, preview[i].Octets) || !proto.Equal(requests[i], preview[i].Message) {
			t.Errorf("request %d differs from its preview", i)
		}
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		answer      clienttest.Answer
		kept        bool
		quarantined int
	}{
		{clienttest.Answer{Code: codes.Unavailable}, true, 0},
		{clienttest.Answer{Code: codes.ResourceExhausted, RetryAfter: time.Hour}, true, 0},
		{clienttest.Answer{Code: codes.Internal}, true, 0},
		{clienttest.Answer{Code: codes.Unimplemented}, true, 0},
		{clienttest.Answer{Code: codes.PermissionDenied}, true, 0},
		{clienttest.Answer{Lose: true}, true, 0},
		{clienttest.Answer{Reset: true}, true, 0},
		{clienttest.Answer{Code: codes.ResourceExhausted, RetryAfter: time.Second}, true, 0},
		{clienttest.Answer{Code: codes.ResourceExhausted, RetryAfter: 6 * 24 * time.Hour}, true, 0},
		{clienttest.Answer{Code: codes.Unavailable, RetryAfter: 7 * 24 * time.Hour}, true, 0},
		{clienttest.Answer{Code: codes.Unavailable, RetryAfter: 70 * 24 * time.Hour}, true, 0},
		{clienttest.Answer{Code: codes.InvalidArgument}, false, 1},
		{clienttest.Answer{Code: codes.FailedPrecondition}, false, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.answer), func(t *testing.T) {
			r := clienttest.Start(t)
			r.Script(tt.answer)
			clock := clienttest.NewClock(time.Now())
			cfg := config(t.TempDir(), r.Addr())
			cfg.Now = clock.Now
			c := granted(t, cfg)
			c.Record(numbered(0))
			err := c.Flush(t.Context())
			var retry *client.RetryError
			if errors.As(err, &retry) != tt.kept || !tt.kept && err != nil {
				t.Errorf("Flush() = %v, want kept %t", err, tt.kept)
			}
			if s := c.Status(); (s.SpoolBatches == 1) != tt.kept || s.Quarantined != tt.quarantined || s.Dropped.Refused != tt.quarantined {
				t.Errorf("status %+v", s)
			}
			if !tt.kept {
				return
			}
			wait := min(tt.answer.RetryAfter, 7*24*time.Hour) // whoever asks for more
			if tt.answer.Code == codes.Unimplemented {
				wait = 7 * 24 * time.Hour // or an update
			}
			if wait > 0 { // honoured in full, even by Flush, after a restart, and where the clock is set right
				clock.Add(-time.Minute)
				if err := open(t, cfg).Flush(t.Context()); !errors.As(err, &retry) || len(r.Requests()) != 1 {
					t.Errorf("at once: %v after %d requests", err, len(r.Requests()))
				}
				clock.Add(time.Minute + wait - time.Second)
				c = open(t, cfg)
				if err := c.Flush(t.Context()); !errors.As(err, &retry) || len(r.Requests()) != 1 {
					t.Errorf("a second early: %v after %d requests", err, len(r.Requests()))
				}
				clock.Add(time.Second)
			}
			// A client that was just starting when the clock jumped may send as well.
			err = c.Flush(t.Context())
			for ; errors.Is(err, client.ErrBusy); err = c.Flush(t.Context()) {
				time.Sleep(time.Millisecond)
			}
			if err != nil {
				t.Fatal(err)
			}
			assertOnce(t, r, 1)
		})
	}
}

// Whatever the network does, Close waits for no answer, leaves no goroutine and
// loses nothing of ten thousand queued events, in any of three runs. How long it
// takes is what storing the events takes: bench/host holds it to 50 ms. The bar
// here is the median, and far enough below any answer for a machine that does
// much else.
func TestCloseIsPrompt(t *testing.T) {
	const n, bound, tries = 10_000, 250 * time.Millisecond, 3
	for _, tt := range []struct {
		name   string
		answer clienttest.Answer
		fixed  string // instead of a collector that answers
	}{
		{"hanging", clienttest.Answer{Hang: true}, ""},
		{"slow", clienttest.Answer{Delay: 3 * time.Second}, ""},
		{"resetting", clienttest.Answer{Delay: 5 * time.Millisecond, Reset: true}, ""},
		{"answering", clienttest.Answer{}, ""},
		{"silent", clienttest.Answer{}, clienttest.BlackHole(t)},
		{"half closed", clienttest.Answer{}, clienttest.HalfClosed(t)},
		{"absent", clienttest.Answer{}, "127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var took []time.Duration
			for range tries {
				r := clienttest.Start(t)
				r.Script(tt.answer)
				cfg := config(t.TempDir(), cmp.Or(tt.fixed, r.Addr()))
				took = append(took, closeFull(t, cfg, n))
				cfg.Endpoint = r.Addr()
				r.Script()
				if err := os.Remove(filepath.Join(cfg.Dir, "schedule.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				next := granted(t, cfg)
				if err := errors.Join(next.Flush(t.Context()), next.Close()); err != nil {
					t.Fatal(err)
				}
				assertOnce(t, r, n)
			}
			slices.Sort(took)
			t.Logf("Close took %s", took)
			if median := took[len(took)/2]; median > bound {
				t.Errorf("Close took %s, want at most %s", median, bound)
			}
		})
	}
}

// closeFull returns how long Close takes while an upload is under way and n
// events are queued.
func closeFull(t *testing.T, cfg client.Config, n int) time.Duration {
	t.Helper()
	c := granted(t, cfg)
	c.Record(numbered(0))
	flushed := make(chan error)
	go func() { flushed <- c.Flush(t.Context()) }()
	for i := range n - 1 {
		c.Record(numbered(i + 1))
	}
	start := time.Now()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	<-flushed
	for tries := 0; strings.Contains(stacks(), "slicemetry/client."); tries++ {
		if tries > 500 {
			t.Fatalf("left over:\n%s", stacks())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return took
}

func stacks() string {
	all := make([]byte, 1<<20)
	return string(all[:runtime.Stack(all, true)])
}

// A host may call anything at any time: on a nil client, with nil events, after
// Close.
func TestHostsMistakesAreHarmless(t *testing.T) {
	var none *client.Client
	none.Record(numbered(0))
	none.Count(&telemetryv1.UsageCounters{})
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	c := granted(t, config(t.TempDir(), "127.0.0.1:1"))
	c.Record(nil)
	c.Count(nil)
	c.Record(&telemetryv1.Slice{Extruders: []*telemetryv1.Extruder{nil}})
	if s := c.Status(); s.Dropped.Nil != 2 || s.Dropped.Defect != 0 {
		t.Errorf("status %+v", s)
	}
	c.Close()
	c.Record(numbered(0))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// The disk refuses: the host hears nothing, the status does, and it works again.
func TestUnwritableFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		testFolderIsAFile(t) // root may write anywhere, but not below a file
		return
	}
	dir := t.TempDir()
	r := clienttest.Start(t)
	c := granted(t, config(dir, r.Addr()))
	dir = filepath.Join(dir, "spool")
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(0))
	if _, err := c.Preview(); err == nil {
		t.Error("Preview() of an unwritable folder works")
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	assertRecovers(t, c, r)
}

func testFolderIsAFile(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	obstacle := filepath.Join(dir, "spool")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := granted(t, config(dir, r.Addr()))
	c.Record(numbered(0))
	if _, err := c.Preview(); err == nil {
		t.Error("Preview() of an unwritable folder works")
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	assertRecovers(t, c, r)
}

func assertRecovers(t *testing.T, c *client.Client, r *clienttest.Recorder) {
	t.Helper()
	if s := c.Status(); s.Dropped.Disk != 1 {
		t.Errorf("%d events dropped for the disk, want 1", s.Dropped.Disk)
	}
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// However often a short-lived program asks, there is one connection in a day.
func TestUploadIfDue(t *testing.T) {
	r := clienttest.Start(t)
	clock := clienttest.NewClock(time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC))
	cfg := config(t.TempDir(), r.Addr())
	cfg.Now = clock.Now
	if err := open(t, cfg).UploadIfDue(t.Context()); !errors.Is(err, client.ErrNoConsent) {
		t.Errorf("UploadIfDue() = %v without consent", err)
	}
	granted(t, cfg)
	const days = 10
	for hour := range days * 24 {
		c := open(t, cfg)
		c.Record(numbered(hour))
		if err := c.UploadIfDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hour == 0 && r.Accepted() > 0 {
			t.Error("it sends at once")
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		clock.Add(time.Hour)
	}
	if n := r.Accepted(); n < days*24/37 || n > days {
		t.Errorf("%d connections in %d days", n, days)
	}
}

// A host whose client did not open goes on with a nil one.
func TestNilClient(t *testing.T) {
	var c *client.Client
	c.Record(numbered(0))
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: 1})
	_, preview := c.Preview()
	_, sent := c.Sent()
	_, erased := c.Erase(t.Context())
	_, policy := c.Policy(t.Context())
	for i, err := range []error{c.Grant(1), c.Refuse(), c.Flush(t.Context()), c.UploadIfDue(t.Context()), c.Export(io.Discard, client.CSV), preview, sent, erased, policy} {
		if !errors.Is(err, client.ErrNoClient) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if s := c.Status(); c.Consent().State != client.Unknown || s.Consent.State != client.Unknown {
		t.Errorf("status %+v", s)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
