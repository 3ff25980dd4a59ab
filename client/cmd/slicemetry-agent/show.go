package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func (a *agent) consent(_ context.Context, args []string) error {
	if len(args) != 1 {
		return flag.ErrHelp
	}
	return a.with(func(c *client.Client) error {
		switch args[0] {
		case "grant":
			if err := c.Grant(uint32(a.policy)); err != nil {
				return err
			}
		case "refuse":
			if err := c.Refuse(); err != nil {
				return err
			}
		case "status":
		default:
			return flag.ErrHelp
		}
		decision := c.Consent()
		if a.json {
			return a.printJSON(decision)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", decision.State, decision.Rule)
		return nil
	})
}

func (a *agent) flush(ctx context.Context, _ []string) error {
	return a.withConsent(func(c *client.Client) error {
		if err := c.Flush(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
		fmt.Fprintf(a.out, "%d events acknowledged\n", c.Status().Sent)
		return nil
	})
}

func (a *agent) preview(context.Context, []string) error {
	return a.withConsent(func(c *client.Client) error {
		requests, err := c.Preview()
		if err != nil {
			return err
		}
		for _, r := range requests {
			fmt.Fprintf(a.out, "%s\n", protojson.Format(r.Message))
		}
		fmt.Fprintf(a.err, "%d requests are waiting\n", len(requests))
		return nil
	})
}

func (a *agent) status(context.Context, []string) error {
	return a.with(func(c *client.Client) error {
		s := c.Status()
		if a.json {
			return a.printJSON(s)
		}
		fmt.Fprintf(a.out, "consent      %s (%s)\n", s.Consent.State, s.Consent.Rule)
		fmt.Fprintf(a.out, "kept         %d bytes, %d batches waiting, %d refused by the collector\n", s.SpoolBytes, s.SpoolBatches, s.Quarantined)
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

func (a *agent) fields(context.Context, []string) error {
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
