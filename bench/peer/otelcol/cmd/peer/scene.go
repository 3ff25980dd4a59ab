package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/peer/otelcol/rival"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// What is sent where it is seen what is lost: little enough that all sides keep up
// at once, so that one fault hits all of them at the same moment.
const (
	sceneBatch    = 10
	sceneInFlight = 1024
	calm          = 4 * time.Second // of traffic before a fault, and after the last
	settleLook    = time.Second     // between two looks at what is stored
	restarts      = 30              // a second apart
)

// How long nothing more has to be stored until what is missing is lost: longer than
// a partial batch waits, and after an outage longer than the longest pause between
// two tries (30 s).
const (
	settleAfterKill = 15 * time.Second
	settleAfterAway = 50 * time.Second
)

// loss is what one side made of a fault.
type loss struct {
	Side         string  `json:"side"`
	Acknowledged int64   `json:"acknowledged"`
	Lost         int64   `json:"acknowledged_not_stored"`
	Again        uint64  `json:"stored_again"`
	Refused      int64   `json:"refused_calls"` // and sent again
	SendSeconds  float64 `json:"send_seconds"`  // until the last was acknowledged
	PeakRSS      int64   `json:"peak_rss_bytes"`
}

// scene is a fault and what each side lost.
type scene struct {
	Name   string  `json:"scene"`
	Rate   float64 `json:"events_per_second"`
	Losses []loss  `json:"sides"`
}

// killed kills every side, and starts it again, while it is under load.
func (b *bench) killed(ctx context.Context) (scene, error) {
	name := fmt.Sprintf("killed with -9 and started again, %d times", b.kills)
	// What lies in a queue depends on how long ago the last insert was.
	filling := time.Duration(rival.BatchRows / b.rate * float64(time.Second))
	length := time.Duration(b.kills+1)*calm + time.Duration(b.kills)*filling
	return b.play(ctx, name, length, settleAfterKill, func(ctx context.Context) error {
		for range b.kills {
			if !load.Sleep(ctx, calm+rand.N(filling)) {
				return ctx.Err()
			}
			err := b.each(func(s side) error {
				s.kill()
				return restart(ctx, s)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// restart starts a side until it runs, as a service manager does: the embedded
// ClickHouse ends, and is started again, where a collector is killed in its greeting
// (ADR 0009), and the others do not start while it is away.
func restart(ctx context.Context, s side) (err error) {
	for range restarts {
		if err = s.start(ctx); err == nil || !load.Sleep(ctx, time.Second) {
			break
		}
	}
	return err
}

// databaseAway takes ClickHouse away while all sides are under load.
func (b *bench) databaseAway(ctx context.Context) (scene, error) {
	name := fmt.Sprintf("ClickHouse away for %s", b.away)
	return b.play(ctx, name, b.away+2*calm, settleAfterAway, func(ctx context.Context) error {
		if !load.Sleep(ctx, calm) {
			return ctx.Err()
		}
		return b.stack.CrashDB(ctx, func() { load.Sleep(ctx, b.away) })
	})
}

// play sends to every side at a fixed rate for so long, does what the fault is
// meanwhile, and counts what is stored once nothing more is.
func (b *bench) play(ctx context.Context, name string, length, settle time.Duration, fault func(context.Context) error) (scene, error) {
	if err := b.each(func(s side) error { return b.begin(ctx, s) }); err != nil {
		return scene{}, err
	}
	defer b.each(func(s side) error { s.stop(); return nil })
	events := int(length.Seconds()*b.rate) / sceneBatch * sceneBatch
	struck := make(chan error, 1)
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		err := fault(ctx)
		if err != nil {
			cancel() // or what does not run would be sent to for ever
		}
		struck <- err
	}()
	results := make([]load.Result, len(b.sides))
	err := b.eachIndexed(func(i int, s side) (err error) {
		results[i], err = s.send(sending, traffic{batch: sceneBatch, events: events, inFlight: sceneInFlight, rate: b.rate})
		return err
	})
	if err := errors.Join(err, <-struck); err != nil {
		return scene{}, fmt.Errorf("%s: %w", name, err)
	}
	played := scene{Name: name, Rate: b.rate, Losses: make([]loss, len(b.sides))}
	err = b.eachIndexed(func(i int, s side) (err error) {
		played.Losses[i], err = b.settle(ctx, s, results[i], settle)
		return err
	})
	return played, err
}

// begin starts a side with empty tables.
func (b *bench) begin(ctx context.Context, s side) error {
	conn, err := b.stack.Connect(localdb.Administrator)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := s.start(ctx); err != nil {
		return err
	}
	return empty(ctx, conn, s)
}

// settle waits until all that a side acknowledged is stored, or nothing more is.
func (b *bench) settle(ctx context.Context, s side, sent load.Result, quiet time.Duration) (loss, error) {
	conn, err := b.stack.Connect(localdb.Administrator)
	if err != nil {
		return loss{}, err
	}
	defer conn.Close()
	l := loss{Side: s.name(), Acknowledged: sent.Acked, Refused: refused(sent), SendSeconds: sent.Seconds}
	var once uint64
	for grown := time.Now(); ; {
		now, again, err := s.stored(ctx, conn, sceneBatch)
		if err != nil {
			return l, err
		}
		if now != once || again != l.Again {
			grown = time.Now()
		}
		once, l.Again, l.Lost = now, again, sent.Acked-int64(now)
		if l.Lost <= 0 || time.Since(grown) > quiet {
			break
		}
		if !load.Sleep(ctx, settleLook) {
			return l, ctx.Err()
		}
	}
	usage, err := stack.UsageOf(s.pid())
	l.PeakRSS = usage.PeakRSS
	return l, err
}

// each does something with every side at once.
func (b *bench) each(do func(side) error) error {
	return b.eachIndexed(func(_ int, s side) error { return do(s) })
}

func (b *bench) eachIndexed(do func(int, side) error) error {
	problems := make([]error, len(b.sides))
	var all sync.WaitGroup
	for i, s := range b.sides {
		all.Go(func() {
			if err := do(i, s); err != nil {
				problems[i] = fmt.Errorf("%s: %w", s.name(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(problems...)
}
