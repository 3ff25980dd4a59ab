package client

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client/clienttest"
)

const absent = "127.0.0.1:1"

// This binary is also the host that is measured or killed: its order comes by
// environment, the library, endpoint and folder as arguments.
const orderVariable = "SLICEMETRY_BENCH_ORDER"

func TestMain(m *testing.M) {
	if order := os.Getenv(orderVariable); order != "" {
		host(order, os.Args[1], os.Args[2], os.Args[3])
		return
	}
	os.Exit(m.Run())
}

// host does what it is ordered to and says in one line what came of it.
func host(order, name, endpoint, dir string) {
	i := slices.IndexFunc(sdks, func(l library) bool { return l.name == name })
	opened := sdks[i].open(endpoint, dir)
	switch order {
	case "burst":
		fmt.Println(burst(opened))
	case "die":
		for i := range 1000 {
			opened.record(i)
		}
		fmt.Println("recorded")
		time.Sleep(time.Hour) // until it is killed
	case "send":
		opened.send()
		time.Sleep(6 * time.Second) // what a library sends by itself
		opened.end()
		fmt.Println("ended")
	case "close":
		for i := range 10_000 {
			opened.record(i)
		}
		at := time.Now()
		opened.end()
		fmt.Println(time.Since(at).Milliseconds())
	}
}

// burst is the median of what 1000 calls take, fifty at a time with a pause
// after, in nanoseconds, and the allocations a call makes on one processor.
func burst(opened sdk) string {
	runtime.GOMAXPROCS(1)
	var took []int64
	var allocations uint64
	for n := 0; n < 1000; n += 50 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range 50 {
			at := time.Now()
			opened.record(n + i)
			took = append(took, time.Since(at).Nanoseconds())
		}
		runtime.ReadMemStats(&after)
		allocations += after.Mallocs - before.Mallocs
		time.Sleep(20 * time.Millisecond)
	}
	slices.Sort(took)
	return fmt.Sprintf("%d %d", took[len(took)/2], allocations/1000)
}

// start starts a host.
func start(t *testing.T, order, name, endpoint, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], name, endpoint, dir)
	cmd.Env = append(os.Environ(), orderVariable+"="+order)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return cmd, lines
}

// said starts a host, waits for its end and returns its line; a host that takes
// longer than limit is ended, and says "".
func said(t *testing.T, limit time.Duration, order, name, endpoint, dir string) string {
	t.Helper()
	cmd, lines := start(t, order, name, endpoint, dir)
	late := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer late.Stop()
	line := ""
	if lines.Scan() {
		line = lines.Text()
	}
	_ = cmd.Wait() // killed or not, its line says it
	return line
}

// TestCompareCaller prints what a call costs the slicer's own thread.
func TestCompareCaller(t *testing.T) {
	fmt.Println("| library | a call, p50 | times ours | allocations |\n| --- | --- | --- | --- |")
	ours := 0
	for _, s := range sdks {
		line := said(t, time.Minute, "burst", s.name, serverFor(t, s.name).address(), t.TempDir())
		var nanoseconds, allocations int
		if _, err := fmt.Sscan(line, &nanoseconds, &allocations); err != nil {
			t.Fatalf("%s says %q", s.name, line)
		}
		if ours == 0 {
			ours = nanoseconds
		}
		fmt.Printf("| %s | %d ns | %.1f | %d |\n", s.name, nanoseconds, float64(nanoseconds)/float64(ours), allocations)
	}
}

// TestCompareKill kills hosts 50 ms after their thousandth event while the
// server is away, brings the server back, starts the hosts again and counts.
func TestCompareKill(t *testing.T) {
	fmt.Println("| library | of 1000 events, after kill -9 | repeated |\n| --- | --- | --- |")
	for _, s := range sdks {
		dir := t.TempDir()
		cmd, lines := start(t, "die", s.name, absent, dir)
		if !lines.Scan() {
			t.Fatalf("%s does not record", s.name)
		}
		time.Sleep(50 * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		server := serverFor(t, s.name)
		if line := said(t, 2*time.Minute, "send", s.name, server.address(), dir); line != "ended" {
			t.Fatalf("%s says %q", s.name, line)
		}
		distinct, repeated := server.counts()
		fmt.Printf("| %s | %d | %d |\n", s.name, distinct, repeated)
		if s.name == "slicemetry" && (distinct != 1000 || repeated != 0) {
			t.Error("ours loses or repeats")
		}
	}
}

// TestCompareClose prints how long a host waits at its end, with ten thousand
// events recorded, when nobody listens and when nobody answers.
func TestCompareClose(t *testing.T) {
	const limit = 90 * time.Second
	blackHole := clienttest.BlackHole(t)
	fmt.Println("| library | Close, nobody listens | Close, nobody answers |\n| --- | --- | --- |")
	for _, s := range sdks {
		took := make([]string, 2)
		for i, endpoint := range []string{absent, blackHole} {
			took[i] = "over " + limit.String()
			if ms, err := strconv.Atoi(said(t, limit, "close", s.name, endpoint, t.TempDir())); err == nil {
				took[i] = strconv.Itoa(ms) + " ms"
			}
		}
		fmt.Printf("| %s | %s | %s |\n", s.name, took[0], took[1])
	}
}
