package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/spool"
)

// The errors that a host may tell apart. In each case everything is kept.
var (
	// ErrNoConsent says that the user has not agreed.
	ErrNoConsent = errors.New("client: no consent")
	// ErrNoClient says that there is none: Open failed, and the host went on.
	ErrNoClient = errors.New("client: none was opened")
	// ErrBusy says that an upload is under way, in this process or another.
	ErrBusy = spool.ErrBusy
)

// RetryError says that a collector cannot take anything now, and when to come
// back.
type RetryError struct {
	// Code is why: gRPC's name of what the collector answered, such as
	// "Unavailable", or what is wrong on the way to it: "dns", "refused", "tls",
	// "pin", "proxy", "timeout", "not gRPC", "unreachable".
	Code  string
	After time.Duration
}

// Error implements error.
func (e *RetryError) Error() string {
	return fmt.Sprintf("client: the collector cannot be reached or takes nothing now (%s); worth another attempt in %s", e.Code, e.After.Round(time.Second))
}

// Flush writes what is queued to the spool and sends the spool now, whatever the
// schedule says, but not before a time that the collector asked for. On an error
// everything that was not acknowledged is kept.
func (c *Client) Flush(ctx context.Context) (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.sending.Unlock()
	if err := c.drainQueue(ctx); err != nil {
		return err
	}
	if s := c.loadSchedule(); s.NotBefore.After(c.cfg.Now()) {
		return &RetryError{Code: s.Code, After: s.NotBefore.Sub(c.cfg.Now())}
	}
	for {
		more, err := c.upload(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// UploadIfDue sends what is kept if its time has come, and does nothing before.
// It is for programs that do not live as long as an interval, at their end and
// with a context that is as short as the user's patience: what is not sent then is
// sent another day. At a program's start the time would tell when that was. A
// program that lives for long need not call it. On an error everything that was
// not acknowledged is kept.
func (c *Client) UploadIfDue(ctx context.Context) (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.sending.Unlock()
	if c.next().After(c.cfg.Now()) {
		return nil
	}
	if err := c.drainQueue(ctx); err != nil {
		return err
	}
	_, err = c.upload(ctx)
	return err
}

// begin takes sending, where something may be sent.
func (c *Client) begin(ctx context.Context) error {
	if c.follow().State != Granted {
		return ErrNoConsent
	}
	return c.sending.wait(ctx)
}

// upload sends the batches of one week, the one whose turn it is, over a
// connection of its own: two weeks on one connection would be known to be of one
// installation. more says that another week waits. sending is held.
func (c *Client) upload(ctx context.Context) (more bool, err error) {
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	defer context.AfterFunc(c.alive, abort)()
	c.abort.Store(&abort)
	agreed := c.decision()
	if agreed.State != Granted {
		return false, ErrNoConsent
	}
	if c.offline != nil {
		return false, c.offline // and nothing is sealed in vain
	}
	watching.Go(func() { c.watch(ctx, agreed, abort) })
	lease, err := c.lease()
	if err != nil {
		return false, err
	}
	defer c.endUpload(lease)
	week, others := c.waiting(lease)
	if len(week) == 0 {
		c.passOver()
		return false, nil
	}
	if err := c.attempt(ctx, lease, week); err != nil {
		return false, err
	}
	return len(others) > 0, nil
}

// waiting returns the batches of the week whose turn it is, which is that of the
// oldest batch, and all others. sending is held.
func (c *Client) waiting(lease *spool.Lease) (week, others []*spool.Batch) {
	for _, b := range lease.Batches() {
		switch {
		case c.settled[b.BatchID]:
		case len(week) == 0 || b.Period == week[0].Period:
			week = append(week, b)
		default:
			others = append(others, b)
		}
	}
	return week, others
}

// endUpload gives the lease back, and removes what was noted of the upload after
// a refusal.
func (c *Client) endUpload(lease *spool.Lease) {
	if err := errors.Join(c.finishRefusal(), lease.Release()); err != nil {
		c.cfg.Logger.Warn("an upload did not end well", "error", err)
	}
}

// uploadRegularly sends when it is time to, until ctx ends.
func (c *Client) uploadRegularly(ctx context.Context) {
	defer c.survive()
	earliest := c.cfg.Now().Add(quiet())
	for {
		now, next := c.cfg.Now(), c.next()
		if next.Before(earliest) {
			next = earliest
		}
		timer := time.NewTimer(min(next.Sub(now), followEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			c.spool.Expire() // whether or not there is anything to send, or it may be
		}
		// What another process noted, and the end of a pause, hold here too.
		granted := c.decision().State == Granted
		c.on.Store(granted)
		if granted && next.After(c.cfg.Now()) {
			continue
		}
		// Whoever is sending now makes this one needless. And nobody may wait here
		// for a lock: the one who holds it may wait for this goroutine to end.
		if granted && !c.next().After(c.cfg.Now()) && c.sending.TryLock() {
			c.uploadByItself(ctx)
		}
		earliest = c.cfg.Now().Add(quiet()) // whatever happened, not at once again
	}
}

// uploadByItself sends one week; another one waits for its own time. sending is
// held, and given back.
func (c *Client) uploadByItself(ctx context.Context) {
	defer c.sending.Unlock()
	defer c.survive()
	if _, err := c.upload(ctx); err != nil && ctx.Err() == nil {
		c.cfg.Logger.Info("not sent", "error", err)
	}
}

// followEvery is how often a process looks for a decision of another's while it
// waits to send.
const followEvery = 10 * time.Minute
