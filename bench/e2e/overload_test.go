package e2e

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/fault"
	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
)

// startStack starts a system with more flags for its collector.
func startStack(t *testing.T, flags ...string) (*stack.Stack, load.Config) {
	t.Helper()
	return startStackOver(t, nil, flags...)
}

// startStackOver does so where the collector's way to the database is changed.
func startStackOver(t *testing.T, database func(dsn string) string, flags ...string) (*stack.Stack, load.Config) {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Config{Dir: t.TempDir(), Collector: filepath.Join(binary.Dir, "collectord"), Database: database,
		Flags: append([]string{"-limit-rate", "0", "-max-streams", "10000"}, flags...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) }) // how the engine ends is not this test's subject
	transport, err := credentials.NewClientTLSFromFile(s.CAFile(), "")
	if err != nil {
		t.Fatal(err)
	}
	return s, load.Config{Target: s.Target(), Credentials: transport, Installations: 500, Connections: 8, Batch: 10, Seed: 5}
}

// At twice the capacity the collector stores nearly as much as at its capacity;
// the rest is told to come back, and the books balance to the event.
//
// The capacity is bounded by calls under way and by the line to the database, not
// by this machine's CPU, which the generator shares.
func TestOverload(t *testing.T) {
	s, cfg := startStackOver(t, slowLine(t), "-max-calls", "64")
	cfg.InFlight, cfg.Events = 64, 12_000
	atCapacity, capacity := sustained(t, s, cfg)
	cfg.InFlight, cfg.Rate, cfg.Events = 1000, 2*capacity, 24_000
	overloaded, goodput := sustained(t, s, cfg)
	t.Logf("%.0f events/s at capacity, %.0f at twice that: %.2f; refused %v", capacity, goodput, goodput/capacity, overloaded.Refused)
	if goodput < 0.8*capacity { // 0.92 to 1.02 is measured; the machine is shared
		t.Errorf("under overload %.2f of the capacity is stored, want about all", goodput/capacity)
	}
	if overloaded.Refused["ResourceExhausted"] == 0 || len(overloaded.Refused) != 1 {
		t.Errorf("refused %v, want ResourceExhausted and nothing else", overloaded.Refused)
	}
	books := accounting(t, s)
	if !books.Balanced() || books.Stored != atCapacity.Acked+overloaded.Acked {
		t.Errorf("%+v do not balance with %d acknowledged", books, atCapacity.Acked+overloaded.Acked)
	}
}

// sustained runs a load and returns what became of it, and how many events a second were
// stored in the middle of it: clients that were sent away come back over a while at the end.
func sustained(t *testing.T, s *stack.Stack, cfg load.Config) (load.Result, float64) {
	t.Helper()
	type ended struct {
		load.Result
		error
	}
	done := make(chan ended, 1)
	before := accounting(t, s).Stored
	go func() {
		r, err := load.Run(t.Context(), cfg)
		done <- ended{r, err}
	}()
	reached := func(part float64) (events float64, at time.Time) {
		for {
			events = float64(accounting(t, s).Stored - before)
			if events >= part*float64(cfg.Events) {
				return events, time.Now()
			}
			select {
			case end := <-done:
				if end.error != nil {
					t.Fatal(end.error)
				}
				done <- end // all is stored by now
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	first, began := reached(0.2)
	last, at := reached(0.8)
	end := <-done
	if end.error != nil {
		t.Fatal(end.error)
	}
	return end.Result, (last - first) / at.Sub(began).Seconds()
}

func accounting(t *testing.T, s *stack.Stack) stack.Accounting {
	t.Helper()
	metrics, err := stack.ReadMetrics(t.Context(), s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return metrics.Accounting()
}

// slowLine puts a line to the database that takes longer for an insert than the
// database does.
func slowLine(t *testing.T) func(dsn string) string {
	t.Helper()
	var address atomic.Value // of the database, a string, once the stack tells it
	proxy, err := fault.NewProxy(func() string { return address.Load().(string) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.Use(func() fault.Rule { return fault.Rule{Rate: 150_000} })
	return func(dsn string) string {
		parsed, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		address.Store(parsed.Host)
		parsed.Host = proxy.Addr()
		return parsed.String()
	}
}

// maxIdleBytes is what one idle connection may keep in memory: with TLS about 14 KiB
// of TLS's and HTTP/2's state, and the stacks of three goroutines.
const maxIdleBytes = 28 << 10

// Idle connections cost little, and those who send are served beside them, each
// call on a connection of its own.
func TestIdleAndChurn(t *testing.T) {
	s, cfg := startStack(t)
	const idle = 2000
	before := living(t, s)
	hold, err := load.OpenIdle(cfg.Target, cfg.Credentials, idle)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	each := (living(t, s) - before) / idle
	t.Logf("%.0f octets an idle connection", each)
	if each > maxIdleBytes {
		t.Errorf("an idle connection keeps %.0f octets, want at most %d", each, maxIdleBytes)
	}
	cfg.Churn, cfg.InFlight, cfg.Events = true, 32, 3000
	result, err := load.Run(t.Context(), cfg)
	if err != nil || result.Acked != 3000 || len(result.Refused) != 0 {
		t.Errorf("%+v, %v, want 3000 events in connections of their own", result, err)
	}
}

// living is what lives in the collector's memory after a garbage collection.
func living(t *testing.T, s *stack.Stack) float64 {
	t.Helper()
	for range 2 { // the first one finds what the second one frees
		response, err := http.Get("http://" + s.Admin() + "/debug/pprof/heap?gc=1")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	metrics, err := stack.ReadMetrics(t.Context(), s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return metrics["go_memstats_heap_alloc_bytes"] + metrics["go_memstats_stack_inuse_bytes"]
}
