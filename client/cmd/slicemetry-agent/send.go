package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/slicemetry/slicemetry/client"
)

func (a *agent) flush(ctx context.Context) error {
	return a.connected(agreed(func(c *client.Client) error {
		if err := c.Flush(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		fmt.Fprintf(a.out, "%d events acknowledged\n", c.Status().Sent)
		return nil
	}))
}

func (a *agent) upload(ctx context.Context) error {
	if a.wait {
		if err := a.waitIfDue(ctx); err != nil {
			return err
		}
	}
	return a.connected(agreed(func(c *client.Client) error {
		if err := c.UploadIfDue(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		s := c.Status()
		fmt.Fprintf(a.out, "%d events acknowledged; next upload not before %s\n", s.Sent, s.NextUpload.Local().Format("2006-01-02 15:04"))
		return nil
	}))
}

// waitIfDue waits where something would be sent now. No client is open meanwhile:
// the user may decide otherwise, and another process send.
func (a *agent) waitIfDue(ctx context.Context) error {
	due := false
	err := a.with(agreed(func(c *client.Client) error {
		s := c.Status()
		due = s.SpoolEvents > 0 && !s.NextUpload.IsZero() && !s.NextUpload.After(time.Now())
		return nil
	}))
	if err != nil || !due {
		return err
	}
	select {
	case <-time.After(client.QuietStart + rand.N(client.QuietStart)):
		return nil
	case <-ctx.Done():
		return errNotSent
	}
}
