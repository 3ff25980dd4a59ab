// Package sink stores scrubbed rows in ClickHouse, many batches to an insert.
//
// It guarantees that Add returns nil only after ClickHouse has committed the
// rows durably; that rows which Add accepted are either committed or reported as
// not, never forgotten; that one insert holds one period and at most one block,
// so that ClickHouse takes it whole or not at all; and that memory is bounded.
//
// Batches gather in one block for each period. An inserter takes a block when it
// is large enough or old enough; while all inserters are busy, blocks keep
// growing, so a slow database gets fewer and larger inserts.
//
//	Add ──▶ block of 2026-W47 ──┐   large or old    inserter ──▶ ClickHouse
//	Add ──▶ block of 2026-W48 ──┴──────────────▶    inserter ──▶ ClickHouse
//	 ▲                                                  │
//	 └──────────────── committed, or why not ───────────┘
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

// maxBlockRows is the most rows that ClickHouse keeps in one block, and a block
// is what it stores atomically (max_insert_block_size).
const maxBlockRows = 1_048_576

// Config says where to store and when.
type Config struct {
	Database Database
	// FlushRows and FlushAge: a block is inserted when it has so many rows or is
	// so old.
	FlushRows int
	FlushAge  time.Duration
	// MaxPending bounds the rows that wait, in all blocks and inserts under way.
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

	mu      sync.Mutex
	open    map[period.Period]*block // guarded by mu, as is all below
	pending int                      // rows that wait or are being inserted
	closed  bool
}

// New starts a sink. The database may be away; it is reached when there is work.
func New(cfg Config) *Sink {
	cfg.FlushRows = min(cfg.FlushRows, maxBlockRows)
	s := &Sink{cfg: cfg, wake: make(chan struct{}, 1), open: map[period.Period]*block{}}
	for range cfg.Inserters {
		s.inserters.Go(s.insertBlocks)
	}
	return s
}

// Add stores a batch's rows and returns when they are committed, or an error when
// they are not, or ctx's when the caller stops waiting; what becomes of the rows
// is then unknown to it.
func (s *Sink) Add(ctx context.Context, rows *scrub.Rows) error {
	b, err := s.append(rows)
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sink) append(rows *scrub.Rows) (*block, error) {
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
		b = newBlock(rows.Period(), time.Now(), rand.Text())
		s.open[rows.Period()] = b
		s.signal()
	}
	b.add(rows)
	s.pending += n
	b.pending += n
	if b.rows() >= s.cfg.FlushRows {
		s.signal()
	}
	return b, nil
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

// take returns a block that is due, or how long until one will be; done says that
// there will never be another.
func (s *Sink) take() (due *block, wait time.Duration, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	for p, b := range s.open {
		left := s.cfg.FlushAge - time.Since(b.born)
		if s.closed || left <= 0 || b.rows() >= s.cfg.FlushRows {
			delete(s.open, p)
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
			s.finish(b, s.insert(conn, b))
		case done:
			s.signal() // the other inserters end too
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
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.GiveUp)
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
	s.mu.Lock()
	s.pending -= b.pending
	s.mu.Unlock()
	s.cfg.Observe(outcome)
	b.err = outcome.Err
	close(b.done)
}

// Close inserts what waits, refuses the rest and returns when all inserters have
// ended, which takes no longer than GiveUp for each block that waits.
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
