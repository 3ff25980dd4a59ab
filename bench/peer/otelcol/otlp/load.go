// Package otlp drives an OpenTelemetry Collector with the events that bench/load
// drives ours with, as OTLP log records over gRPC.
//
// It guarantees what bench/load does, so that the two can be compared: the same
// events, InFlight callers on as many connections, each sending its next call
// when the last was acknowledged or, at a fixed rate, when it is due, and every
// call that is refused sent again until it is acknowledged. A reply that rejects
// some of its records acknowledges none.
package otlp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/internal/period"
)

// Config says what to send; its fields are those of load.Config.
type Config struct {
	Target        string
	Installations int
	Connections   int
	InFlight      int
	Batch         int
	Events        int
	Rate          float64
	Seed          uint64
}

// As bench/load has them.
const (
	callTimeout = 30 * time.Second
	retryPause  = 200 * time.Millisecond
	slowest     = 10 * time.Minute
)

// exportMethod is the one call of OTLP for logs.
var exportMethod = "/" + collogspb.LogsService_ServiceDesc.ServiceName + "/Export"

// Run sends cfg.Events events, or as many as ctx allows.
func Run(ctx context.Context, cfg Config) (load.Result, error) {
	requests, err := newRequests(cfg, period.Of(time.Now()))
	if err != nil {
		return load.Result{}, err
	}
	g := &generator{cfg: cfg, requests: requests, refused: map[string]int64{}}
	for range cfg.Connections {
		conn, err := grpc.NewClient(cfg.Target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry())
		if err != nil {
			return load.Result{}, fmt.Errorf("otlp: %w", err)
		}
		defer conn.Close()
		g.conns = append(g.conns, conn)
	}
	return g.run(ctx)
}

// generator is one run under way.
type generator struct {
	cfg      Config
	requests *requests
	conns    []*grpc.ClientConn
	start    time.Time
	claimed  atomic.Int64 // calls that a caller took
	acked    atomic.Int64 // events
	attempts atomic.Int64

	mu      sync.Mutex
	refused map[string]int64 // guarded by mu
	err     error            // guarded by mu
}

func (g *generator) run(ctx context.Context) (load.Result, error) {
	histograms := make([]*hdrhistogram.Histogram, g.cfg.InFlight)
	g.start = time.Now()
	var callers sync.WaitGroup
	for i := range histograms {
		histograms[i] = hdrhistogram.New(1, slowest.Microseconds(), 3)
		callers.Go(func() {
			if err := g.call(ctx, i, histograms[i]); err != nil {
				g.mu.Lock()
				g.err = err
				g.mu.Unlock()
			}
		})
	}
	callers.Wait()
	seconds := time.Since(g.start).Seconds()
	if g.err == nil {
		g.err = ctx.Err()
	}
	total := histograms[0]
	for _, h := range histograms[1:] {
		total.Merge(h)
	}
	milliseconds := func(q float64) float64 { return float64(total.ValueAtQuantile(q)) / 1000 }
	return load.Result{
		Acked: g.acked.Load(), Attempts: g.attempts.Load(), Refused: g.refused,
		Seconds: seconds, EventsPerSecond: float64(g.acked.Load()) / seconds,
		P50Ms: milliseconds(50), P99Ms: milliseconds(99), MaxMs: float64(total.Max()) / 1000,
	}, g.err
}

// call sends batches, one at a time, until all are taken.
func (g *generator) call(ctx context.Context, caller int, latency *hdrhistogram.Histogram) error {
	random := rand.New(rand.NewPCG(g.cfg.Seed, uint64(caller)+1))
	conn := g.conns[caller%len(g.conns)]
	batches := int64((g.cfg.Events + g.cfg.Batch - 1) / g.cfg.Batch)
	for {
		n := g.claimed.Add(1) - 1
		if n >= batches {
			return nil
		}
		due := time.Now()
		if g.cfg.Rate > 0 {
			due = g.start.Add(time.Duration(float64(n) * float64(g.cfg.Batch) / g.cfg.Rate * float64(time.Second)))
			if !load.Sleep(ctx, time.Until(due)) {
				return nil
			}
		}
		request, err := g.requests.next(random)
		if err != nil {
			return err
		}
		for !g.attempt(ctx, conn, request) {
			if !load.Sleep(ctx, time.Duration(random.Int64N(int64(2*retryPause)))) {
				return nil
			}
		}
		g.acked.Add(int64(g.cfg.Batch))
		_ = latency.RecordValue(min(max(time.Since(due).Microseconds(), 1), slowest.Microseconds()))
	}
}

// attempt sends a request once and reports whether all of it was acknowledged.
func (g *generator) attempt(ctx context.Context, conn *grpc.ClientConn, request []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	g.attempts.Add(1)
	reply := &collogspb.ExportLogsServiceResponse{}
	err := conn.Invoke(ctx, exportMethod, &request, reply, grpc.ForceCodec(encoded{}))
	code := status.Code(err)
	if code == codes.OK && reply.GetPartialSuccess().GetRejectedLogRecords() > 0 {
		code = codes.DataLoss
	}
	if code != codes.OK {
		g.mu.Lock()
		g.refused[code.String()]++
		g.mu.Unlock()
		return false
	}
	return true
}

// encoded passes requests through gRPC as they are, and decodes replies.
type encoded struct{}

func (encoded) Name() string { return "proto" }

func (encoded) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (encoded) Unmarshal(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }
