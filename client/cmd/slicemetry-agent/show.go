package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func (a *agent) consent(_ context.Context, args []string) error {
	if len(args) != 1 || !slices.Contains([]string{"grant", "refuse", "withdraw", "status"}, args[0]) {
		return fmt.Errorf("%w: consent takes grant, refuse, withdraw or status, after its flags", errUsage)
	}
	return a.with(func(c *client.Client) error {
		switch args[0] {
		case "grant":
			var kinds []string
			if a.kinds != "" {
				kinds = strings.Split(a.kinds, ",")
			}
			if err := c.Grant(uint32(a.policy), kinds...); err != nil {
				return err
			}
		case "refuse", "withdraw":
			if err := c.Refuse(); err != nil {
				return err
			}
		}
		decision := c.Consent()
		if a.json {
			return a.printJSON(decision)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", decision.State, decision.Rule)
		return nil
	})
}

// The errors of what the user asks of the collector.
var (
	errOffline   = errors.New("the collector could not be asked")
	errNotErased = errors.New("not all is erased, and what was not is kept here: ask again later")
)

func (a *agent) erase(ctx context.Context) error {
	return a.with(func(c *client.Client) error {
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
			fmt.Fprintln(a.out, "nothing that was sent can be told apart any more")
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
	return a.with(func(c *client.Client) error {
		policy, err := c.Policy(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errOffline, err)
		}
		fmt.Fprintf(a.out, "%s\n", protojson.Format(policy))
		return nil
	})
}

func (a *agent) flush(ctx context.Context) error {
	return a.withConsent(func(c *client.Client) error {
		if err := c.Flush(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		fmt.Fprintf(a.out, "%d events acknowledged\n", c.Status().Sent)
		return nil
	})
}

func (a *agent) upload(ctx context.Context) error {
	return a.withConsent(func(c *client.Client) error {
		if err := c.UploadIfDue(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		s := c.Status()
		fmt.Fprintf(a.out, "%d events acknowledged; next upload not before %s\n", s.Sent, s.NextUpload.Local().Format("2006-01-02 15:04"))
		return nil
	})
}

func (a *agent) preview(context.Context) error {
	return a.withConsent(func(c *client.Client) error {
		requests, err := c.Preview()
		if err != nil {
			return err
		}
		a.printRequests(requests)
		fmt.Fprintf(a.err, "%d requests are waiting\n", len(requests))
		return nil
	})
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
		fmt.Fprintf(a.out, "kept         %d events waiting in %d bytes, %d batches refused by the collector\n", s.SpoolEvents, s.SpoolBytes, s.Quarantined)
		if d := s.Dropped; d != (client.Dropped{}) {
			fmt.Fprintf(a.out, "dropped      %+v\n", d)
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

// fieldInfo is a field as a person or a program wants to know it.
type fieldInfo struct {
	Message   string   `json:"message"`
	Field     string   `json:"field"`
	Category  string   `json:"category"`
	Purpose   string   `json:"purpose"`
	Sent      string   `json:"sent"`
	Retention string   `json:"retention"`
	Metrics   []string `json:"metrics"`
}

func (a *agent) fields(context.Context) error {
	var list []fieldInfo
	for _, f := range rules.Fields() {
		list = append(list, fieldInfo{f.Message, f.Path, f.Category(), f.Purpose(), f.Coarsening(), f.Retention(), f.Rule.Metrics})
	}
	if a.json {
		return a.printJSON(list)
	}
	for _, f := range list {
		fmt.Fprintf(a.out, "%s.%s\n  %s, for %s\n  sent: %s\n  kept: %s\n", f.Message, f.Field, f.Category, f.Purpose, f.Sent, f.Retention)
		if len(f.Metrics) > 0 {
			fmt.Fprintf(a.out, "  for:  %s\n", strings.Join(f.Metrics, ", "))
		}
	}
	return nil
}

func (a *agent) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
