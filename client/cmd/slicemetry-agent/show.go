package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slicemetry/slicemetry/client"
)

// The errors of what the user asks of the collector.
var (
	errOffline   = errors.New("the collector could not be asked")
	errNotErased = errors.New("not all is erased, and what was not is kept here: ask again later")
)

func (a *agent) erase(ctx context.Context) error {
	return a.connected(func(c *client.Client) error {
		receipts, err := c.Erase(ctx)
		if err != nil {
			err = fmt.Errorf("%w: %w", errNotErased, err)
		}
		if a.json {
			return errors.Join(err, a.printJSON(append([]client.Receipt{}, receipts...)))
		}
		for _, r := range receipts {
			fmt.Fprintf(a.out, "%s  erased, no copy is left by %s, receipt %x\n", r.Week, r.GoneBy.Format(time.DateOnly), r.Receipt)
		}
		if err == nil && len(receipts) == 0 {
			fmt.Fprintln(a.out, "there is no week whose random number is still held: what was sent cannot be told apart, and is gone 30 days after its week")
		}
		return err
	})
}

func (a *agent) export(context.Context) error {
	return a.with(func(c *client.Client) error { return c.Export(a.out, client.Format(a.format)) })
}

func (a *agent) sent(context.Context) error {
	return a.with(func(c *client.Client) error {
		requests, err := c.Sent()
		if err != nil {
			return err
		}
		a.printRequests(requests)
		fmt.Fprintf(a.err, "%d requests are kept\n", len(requests))
		return nil
	})
}

func (a *agent) policyInForce(ctx context.Context) error {
	return a.connected(func(c *client.Client) error {
		policy, err := c.Policy(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errOffline, err)
		}
		fmt.Fprintf(a.out, "%s\n", protojson.Format(policy))
		return nil
	})
}

func (a *agent) preview(context.Context) error {
	return a.with(agreed(func(c *client.Client) error {
		requests, err := c.Preview()
		if err != nil {
			return err
		}
		a.printRequests(requests)
		fmt.Fprintf(a.err, "%d requests are waiting\n", len(requests))
		return nil
	}))
}

// printRequests prints requests for people, or with -json one a line, decoded and
// as the octets that go into gRPC.
func (a *agent) printRequests(requests []client.Request) {
	for _, r := range requests {
		if !a.json {
			fmt.Fprintf(a.out, "%s\n", protojson.Format(r.Message))
			continue
		}
		message, err := protojson.Marshal(r.Message)
		if err != nil {
			continue // it was decoded a moment ago, so this does not happen
		}
		_ = json.NewEncoder(a.out).Encode(struct {
			Request json.RawMessage `json:"request"`
			Octets  []byte          `json:"octets"`
		}{message, r.Octets})
	}
}

func (a *agent) status(context.Context) error {
	return a.with(func(c *client.Client) error {
		s := c.Status()
		if a.json {
			return a.printJSON(s)
		}
		fmt.Fprintf(a.out, "consent      %s (%s)\n", s.Consent.State, s.Consent.Rule)
		if s.Consent.State == client.Granted {
			fmt.Fprintf(a.out, "kinds        %s\n", strings.Join(s.Consent.Categories, ", "))
		}
		fmt.Fprintf(a.out, "kept         %d events and counters waiting in %d bytes, %d batches refused by the collector\n", s.SpoolEvents, s.SpoolBytes, s.Quarantined)
		if d := s.Dropped; d != (client.Dropped{}) {
			fmt.Fprintf(a.out, "dropped      %s\n", causes(d))
		}
		if s.LastError != "" {
			fmt.Fprintf(a.out, "last upload  failed: %s\n", s.LastError)
		}
		if s.Notice != nil {
			fmt.Fprintf(a.out, "notice       version %d of the privacy policy takes effect on %s; see \"policy\"\n", s.Notice.Version, s.Notice.Effective.Format(time.DateOnly))
		}
		if !s.NextUpload.IsZero() {
			fmt.Fprintf(a.out, "next upload  not before %s\n", s.NextUpload.Local().Format("2006-01-02 15:04"))
		}
		return nil
	})
}

// causes lists why events were dropped, and how many for each reason.
func causes(d client.Dropped) string {
	var list []string
	for _, c := range []struct {
		n   int64
		why string
	}{
		{d.QueueFull, "recorded faster than the disk takes"}, {d.Disk, "the disk is full or cannot be written to"}, {d.TooMany, "more than a week's limit"},
		{d.Nil, "empty"}, {d.Defect, "a defect"}, {int64(d.Capped), "the spool was full"}, {int64(d.Expired), "too old"},
		{int64(d.Removed), "removed by somebody else"}, {int64(d.Damaged), "damaged"}, {int64(d.Refused), "refused by the collector"},
	} {
		if c.n > 0 {
			list = append(list, fmt.Sprintf("%d: %s", c.n, c.why))
		}
	}
	return strings.Join(list, "; ")
}

func (a *agent) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
