package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client/internal/spool"
	"github.com/slicemetry/slicemetry/client/internal/unary"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// callTimeout is longer than a collector tries to store a batch (8 s).
const callTimeout = 15 * time.Second

// The service's methods. Its generated code has the names too, but needs all of
// grpc-go; a test compares them.
const (
	methodUpload    = "/slicemetry.collector.v1.Collector/Upload"
	methodErase     = "/slicemetry.collector.v1.Collector/Erase"
	methodGetPolicy = "/slicemetry.collector.v1.Collector/GetPolicy"
)

// The errors that a host may tell apart. In each case everything is kept.
var (
	// ErrNoConsent says that the user has not agreed.
	ErrNoConsent = errors.New("client: no consent")
	// ErrNoClient says that there is none: Open failed, and the host went on.
	ErrNoClient = errors.New("client: none was opened")
	// ErrBusy says that another process is sending.
	ErrBusy = spool.ErrBusy
)

// RetryError says that a collector cannot take anything now, and when to come
// back.
type RetryError struct {
	Code  string // gRPC's name of the reason
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
	if c.follow().State != Granted {
		return ErrNoConsent
	}
	c.sending.Lock()
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

// upload sends the batches of one week, the oldest that there is, over a
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
	watching.Go(func() { c.watch(ctx, agreed, abort) })
	lease, err := c.lease()
	if err != nil {
		return false, err
	}
	defer c.endUpload(lease)
	batches, more := oldestWeek(lease.Batches())
	if len(batches) == 0 {
		return false, nil
	}
	conn := c.dial(ctx)
	defer conn.Close()
	for _, b := range batches {
		if err := c.send(ctx, conn, lease, b); err != nil {
			return false, err
		}
	}
	c.plan(func(schedule) schedule { return c.afterSuccess() })
	return more, nil
}

// endUpload gives the lease back, and removes what was noted of the upload after
// a refusal.
func (c *Client) endUpload(lease *spool.Lease) {
	if err := errors.Join(c.finishRefusal(), lease.Release()); err != nil {
		c.cfg.Logger.Warn("an upload did not end well", "error", err)
	}
}

// oldestWeek picks the batches of one week.
func oldestWeek(batches []*spool.Batch) (week []*spool.Batch, more bool) {
	for _, b := range batches {
		switch {
		case len(week) == 0 || b.Period < week[0].Period:
			more = more || len(week) > 0
			week = []*spool.Batch{b}
		case b.Period == week[0].Period:
			week = append(week, b)
		default:
			more = true
		}
	}
	return week, more
}

// send sends one batch and acts upon the answer. It returns nil where the next
// batch may be sent.
func (c *Client) send(ctx context.Context, conn *unary.Conn, lease *spool.Lease, b *spool.Batch) error {
	// Taken back while sending: nothing more leaves.
	if c.decision().State != Granted {
		return ErrNoConsent
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !lease.Has(b) {
		return nil
	}
	token, err := lease.Token(period.Period(b.Period))
	if err != nil {
		return err
	}
	request, slices := encodeRequest(token, b)
	err = c.call(ctx, conn, request)
	code, _ := unary.Reason(err)
	switch classify(code) {
	case delivered:
		c.sent.add(slices)
		return lease.Done(b)
	case poisoned:
		c.sent.failed(code.String())
		c.cfg.Logger.Warn("batch refused for ever", "code", code)
		return lease.Quarantine(b)
	}
	if ctx.Err() != nil {
		return ctx.Err() // our own doing says nothing of the collector
	}
	return c.postpone(err)
}

// call makes the call, with octets that are what Preview shows.
func (c *Client) call(ctx context.Context, conn *unary.Conn, request []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var reply collectorv1.UploadResponse
	err := conn.Call(ctx, methodUpload, request, &reply)
	if err == nil {
		c.listen(&reply)
	}
	return err
}

// postpone notes that it did not work, and when to try again.
func (c *Client) postpone(err error) error {
	code, asked := unary.Reason(err)
	if classify(code) == outdated {
		asked = longestWait
	}
	c.sent.failed(code.String())
	s := c.plan(func(s schedule) schedule { return c.afterFailure(s, code.String(), asked) })
	return &RetryError{Code: code.String(), After: max(asked, s.Next.Sub(c.cfg.Now()))}
}

// class is what an answer means for a batch.
type class int

const (
	kept      class = iota // try again later
	delivered              // forget it
	poisoned               // it will never be taken
	outdated               // nothing of this version is taken any more
)

// classify is the one place that decides what an answer means. Only OK from a
// collector is success: a captive portal speaks no gRPC. Codes that are not
// listed keep the batch. A portal's "404" arrives as Unimplemented too, so even
// that is asked again, a week later, and at once after an update.
func classify(code codes.Code) class {
	switch code {
	case codes.OK:
		return delivered
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return poisoned
	case codes.Unimplemented:
		return outdated
	}
	return kept
}

// UploadIfDue sends what is kept if its time has come, and does nothing before.
// It is for programs that do not live as long as an interval: one that does needs
// not call it. On an error everything that was not acknowledged is kept.
func (c *Client) UploadIfDue(ctx context.Context) (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	if c.follow().State != Granted {
		return ErrNoConsent
	}
	c.sending.Lock()
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

// uploadRegularly sends when it is time to, until ctx ends.
func (c *Client) uploadRegularly(ctx context.Context) {
	defer c.survive()
	earliest := c.cfg.Now().Add(quietStart + random(quietStart))
	for {
		next := c.next()
		if next.Before(earliest) {
			next = earliest
		}
		timer := time.NewTimer(min(next.Sub(c.cfg.Now()), followEvery))
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
		// Whoever is sending now makes this one needless. And nobody may wait here
		// for a lock: the one who holds it may wait for this goroutine to end.
		if !granted || c.next().After(c.cfg.Now()) || !c.sending.TryLock() {
			continue
		}
		c.uploadByItself(ctx)
		earliest = c.cfg.Now().Add(quietStart) // whatever happened, not at once again
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
