// Package sink stores scrubbed rows in ClickHouse, many batches to an insert.
//
// It guarantees that Wait returns nil only after ClickHouse has committed the
// rows durably; that rows which Append accepted are either committed or reported
// as not, never forgotten; that one insert holds one period and at most one block,
// so that ClickHouse takes it whole or not at all; and that memory is bounded.
//
// Batches gather in one block for each period. An inserter takes a block when it
// is large enough, or when its first batch has waited a moment for company and its
// period's last insert began long enough ago: three times what one takes, at most
// FlushAge (rest says when it is less); of a week that is not this one, FlushAge. A lone client
// waits for that moment only, some dozen wait as long as two inserts take, and then for
// their own, and ten thousand share one. While all inserters are busy, blocks keep
// growing, so a slow database gets fewer and larger inserts.
//
// What came from which coarse prefix is gathered for an hour, and stored apart.
//
//	Append ──▶ block of 2026-W47 ──┐   large or due   inserter ──▶ ClickHouse
//	Append ──▶ block of 2026-W48 ──┴──────────────▶   inserter ──▶ ClickHouse
//	                                                      │
//	Wait ◀───────────── committed, or why not ────────────┘
package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/period"
)

// MaxBlockRows is the most rows that ClickHouse, as it is set up at first, is sure to keep in
// one block, and a block is what it stores atomically (max_insert_block_size).
const MaxBlockRows = 1_048_576

// Config says where to store and when.
type Config struct {
	Database Database
	// A block is due when it has FlushRows rows, or at the latest FlushAge after its
	// period's last insert began, but not before its first batch waited for company.
	FlushRows int
	FlushAge  time.Duration
	// MaxPending bounds the rows that wait, in all blocks and inserts under way. One block
	// may grow to it while all inserters are busy: it is at most MaxBlockRows.
	MaxPending int
	// GiveUp is how long a block is tried before its callers are told to keep it.
	GiveUp time.Duration
	// Inserters is how many inserts may be under way at once.
	Inserters int
	// Observe is told the end of each block. It must be quick.
	Observe func(Outcome)
}

// Outcome is how a block ended.
type Outcome struct {
	Events   int // slices in it
	Batches  int
	Attempts int
	Seconds  float64 // from its first batch to its end
	Err      error   // nil: committed
}

// The errors that Add tells apart. In each case the caller keeps its batch.
var (
	// ErrOverloaded says that too much is waiting already.
	ErrOverloaded = errors.New("sink: too many rows are waiting")
	// ErrUnavailable says that the database did not take the rows.
	ErrUnavailable = errors.New("sink: the database does not take rows")
	// ErrClosed says that the sink is shutting down.
	ErrClosed = errors.New("sink: closed")
)

// Sink is a running sink.
type Sink struct {
	cfg       Config
	inserters sync.WaitGroup
	wake      chan struct{} // holds one signal: there may be work
	origins   origins

	mu      sync.Mutex
	open    map[period.Period]*block // guarded by mu, as is all below
	last    map[period.Period]insertion
	spare   []*block // to be used again
	pending int      // rows that wait or are being inserted
	closed  bool
}

// insertion is when a period's last insert began, and how long the one took that
// ended last; 0: none has, or it failed.
type insertion struct {
	began time.Time
	took  time.Duration
}

// New starts a sink. The database may be away; it is reached when there is work.
func New(cfg Config) *Sink {
	s := &Sink{cfg: cfg, wake: make(chan struct{}, 1), open: map[period.Period]*block{}, last: map[period.Period]insertion{}}
	for range cfg.Inserters {
		s.inserters.Go(s.insertBlocks)
	}
	return s
}

// Commit is what the callers of one block wait for.
type Commit struct {
	done chan struct{} // closed when the block is committed or given up
	err  error         // why it was given up; set before done is closed
}

// Wait returns when the rows are committed, or an error when they are not, which is
// known soon after GiveUp at the latest.
func (c *Commit) Wait() error {
	<-c.done
	return c.err
}

// Add is Append and Wait.
func (s *Sink) Add(rows *scrub.Rows) error {
	commit, err := s.Append(rows)
	if err != nil {
		return err
	}
	return commit.Wait()
}

// Append copies a batch's rows, which the caller may use again, and returns what
// tells of their end.
func (s *Sink) Append(rows *scrub.Rows) (*Commit, error) {
	n := max(len(rows.Slices()), 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.pending+n > s.cfg.MaxPending:
		return nil, ErrOverloaded
	}
	b := s.open[rows.Period()]
	if b == nil {
		b = s.block(rows.Period())
		s.open[rows.Period()] = b
		s.signal()
	}
	b.add(rows)
	s.pending += n
	b.pending += n
	if b.rows() >= s.cfg.FlushRows {
		s.signal()
	}
	return b.commit, nil
}

