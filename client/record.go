package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client/internal/spool"
	"github.com/slicemetry/slicemetry/internal/period"
	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

const (
	// maxQueued bounds the memory between the host's threads and the disk, of which
	// there are two while the writer stores one: 10,000 full events, a week's limit,
	// in one burst that the writer sees nothing of.
	maxQueued = 3 << 20
	// maxSpare is how much of that is kept after a burst.
	maxSpare = 256 << 10
	// gather is how long the writer waits for more. A crash costs what was
	// recorded in so short a time before it.
	gather = 2 * time.Millisecond
	// maxPerPeriod is about how many outputs of one week are kept: one a minute,
	// day and night. It bounds what one installation contributes before the
	// aggregator does. Processes that record at once may count a batch twice while
	// it changes its name, so nobody who works by hand must come near it.
	maxPerPeriod = 10_000
)

// record makes an event coarse and queues it, on the host's thread.
func (c *Client) record(s *telemetryv1.Slice) {
	defer c.survive()
	if s == nil {
		c.drops.add(dropNil, 1)
		return
	}
	coarse := spare.Get().(*telemetryv1.Slice)
	defer spare.Put(coarse)
	week := period.Of(c.cfg.Now())
	draw, known := c.draws.Load().of(week)
	rules.Coarsen(coarse, s, draw, nil)
	if !known {
		coarse.ChangedSettings = coarse.ChangedSettings[:0]
	}
	e := entry{period: week, draw: draw, kind: spool.KindSlice}
	c.queue.add(&c.drops, e, func(b []byte) []byte { return rules.AppendSlice(b, coarse) })
}

func (c *Client) count(u *telemetryv1.UsageCounters) {
	defer c.survive()
	if u == nil {
		c.drops.add(dropNil, 1)
		return
	}
	coarse := &telemetryv1.UsageCounters{}
	rules.CoarsenCounters(coarse, u, nil)
	e := entry{period: period.Of(c.cfg.Now()), kind: spool.KindCounters}
	c.queue.add(&c.drops, e, func(b []byte) []byte { return rules.AppendCounters(b, coarse) })
}

// spare slices are used again, so that recording does not allocate.
var spare = sync.Pool{New: func() any { return new(telemetryv1.Slice) }}

// queue holds encoded records on their way to the disk.
type queue struct {
	ready chan struct{} // holds one signal: there is something

	mu      sync.Mutex
	records // guarded by mu
}

// records are encoded, one after another.
type records struct {
	octets  []byte
	entries []entry // where each ends
}

// entry is one record in a queue.
type entry struct {
	end    int
	period period.Period
	kind   spool.Kind
	draw   rules.Draw // by which a slice shows changed settings; zero where it shows none
}

func (q *queue) init() { q.ready = make(chan struct{}, 1) }

