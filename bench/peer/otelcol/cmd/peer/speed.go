package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// sizes are the numbers of events a call, with what keeps either collector busy and
// events enough to tell them apart; the last is a few callers who wait for their
// acknowledgement, which is what acknowledging before storing is good for.
var sizes = []traffic{
	{batch: 1, events: 15_000, inFlight: 4096},
	{batch: 10, events: 100_000, inFlight: 4096},
	{batch: 100, events: 100_000, inFlight: 512},
	{batch: 10, events: 10_000, inFlight: 64},
}

const (
	storedTimeout = 3 * time.Minute       // after the last acknowledgement
	storedPause   = 20 * time.Millisecond // between two looks at what is stored
)

// round is one side's part of a round.
type round struct {
	EventsPerSecond float64 `json:"events_per_second"` // stored, from the first call on
	CPUPerMillion   float64 `json:"cpu_s_per_million"`
	DatabaseCPU     float64 `json:"clickhouse_cpu_s_per_million"`
	PeakRSS         int64   `json:"peak_rss_bytes"`
	P50Ms           float64 `json:"ack_p50_ms"`
	Refused         int64   `json:"refused_calls"`
}

// speed is the rounds of one number of events a call.
type speed struct {
	Batch         int                `json:"events_a_call"`
	Events        int                `json:"events"`
	InFlight      int                `json:"calls_in_flight"`
	Rounds        map[string][]round `json:"rounds"`                 // by side
	BytesPerEvent map[string]float64 `json:"stored_bytes_per_event"` // by side, after the last round
}

// compareSpeed measures every side in turns.
func (b *bench) compareSpeed(ctx context.Context) ([]speed, error) {
	var results []speed
	for _, size := range sizes {
		if b.events > 0 {
			size.events = b.events
		}
		if b.inFlight > 0 {
			size.inFlight = b.inFlight
		}
		s := speed{Batch: size.batch, Events: size.events, InFlight: size.inFlight, Rounds: map[string][]round{}, BytesPerEvent: map[string]float64{}}
		for range b.rounds {
			for _, side := range b.sides {
				r, err := b.measure(ctx, side, size)
				if err != nil {
					return nil, fmt.Errorf("%s, %d events a call: %w", side.name(), size.batch, err)
				}
				s.Rounds[side.name()] = append(s.Rounds[side.name()], r)
			}
		}
		for _, side := range b.sides {
			bytes, err := b.footprint(ctx, side)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", side.name(), err)
			}
			s.BytesPerEvent[side.name()] = float64(bytes) / float64(size.events)
		}
		results = append(results, s)
		s.print(b.sides)
	}
	return results, nil
}

// measure sends events to a side that has just started, with empty tables, and
// reads what it took until they were all stored.
func (b *bench) measure(ctx context.Context, s side, l traffic) (round, error) {
	conn, err := b.stack.Connect(localdb.Administrator)
	if err != nil {
		return round{}, err
	}
	defer conn.Close()
	if err := s.start(ctx); err != nil {
		return round{}, err
	}
	defer s.stop()
	if err := empty(ctx, conn, s); err != nil {
		return round{}, err
	}
	before, err := b.usage(s)
	if err != nil {
		return round{}, err
	}
	sent, err := s.send(ctx, l)
	if err != nil {
		return round{}, err
	}
	acknowledged := time.Now()
	if err := waitRows(ctx, conn, s.tables()[0], uint64(sent.Acked)); err != nil {
		return round{}, err
	}
	seconds := sent.Seconds + time.Since(acknowledged).Seconds()
	after, err := b.usage(s)
	if err != nil {
		return round{}, err
	}
	million := float64(sent.Acked) / 1e6
	return round{
		EventsPerSecond: float64(sent.Acked) / seconds,
		CPUPerMillion:   (after.own.CPUSeconds - before.own.CPUSeconds) / million,
		DatabaseCPU:     (after.database.CPUSeconds - before.database.CPUSeconds) / million,
		PeakRSS:         after.own.PeakRSS,
		P50Ms:           sent.P50Ms,
		Refused:         refused(sent),
	}, nil
}

// usage is that of a side and of ClickHouse.
type usage struct{ own, database stack.Usage }

func (b *bench) usage(s side) (u usage, err error) {
	if u.own, err = stack.UsageOf(s.pid()); err == nil {
		u.database, err = stack.UsageOf(b.stack.DB.Pid())
	}
	return u, err
}

// waitRows returns when a table has that many rows.
func waitRows(ctx context.Context, conn driver.Conn, table string, want uint64) error {
	ctx, cancel := context.WithTimeout(ctx, storedTimeout)
	defer cancel()
	for {
		var rows uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&rows); err != nil {
			return err
		}
		if rows >= want {
			return nil
		}
		if !load.Sleep(ctx, storedPause) {
			return fmt.Errorf("%d of %d acknowledged events are stored: %w", rows, want, ctx.Err())
		}
	}
}

// footprint is what a side's tables take on disk once they are merged.
func (b *bench) footprint(ctx context.Context, s side) (total uint64, err error) {
	conn, err := b.stack.Connect(localdb.Administrator)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for _, table := range s.tables() {
		if err := conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
			return 0, err
		}
		var bytes uint64
		if err := conn.QueryRow(ctx, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database || '.' || table = ?", table).Scan(&bytes); err != nil {
			return 0, err
		}
		total += bytes
	}
	return total, nil
}

func refused(r load.Result) (n int64) {
	for _, calls := range r.Refused {
		n += calls
	}
	return n
}
