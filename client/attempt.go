package client

import (
	"context"
	"errors"
	"fmt"
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

// attempt sends a week over one connection.
//
// It is noted as one that failed before it is made. A process that is killed, or
// ends, or cannot write any more meanwhile leaves the next one waiting; and what
// cannot be noted is not made, or a folder that nobody can write to would make
// every start of a slicer a connection with the same batch.
func (c *Client) attempt(ctx context.Context, lease *spool.Lease, week []*spool.Batch) error {
	before, err := c.noteAttempt()
	if err != nil {
		return fmt.Errorf("client: not sent, for that cannot be noted: %w", err)
	}
	conn := c.dial(ctx)
	defer conn.Close()
	for _, b := range week {
		// Taken back while sending: nothing more leaves.
		if c.decision().State != Granted {
			return ErrNoConsent
		}
		var failed *unary.Error
		switch err := c.send(ctx, conn, lease, b); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err() // our own doing says nothing of the collector
		case errors.As(err, &failed):
			return c.postpone(before, failed)
		default:
			return err
		}
	}
	c.plan(func(schedule) schedule { return c.afterSuccess() })
	return nil
}

// send sends one batch and acts upon the answer. It returns nil where the next
// batch may be sent.
func (c *Client) send(ctx context.Context, conn *unary.Conn, lease *spool.Lease, b *spool.Batch) error {
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
		c.settle(b, lease.Done)
		return nil
	case poisoned:
		c.sent.failed(code.String())
		c.cfg.Logger.Warn("batch refused for ever", "code", code)
		c.settle(b, lease.Quarantine)
		return nil
	case doubtful:
		if err := lease.Later(b); err != nil {
			c.cfg.Logger.Warn("a batch is not put behind the others", "error", err)
		}
	}
	return err
}

// settle notes that a batch is not to be sent again. Where the disk does not take
// that, this process knows it still.
func (c *Client) settle(b *spool.Batch, note func(*spool.Batch) error) {
	if err := note(b); err != nil {
		c.settled[b.BatchID] = true
		c.cfg.Logger.Warn("the end of a batch is not noted", "error", err)
	}
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

// postpone notes why it did not work, and when to try again.
func (c *Client) postpone(before schedule, failed *unary.Error) error {
	asked, why := failed.RetryAfter, unary.Class(failed)
	if classify(failed.Code) == outdated {
		asked = longestWait
	}
	c.sent.failed(why)
	s := c.plan(func(schedule) schedule { return c.afterFailure(before, why, asked) })
	return &RetryError{Code: why, After: max(min(asked, longestWait), s.Next.Sub(c.cfg.Now()))}
}

// class is what an answer means for a batch.
type class int

const (
	doubtful  class = iota // try again later, and the others before
	kept                   // try again later
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
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Canceled:
		return kept
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return poisoned
	case codes.Unimplemented:
		return outdated
	}
	return doubtful
}