// block returns an empty block. mu is held.
func (s *Sink) block(p period.Period) *block {
	var b *block
	if last := len(s.spare) - 1; last >= 0 {
		b, s.spare = s.spare[last], s.spare[:last]
	} else {
		b = newBlock()
	}
	b.reset(p, time.Now(), rand.Text())
	return b
}

// Pending returns how many rows wait or are being inserted.
func (s *Sink) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// signal wakes an inserter. One signal is enough: an inserter that finds work
// passes the signal on.
func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// company is how long the first of a block's batches waits for those that arrive
// together with it: a moment, or where inserts are slow an eighth of what one takes, at
// most FlushAge. In that time who was sent away finds the places that the last insert left.
func (s *Sink) company(last insertion) time.Duration {
	return min(max(time.Millisecond, last.took/8), s.cfg.FlushAge)
}

// spacing is how many times as long as an insert takes lies between the beginnings
// of two: an insert costs the database about the same whatever is in it, and two thirds
// of the time is its own.
const spacing = 3

// rest is how long after its last insert began a period's next one is due: a few times
// what that took, at most FlushAge, and together with that at most a quarter more. A
// database that takes most of FlushAge has too much to do: it gets large inserts.
func (s *Sink) rest(last insertion) time.Duration {
	age := s.cfg.FlushAge
	if last.took == 0 || last.took > age/4*3 {
		return age
	}
	return min(age, spacing*last.took, age+age/4-last.took)
}

// take returns a block that is due, or how long until one will be; done says that
// there will never be another.
func (s *Sink) take() (due *block, wait time.Duration, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	now := time.Now()
	thisWeek := period.Of(now)
	for p, b := range s.open {
		last := s.last[p]
		rest := s.cfg.FlushAge // other weeks are several, each with inserts of its own
		if p == thisWeek {
			rest = s.rest(last)
		}
		left := max(rest-now.Sub(last.began), s.company(last)-now.Sub(b.born))
		if s.closed || left <= 0 || b.rows() >= s.cfg.FlushRows {
			delete(s.open, p)
			s.last[p] = insertion{now, last.took}
			b.taken = now
			if len(s.open) > 0 {
				s.signal()
			}
			return b, 0, false
		}
		wait = min(wait, left)
	}
	return nil, wait, s.closed
}

// insertBlocks is one inserter. It ends when the sink is closed and empty.
func (s *Sink) insertBlocks() {
	conn := &connection{database: s.cfg.Database}
	defer conn.close()
	for {
		b, wait, done := s.take()
		switch {
		case b != nil:
			outcome := s.insert(conn, b)
			if outcome.Err == nil {
				s.origins.add(b.origins, time.Now())
			}
			s.finish(b, outcome)
			s.storeOrigins(conn, false)
		case done:
			s.signal() // the other inserters end too
			s.storeOrigins(conn, true)
			return
		default:
			timer := time.NewTimer(wait)
			select {
			case <-s.wake:
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// insert tries a block until it is committed, cannot be, or has taken too long.
func (s *Sink) insert(conn *connection, b *block) Outcome {
	// From its first batch on, not from here: a block that waited while all inserters
	// were stuck must end before its callers' deadlines, or nobody hears why.
	ctx, cancel := context.WithDeadline(context.Background(), b.born.Add(s.cfg.GiveUp))
	defer cancel()
	outcome := Outcome{Events: b.events, Batches: b.batches}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		outcome.Attempts++
		err := conn.insert(ctx, b)
		if err == nil {
			break
		}
		outcome.Err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		if !transient(err) || !sleep(ctx, pause) {
			break
		}
		outcome.Err = nil
	}
	outcome.Seconds = time.Since(b.born).Seconds()
	return outcome
}

// Between attempts, so that a database that comes back is not met by a stampede.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// finish tells everybody how a block ended.
func (s *Sink) finish(b *block, outcome Outcome) {
	s.cfg.Observe(outcome)
	commit := b.commit
	commit.err = outcome.Err
	s.retire(b, outcome)
	close(commit.done)
}

// retire takes a block out of the books, perhaps to be used again.
func (s *Sink) retire(b *block, outcome Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= b.pending
	last := s.last[b.period]
	if last.took = time.Since(b.taken); outcome.Err != nil {
		last.took = 0
	}
	s.last[b.period] = last
	// What a surge needed is not kept: the garbage collector takes the others.
	if len(s.spare) < s.cfg.Inserters {
		s.spare = append(s.spare, b)
	}
}

// Close inserts what waits, refuses the rest and returns when all inserters have
// ended, which takes no longer than GiveUp.
func (s *Sink) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
	s.inserters.Wait()
}

// sleep waits, and reports false where ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
