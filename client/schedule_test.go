package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// parts is into how many intervals spread sorts draws. A sum of 19 squares exceeds
// chiSquare once in 100,000 (NIST/SEMATECH e-Handbook, 1.3.6.7.4): so often does
// each use of it fail.
const (
	parts     = 20
	chiSquare = 56.1
)

// spread checks that draws fill [0, whole) evenly: Pearson's test.
func spread(t *testing.T, what string, draws []time.Duration, whole time.Duration) {
	t.Helper()
	var counts [parts]int
	for _, d := range draws {
		if d < 0 || d >= whole {
			t.Fatalf("%s: %s is not within %s", what, d, whole)
		}
		counts[int(d*parts/whole)]++
	}
	sum, want := 0.0, float64(len(draws))/parts
	for _, n := range counts {
		sum += (float64(n) - want) * (float64(n) - want) / want
	}
	if sum > chiSquare {
		t.Errorf("%s: %v, chi-square %.1f", what, counts, sum)
	}
}

// volatile is a folder in memory, where the system has such, for who writes a
// thousand times and whom nobody kills.
func volatile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "slicemetry-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Installations spread evenly over the day: when they first send, when they send
// again, and when they come back after a collector was not there for them all. An
// installation that has no schedule yet is a new one.
func TestFleetSpreads(t *testing.T) {
	const day, installations, failures = 24 * time.Hour, 1000, 200
	r := clienttest.Start(t)
	cfg, clock := clocked(volatile(t), r.Addr())
	c := granted(t, cfg)
	next := func(fails bool) time.Duration {
		t.Helper()
		if err := c.UploadIfDue(t.Context()); (err != nil) != fails {
			t.Fatal(err)
		}
		return c.Status().NextUpload.Sub(clock.Now())
	}
	var first, again, after []time.Duration
	for range installations {
		if err := os.Remove(filepath.Join(cfg.Dir, "schedule.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		first = append(first, next(false))
	}
	for i := range installations {
		c.Record(numbered(0))
		if i < failures {
			clock.Add(2 * day)
			r.Script(clienttest.Answer{Code: codes.Unavailable})
			after = append(after, next(true))
		}
		clock.Add(2 * day)
		again = append(again, next(false)-day)
	}
	spread(t, "first times", first, day)
	spread(t, "times after a failure", after, time.Hour)
	spread(t, "daily times", again, day/2)
}

// An attempt that fails is followed by the next one after a time that grows, up to
// a day, and that a restart does not shorten.
func TestBackoff(t *testing.T) {
	clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
	cfg := config(volatile(t), "127.0.0.1:1")
	cfg.Now = clock.Now
	// Each run is a process of its own. The clock moves between them only.
	run := func() (wait time.Duration, err error) {
		t.Helper()
		c := granted(t, cfg)
		c.Record(numbered(0))
		err = c.UploadIfDue(t.Context())
		wait = c.Status().NextUpload.Sub(clock.Now())
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		return wait, err
	}
	wait, _ := run()
	late := time.Duration(0)
	const failures = 45
	for n := range failures {
		clock.Add(wait - 1)
		if again, err := run(); err != nil || again != 1 {
			t.Errorf("an attempt that is early: %v, and then it waits %s", err, again)
		}
		clock.Add(1)
		var retry *client.RetryError
		var err error
		if wait, err = run(); !errors.As(err, &retry) {
			t.Fatalf("attempt %d: %v", n, err)
		}
		if ceiling := min(time.Hour<<min(n, 5), 24*time.Hour); wait < 0 || wait > ceiling {
			t.Errorf("after %d failures it waits %s", n+1, wait)
		}
		if n >= 5 {
			late += wait
		}
	}
	// 40 draws from a day: 12 hours each on average, below 7 or above 17 once in
	// 200,000 runs.
	if mean := late / (failures - 5); mean < 7*time.Hour || mean > 17*time.Hour {
		t.Errorf("it waits %s on average", mean)
	}
}

// A collector that takes nothing sees few connections, however often a host asks.
func TestFailingCollectorSeesFewConnections(t *testing.T) {
	const installations = 40
	connections := 0
	for range installations {
		clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
		cfg := config(volatile(t), "127.0.0.1:1")
		cfg.Now = clock.Now
		c := granted(t, cfg)
		c.Record(numbered(0))
		_ = c.Flush(t.Context())
		for end := clock.Now().Add(24 * time.Hour); clock.Now().Before(end); clock.Add(10 * time.Minute) {
			if c.UploadIfDue(t.Context()) != nil {
				connections++
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// 6.4 each, with a standard deviation of 1.9: beyond these once in a million runs.
	if mean := 1 + float64(connections)/installations; mean < 4.9 || mean > 7.9 {
		t.Errorf("%.1f connections in a day", mean)
	}
}

// However long a collector asks a client to pause, it goes on after 30 days.
func TestPauseIsBounded(t *testing.T) {
	r := clienttest.Start(t)
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1, PauseSeconds: 1<<32 - 1})
	cfg, clock := clocked(volatile(t), r.Addr())
	c := granted(t, cfg)
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		later time.Duration
		want  client.State
	}{{30*24*time.Hour - time.Second, client.Refused}, {2 * time.Second, client.Granted}} {
		clock.Add(tt.later)
		if got := c.Consent(); got.State != tt.want {
			t.Errorf("%s by %q, want %s", got.State, got.Rule, tt.want)
		}
	}
}
