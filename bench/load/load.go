// Package load drives a collector with the traffic of many installations and
// measures it.
//
// Closed loop (Rate 0): InFlight callers, each sending its next batch when the
// last was acknowledged; it finds the maximum rate. Open loop: batches are due
// at a fixed rate whatever the collector does, and a latency counts from the
// moment its batch was due, so that a stall is not left out of the numbers
// (coordinated omission). Refused and failed batches are sent again until they
// are acknowledged or the run ends, as a client's spool would.
package load

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/internal/period"
)

// Config says what to send.
type Config struct {
	Target        string                           // host:port of the collector
	Credentials   credentials.TransportCredentials // TLS or plaintext
	Installations int
	Connections   int
	InFlight      int     // calls under way at once
	Batch         int     // events a call
	Events        int     // in all
	Rate          float64 // events a second; 0: as fast as they are acknowledged
	Compress      bool
	Churn         bool // a new connection for each call, as desktops do
	Seed          uint64
	Progress      func(acked int64) // called about once a second; nil for none
}

// Result is what was measured on the generator's side.
type Result struct {
	Acked           int64            `json:"acked"`
	Attempts        int64            `json:"attempts"`
	Refused         map[string]int64 `json:"refused,omitempty"` // attempts by gRPC code
	Seconds         float64          `json:"seconds"`
	EventsPerSecond float64          `json:"events_per_second"`
	P50Ms           float64          `json:"ack_p50_ms"`
	P99Ms           float64          `json:"ack_p99_ms"`
	MaxMs           float64          `json:"ack_max_ms"`
	Latencies       []Latency        `json:"ack_latencies"`
}

// Latency is how long acknowledgements took at a percentile.
type Latency struct {
	Percentile float64 `json:"percentile"`
	Ms         float64 `json:"ms"`
}

// percentiles are those of Result.Latencies, ever closer to all.
var percentiles = []float64{0, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 100}

const (
	callTimeout  = 15 * time.Second       // the client library's: longer than a collector waits for its database
	retryPause   = 200 * time.Millisecond // shorter than the collector asks for: this is a load test
	slowest      = 10 * time.Minute       // the histogram's end
	progressTime = time.Second
)

// Protocol is what is sent, and what says that it was taken. Its methods are
// called by many callers at once.
type Protocol interface {
	// Next makes a call's request, of cfg.Batch events.
	Next(random *rand.Rand) ([]byte, error)
	// Send sends a request once. It returns nil where all of it was taken; else the
	// error's gRPC code is counted and the same request sent again.
	Send(ctx context.Context, conn *grpc.ClientConn, request []byte) error
}

// Run sends cfg.Events events to a collector of ours, or as many as ctx allows.
func Run(ctx context.Context, cfg Config) (Result, error) {
	requests, err := newRequests(cfg, period.Of(time.Now()))
	if err != nil {
		return Result{}, err
	}
	return Drive(ctx, cfg, requests)
}

// Drive is Run for whatever speaks a protocol over gRPC.
func Drive(ctx context.Context, cfg Config, protocol Protocol) (Result, error) {
	g := &generator{cfg: cfg, protocol: protocol, refused: map[string]int64{}}
	for range cfg.Connections {
		conn, err := g.dial()
		if err != nil {
			return Result{}, fmt.Errorf("load: %w", err)
		}
		defer conn.Close()
		g.lanes = append(g.lanes, &lane{conn: conn, latency: hdrhistogram.New(1, slowest.Microseconds(), 3)})
	}
	return g.run(ctx)
}

func (g *generator) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(g.cfg.Target, grpc.WithTransportCredentials(g.cfg.Credentials), grpc.WithNoProxy(), grpc.WithDisableRetry())
}

// generator is one run under way.
type generator struct {
	cfg      Config
	protocol Protocol
	lanes    []*lane
	start    time.Time
	claimed  atomic.Int64 // batches that a caller took
	acked    atomic.Int64 // events
	attempts atomic.Int64

	mu      sync.Mutex
	refused map[string]int64 // guarded by mu, as is all below
	err     error            // why a caller ended early
}

// lane is a connection and what its callers measured: a histogram for each
// caller would need more memory than what is measured.
type lane struct {
	conn *grpc.ClientConn

	mu      sync.Mutex
	latency *hdrhistogram.Histogram // guarded by mu
}

func (l *lane) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.latency.RecordValue(min(max(d.Microseconds(), 1), slowest.Microseconds())) // within its range
}

func (g *generator) run(ctx context.Context) (Result, error) {
	stop := g.reportProgress()
	g.start = time.Now()
	var callers sync.WaitGroup
	for i := range g.cfg.InFlight {
		callers.Go(func() {
			if err := g.call(ctx, i); err != nil {
				g.mu.Lock()
				g.err = err
				g.mu.Unlock()
			}
		})
	}
	callers.Wait()
	seconds := time.Since(g.start).Seconds()
	stop()
	total := g.lanes[0].latency
	for _, l := range g.lanes[1:] {
		total.Merge(l.latency)
	}
	milliseconds := func(q float64) float64 { return float64(total.ValueAtQuantile(q)) / 1000 }
	var latencies []Latency
	for _, p := range percentiles {
		latencies = append(latencies, Latency{p, milliseconds(p)})
	}
	return Result{
		Latencies: latencies,
		Acked:     g.acked.Load(), Attempts: g.attempts.Load(), Refused: g.refused,
		Seconds: seconds, EventsPerSecond: float64(g.acked.Load()) / seconds,
		P50Ms: milliseconds(50), P99Ms: milliseconds(99), MaxMs: float64(total.Max()) / 1000,
	}, cmp.Or(g.err, ctx.Err())
}

// call sends batches, one at a time, until all are taken or ctx ends.
func (g *generator) call(ctx context.Context, caller int) error {
	random := rand.New(rand.NewPCG(g.cfg.Seed, uint64(caller)+1))
	lane := g.lanes[caller%len(g.lanes)]
	batches := int64((g.cfg.Events + g.cfg.Batch - 1) / g.cfg.Batch)
	for {
		n := g.claimed.Add(1) - 1
		if n >= batches {
			return nil
		}
		due := time.Now()
		if g.cfg.Rate > 0 {
			due = g.start.Add(time.Duration(float64(n) * float64(g.cfg.Batch) / g.cfg.Rate * float64(time.Second)))
			if !Sleep(ctx, time.Until(due)) {
				return nil
			}
		}
		request, err := g.protocol.Next(random)
		if err != nil {
			return err
		}
		for !g.attempt(ctx, lane.conn, request) {
			if !Sleep(ctx, time.Duration(random.Int64N(int64(2*retryPause)))) {
				return nil
			}
		}
		g.acked.Add(int64(g.cfg.Batch))
		lane.record(time.Since(due))
	}
}

// attempt sends a request once and reports whether it was acknowledged.
func (g *generator) attempt(ctx context.Context, conn *grpc.ClientConn, request []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	g.attempts.Add(1)
	if g.cfg.Churn {
		own, err := g.dial()
		if err != nil {
			return false // the target's name was taken before
		}
		defer own.Close()
		conn = own
	}
	if code := status.Code(g.protocol.Send(ctx, conn, request)); code != codes.OK {
		g.mu.Lock()
		g.refused[code.String()]++
		g.mu.Unlock()
		return false
	}
	return true
}

// reportProgress calls cfg.Progress until stop is called, which waits for it.
func (g *generator) reportProgress() (stop func()) {
	if g.cfg.Progress == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(progressTime)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.cfg.Progress(g.acked.Load())
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// Sleep waits, and reports false where ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