// add encodes a record at the queue's end.
func (q *queue) add(d *drops, e entry, encode func(b []byte) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.octets) >= maxQueued {
		d.add(dropQueueFull, 1)
		return
	}
	q.octets = encode(q.octets)
	e.end = len(q.octets)
	q.entries = append(q.entries, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take empties the queue. What spare holds is room for what comes next, so that
// recording does not allocate.
func (q *queue) take(spare records) records {
	if cap(spare.octets) > maxSpare {
		spare = records{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.records
	q.records = records{spare.octets[:0], spare.entries[:0]}
	return taken
}

// writeQueue moves the queue to the spool until ctx ends, and then once more.
func (c *Client) writeQueue(ctx context.Context, drain <-chan chan struct{}) {
	w := writer{client: c, recorded: map[period.Period]int{}}
	ready, due := c.queue.ready, time.NewTimer(0)
	for {
		select {
		case <-ready:
			// Waking this goroutine costs the host's thread more than the rest of
			// Record: while it gathers, nothing wakes it.
			ready = nil
			due.Reset(gather)
		case <-due.C:
			ready = c.queue.ready
			w.write()
		case drained := <-drain:
			w.write()
			close(drained)
		case <-ctx.Done():
			w.write()
			return
		}
	}
}

// drainQueue returns when all that was recorded before is in the spool.
func (c *Client) drainQueue(ctx context.Context) error {
	// With the lock held the writer cannot end meanwhile.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain == nil {
		return nil // no writer, so nothing is queued
	}
	drained := make(chan struct{})
	select {
	case c.drain <- drained:
		<-drained
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer is the one goroutine that appends.
type writer struct {
	client   *Client
	consent  Consent
	draws    *draws
	recorded map[period.Period]int // slices, by week
	written  records               // the last ones, whose room is used again
	done     int                   // of those, the ones that are stored or counted
	week     period.Period
	together []spool.Record // of that week, to be appended
}

func (w *writer) write() {
	w.written, w.done = w.client.queue.take(w.written), 0
	defer w.survive()
	// Another process may have noted a refusal meanwhile.
	if w.consent = w.client.decision(); w.consent.State != Granted {
		w.client.on.Store(false)
		return
	}
	w.draws = w.client.loadDraws()
	start := 0
	for _, e := range w.written.entries {
		w.add(e, w.written.octets[start:e.end])
		start = e.end
	}
	w.append()
	w.client.tell()
	w.check()
}

// survive lets the writer go on after a panic, with the next events: those that it
// had in hand may be the cause.
func (w *writer) survive() {
	if recover() == nil {
		return
	}
	w.client.drops.add(dropPanic, int64(max(1, len(w.written.entries)-w.done)))
	*w = writer{client: w.client, recorded: map[period.Period]int{}}
}

// check removes what was written while another process noted that the user
// takes it back: that process cannot know of it.
func (w *writer) check() {
	now := w.client.decision()
	if !now.takesBack(w.consent) {
		return
	}
	err := w.client.finishRefusal()
	if now.State == Granted {
		err = w.client.spool.PurgeWaiting()
	}
	if err != nil {
		w.client.cfg.Logger.Warn("what the user takes back is not removed", "error", err)
	}
}

// add puts a record with those of its week that are appended together.
func (w *writer) add(e entry, payload []byte) {
	if e.kind == spool.KindSlice && !w.count(e.period) {
		w.client.drops.add(dropTooMany, 1)
		w.done++
		return
	}
	payload, some := w.allowed(e, payload)
	if !some {
		w.done++
		return
	}
	if e.period != w.week {
		w.append()
		w.week = e.period
	}
	w.together = append(w.together, spool.Record{Kind: e.kind, Payload: payload})
}

func (w *writer) append() {
	stored, err := w.client.spool.Append(w.week, w.consent.PolicyVersion, w.together...)
	w.done += len(w.together)
	if err != nil {
		w.client.drops.add(dropDisk, int64(len(w.together)-stored))
		w.client.cfg.Logger.Warn("events not kept", "events", len(w.together)-stored, "error", err)
	}
	w.together = w.together[:0]
}

// count counts a slice of a week, and reports whether it is within the limit.
// What earlier and other processes recorded counts as well.
func (w *writer) count(week period.Period) bool {
	if _, known := w.recorded[week]; !known {
		w.recorded[week] = w.client.spool.Recorded(week)
	}
	if w.recorded[week] >= maxPerPeriod {
		return false
	}
	w.recorded[week]++
	return true
}

// allowed leaves of a record what the user agreed to, if any. Of a slice that was
// drawn for before its week's draw was removed, by an erasure or a refusal, it
// leaves no changed settings: they would link it to what was recorded before.
func (w *writer) allowed(e entry, payload []byte) (left []byte, some bool) {
	if e.kind == spool.KindCounters {
		return payload, w.consent.categories.Has(privacyv1.Category_CATEGORY_SLICE_COUNTS)
	}
	draw, _ := w.draws.of(e.period)
	stale := e.draw != 0 && e.draw != draw
	if w.consent.categories == rules.AllCategories && !stale {
		return payload, true
	}
	s := &telemetryv1.Slice{}
	if proto.Unmarshal(payload, s) != nil {
		return nil, false // we wrote it a moment ago, so this does not happen
	}
	if stale {
		s.ChangedSettings = nil
	}
	rules.Keep(s, w.consent.categories)
	return rules.AppendSlice(nil, s), true
}
