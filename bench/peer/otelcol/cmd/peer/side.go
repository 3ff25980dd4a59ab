package main

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/peer/otelcol/otlp"
	"github.com/slicemetry/slicemetry/bench/peer/otelcol/rival"
	"github.com/slicemetry/slicemetry/bench/stack"
)

// side is a collector that is compared. It runs from start to kill or stop, as a
// process of its own each time.
type side interface {
	name() string
	start(ctx context.Context) error
	kill()
	stop()
	pid() int
	send(ctx context.Context, l traffic) (load.Result, error)
	// tables are those that it fills; the first has a row for each event.
	tables() []string
	// stored counts the events of calls of that many: different ones, and those
	// that are there again.
	stored(ctx context.Context, conn driver.Conn, batch int) (once, again uint64, err error)
}

// traffic is what a side is sent.
type traffic struct {
	batch, events, inFlight int
	rate                    float64 // events a second; 0: as fast as they are acknowledged
}

// to is the load that sends it to a target; the rest is the same for every side.
func (l traffic) to(target string) load.Config {
	return load.Config{Target: target, Credentials: insecure.NewCredentials(), Installations: 10_000, Connections: 8,
		InFlight: l.inFlight, Batch: l.batch, Events: l.events, Rate: l.rate, Seed: 1}
}

// ours is the collector of a stack, which starts it the first time.
type ours struct{ *stack.Stack }

// The limits that keep one network from taking all are lifted: all the load comes
// from one.
var oursFlags = []string{"-limit-rate", "0", "-max-streams", "10000"}

func (o ours) name() string                    { return "slicemetry" }
func (o ours) start(ctx context.Context) error { return o.StartCollector(ctx) }
func (o ours) kill()                           { o.KillCollector() }
func (o ours) stop()                           { o.StopCollector() }
func (o ours) pid() int                        { return o.CollectorPid() }
func (o ours) tables() []string                { return []string{"raw.slices", "raw.counters"} }

func (o ours) send(ctx context.Context, l traffic) (load.Result, error) {
	return load.Run(ctx, l.to(o.Target()))
}

// Repetitions fold, so none is there for who reads.
func (o ours) stored(ctx context.Context, conn driver.Conn, _ int) (once, _ uint64, err error) {
	err = conn.QueryRow(ctx, "SELECT count() FROM raw.slices FINAL").Scan(&once)
	return once, 0, err
}

// theirs is an OpenTelemetry Collector.
type theirs struct {
	*rival.Collector
	mode rival.Mode
}

func (t theirs) name() string                    { return "otelcol, " + string(t.mode) }
func (t theirs) start(ctx context.Context) error { return t.Start(ctx) }
func (t theirs) kill()                           { t.Kill() }
func (t theirs) stop()                           { t.Stop() }
func (t theirs) pid() int                        { return t.Pid() }
func (t theirs) tables() []string                { return []string{t.Database() + ".otel_logs"} }

func (t theirs) send(ctx context.Context, l traffic) (load.Result, error) {
	return otlp.Run(ctx, l.to(t.Target()))
}

func (t theirs) stored(ctx context.Context, conn driver.Conn, batch int) (once, again uint64, err error) {
	query := fmt.Sprintf(`SELECT sum(least(n, %d)), sum(n) - sum(least(n, %[1]d)) FROM
		(SELECT count() AS n FROM %s GROUP BY ResourceAttributes['%s'])`, batch, t.tables()[0], otlp.BatchAttribute)
	var excess int64
	err = conn.QueryRow(ctx, query).Scan(&once, &excess)
	return once, uint64(excess), err
}

// empty removes what was stored before.
func empty(ctx context.Context, conn driver.Conn, s side) error {
	for _, table := range s.tables() {
		if err := conn.Exec(ctx, "TRUNCATE TABLE "+table); err != nil {
			return err
		}
	}
	return nil
}
