package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client/internal/unary"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// Receipt says that a week's data was erased at the collector.
type Receipt struct {
	Week    string    `json:"week"`
	Receipt []byte    `json:"receipt,omitempty"` // none where the week was gone already
	GoneBy  time.Time `json:"gone_by"`           // day by which no copy is left on any disk
}

// Erase asks the collector to erase all that this installation sent and that can
// still be told apart, and removes it here too. Each week's random number goes
// in a request and over a connection of its own. What it asks for it asks
// whatever was decided about recording: it is the user's act.
//
// On an error the receipts are those of the weeks that are erased; the others
// can be asked for again. Refuse ends an erasure under way, and removes what
// another one would need.
func (c *Client) Erase(ctx context.Context) (receipts []Receipt, err error) {
	if c == nil {
		return nil, ErrNoClient
	}
	defer c.rescue(&err)
	if err := c.sending.wait(ctx); err != nil {
		return nil, err
	}
	defer c.sending.Unlock()
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	c.abort.Store(&abort)
	if err := c.drainQueue(ctx); err != nil {
		return nil, err
	}
	if c.spool.Empty() {
		return nil, nil
	}
	lease, err := c.spool.Lease()
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	var problems []error
	weeks := c.spool.HeldTokens()
	tokens := make([][]byte, len(weeks)) // another process may refuse meanwhile, which removes them
	for i, week := range weeks {
		tokens[i] = c.spool.HeldToken(week)
	}
	for i, week := range weeks {
		receipt, err := c.eraseWeek(ctx, week, tokens[i])
		if err == nil {
			receipts = append(receipts, receipt)
			err = lease.Forget(week)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("client: erase %s: %w", week, err))
		}
	}
	if c.on.Load() {
		c.loadDraws()         // it goes on as somebody else
		_ = c.finishRefusal() // where another process noted one meanwhile
	}
	return receipts, errors.Join(problems...)
}

func (c *Client) eraseWeek(ctx context.Context, week period.Period, token []byte) (Receipt, error) {
	var reply collectorv1.EraseResponse
	if err := c.ask(ctx, methodErase, &collectorv1.EraseRequest{UnitToken: token, Period: uint32(week)}, &reply); err != nil {
		return Receipt{}, err
	}
	return Receipt{Week: week.String(), Receipt: reply.GetReceipt(), GoneBy: time.Unix(int64(reply.GetGoneBy())*int64(day/time.Second), 0).UTC()}, nil
}

// Policy asks the collector for the privacy policy in force, the one announced,
// and who answers for the data. It connects, so it is for when the user asks.
func (c *Client) Policy(ctx context.Context) (reply *collectorv1.GetPolicyResponse, err error) {
	if c == nil {
		return nil, ErrNoClient
	}
	defer c.rescue(&err)
	reply = &collectorv1.GetPolicyResponse{}
	if err := c.ask(ctx, methodGetPolicy, &collectorv1.GetPolicyRequest{}, reply); err != nil {
		return nil, err
	}
	return reply, nil
}

// ask makes one call over a connection of its own.
func (c *Client) ask(ctx context.Context, method string, request, reply proto.Message) error {
	if c.offline != nil {
		return c.offline
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	defer context.AfterFunc(c.alive, cancel)()
	octets, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	conn := c.dial(ctx)
	defer conn.Close()
	if err := conn.Call(ctx, method, octets, reply); err != nil {
		_, after := unary.Reason(err)
		return &RetryError{Code: unary.Class(err), After: max(min(after, longestWait), time.Second)}
	}
	return nil
}
