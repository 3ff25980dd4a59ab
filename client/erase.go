package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/status"

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
// can be asked for again.
func (c *Client) Erase(ctx context.Context) ([]Receipt, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
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
	var receipts []Receipt
	var problems []error
	for _, week := range c.spool.HeldTokens() {
		receipt, err := c.eraseWeek(ctx, week)
		if err == nil {
			receipts = append(receipts, receipt)
			err = lease.Forget(week)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("client: erase %s: %w", week, err))
		}
	}
	return receipts, errors.Join(problems...)
}

func (c *Client) eraseWeek(ctx context.Context, week period.Period) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := c.dial()
	if err != nil {
		return Receipt{}, err
	}
	defer conn.Close()
	reply, err := collectorv1.NewCollectorClient(conn).Erase(ctx,
		&collectorv1.EraseRequest{UnitToken: c.spool.HeldToken(week), Period: uint32(week)})
	if err != nil {
		return Receipt{}, &RetryError{Code: status.Code(err).String(), After: max(retryDelay(err), time.Second)}
	}
	return Receipt{Week: week.String(), Receipt: reply.GetReceipt(), GoneBy: time.Unix(int64(reply.GetGoneBy())*int64(day/time.Second), 0).UTC()}, nil
}

// Policy asks the collector for the privacy policy in force, the one announced,
// and who answers for the data. It connects, so it is for when the user asks.
func (c *Client) Policy(ctx context.Context) (*collectorv1.GetPolicyResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := c.dial()
	if err != nil {
		return nil, fmt.Errorf("client: policy: %w", err)
	}
	defer conn.Close()
	reply, err := collectorv1.NewCollectorClient(conn).GetPolicy(ctx, &collectorv1.GetPolicyRequest{})
	if err != nil {
		return nil, &RetryError{Code: status.Code(err).String(), After: max(retryDelay(err), time.Second)}
	}
	return reply, nil
}
