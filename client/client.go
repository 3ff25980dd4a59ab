package client

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/slicemetry/slicemetry/client/internal/spool"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Client records and reports. All its methods are safe for concurrent use, and
// a nil Client records nothing.
type Client struct {
	cfg   Config
	spool *spool.Spool
	queue queue
	drops drops
	told  told
	on    atomic.Bool // whether Record does anything; kept in step with the decision
	// withdrawn says that the user refused and a yes may still be on the disk.
	// Until the next grant this process does not follow it.
	withdrawn atomic.Bool

	mu      sync.Mutex
	closed  bool               // guarded by mu, as is all below
	cancel  func()             // ends the goroutines; nil when there are none
	drain   chan chan struct{} // asks the writer to empty the queue; nil likewise
	running sync.WaitGroup     // the goroutines

	// sending is held by one upload at a time. Who holds it may take mu, not the
	// other way round.
	sending  turn
	abort    atomic.Pointer[context.CancelFunc] // ends the upload under way
	settled  map[[16]byte]bool                  // guarded by sending: batches that the disk could not forget
	offline  error                              // why it cannot connect, as configured; nil: it can
	sent     sent
	planning sync.Mutex      // held while the schedule is read and written again
	alive    context.Context // until Close
	end      context.CancelFunc

	draws atomic.Pointer[draws]
}

// Open prepares a client. Without the user's consent it touches nothing.
//
// Its error is for the host's developer, and says all that is wrong with the
// configuration. Where only what concerns the network is wrong there is a client
// beside the error, that never connects: whatever became of an endpoint or a pin,
// a user must be able to look at what was kept, and to withdraw. What would connect
// returns the error again. A host logs it and goes on.
func Open(cfg Config) (opened *Client, err error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("client: configuration: %w", errors.Join(err, cfg.validateNetwork()))
	}
	alive, end := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, alive: alive, end: end, spool: spool.Open(filepath.Join(cfg.Dir, "spool"), cfg.Now),
		sending: newTurn(), settled: map[[16]byte]bool{}}
	if err := cfg.validateNetwork(); err != nil {
		c.offline = fmt.Errorf("client: configuration: %w", err)
	}
	defer c.rescue(&err)
	c.queue.init()
	if err := errors.Join(c.finishRefusal(), c.finishTakingBack()); err != nil {
		cfg.Logger.Warn("what the user took back is not removed", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply()
	if !c.on.Load() {
		// A recording client forgets by itself. One whose user was asked again, or
		// that the environment keeps from recording, forgets on time as well.
		c.spool.Expire()
	}
	return c, c.offline
}

// apply brings the goroutines in step with the decision in force. mu is held.
func (c *Client) apply() { c.applyDecision(c.decision()) }

// applyDecision is apply for a decision that was read already. One that grants waits
// for no goroutine.
func (c *Client) applyDecision(d Consent) {
	granted := d.State == Granted && !c.closed
	if granted {
		c.loadDraws()
		_ = c.finishRefusal() // where another process noted one meanwhile
	}
	switch {
	case granted && c.cancel == nil:
		ctx, cancel := context.WithCancel(context.Background())
		c.cancel, c.drain = cancel, make(chan chan struct{})
		drain := c.drain
		c.running.Go(func() { c.writeQueue(ctx, drain) })
		c.running.Go(func() { c.uploadRegularly(ctx) })
	case !granted && c.cancel != nil:
		c.on.Store(false)
		c.cancel()
		c.running.Wait()
		c.cancel, c.drain = nil, nil
		c.queue.take(records{})
	}
	c.on.Store(granted)
}

// follow brings the client in step with the decision in force, which another
// process may have noted. Whoever holds the lock does it, or closes the client; and
// waiting for it here would let a Logger that asks for the Status wait for itself.
func (c *Client) follow() Consent {
	d := c.decision()
	if (d.State == Granted) == c.on.Load() || !c.mu.TryLock() {
		return d
	}
	defer c.mu.Unlock()
	if d = c.decision(); d.State == Granted && !c.closed {
		c.applyDecision(d) // one read anew might wait for this goroutine, where a Logger asks
	} else {
		c.on.Store(false) // the goroutines see it themselves
	}
	return d
}

// Record queues one completed output. It may be called from any thread; it does
// nothing without consent. The slice is not kept and not changed.
func (c *Client) Record(s *telemetryv1.Slice) {
	if c == nil || !c.on.Load() {
		return
	}
	c.record(s)
}

// Count adds to the usage counters of the current batch.
func (c *Client) Count(u *telemetryv1.UsageCounters) {
	if c == nil || !c.on.Load() {
		return
	}
	c.count(u)
}

// Close writes what is queued to the spool and ends the client's goroutines. It
// returns within a moment whatever the network does; what was not sent is sent
// by the next run.
func (c *Client) Close() (err error) {
	if c == nil {
		return nil
	}
	defer c.rescue(&err)
	c.on.Store(false)
	c.end() // of what other threads still send
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.cancel != nil {
		c.cancel()
		c.running.Wait()
		c.cancel, c.drain = nil, nil
		c.on.Store(false) // a goroutine may have looked at the decision meanwhile
	}
	err = c.spool.Close()
	c.tell()
	if err != nil {
		return fmt.Errorf("client: close: %w", err)
	}
	return nil
}
