package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/aggregator"
	"github.com/slicemetry/slicemetry/internal/period"
)

func planCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("plan", out, errOut)
	return s.new(fs, "plan", " [-json]", "print what will be published and what it promises", `Prints how the budget of a week is split over the metrics, the noise and the caps
that result, what errors to expect, and the exact guarantee. It needs no database.`,
		func(context.Context) error {
			o, err := aggregator.Plan(s.config)
			if err != nil {
				return err
			}
			return s.print(o, func(w io.Writer) error { return printPlan(w, o) })
		})
}

func publishCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("publish", out, errOut)
	s.database(fs)
	s.grace(fs)
	week := fs.String("period", "", "the ISO week, such as 2026-W46")
	all := fs.Bool("all-closed", false, "every closed week whose rows may still be there")
	return s.new(fs, "publish", " -period 2026-W46 | -all-closed", "release the metrics of a week, once", `Reserves, bounds, noises and stores every metric that is not published yet. What is
published stays as it is. Progress goes to standard error, the results to standard output:

  released         now
  stored           before
  withheld_budget  the week's budget does not suffice
  incomplete       another run is at it, or one died as it drew and its budget is lost
  changed          its definition is not the one that was published
  gone             not published before the raw rows were dropped`,
		func(ctx context.Context) error {
			periods, err := choose(s.config, *week, *all)
			if err != nil {
				return err
			}
			s.config.Progress = errOut
			return s.with(ctx, func(conn aggregator.Conn) error {
				outcomes, err := aggregator.Publish(ctx, conn, s.config, periods...)
				if printErr := s.print(outcomes, func(w io.Writer) error { return printOutcomes(w, outcomes) }); err == nil {
					err = printErr
				}
				return err
			})
		})
}

// choose turns the flags of publish into periods.
func choose(c aggregator.Config, week string, all bool) ([]period.Period, error) {
	switch {
	case all == (week != ""):
		return nil, fmt.Errorf("%w: aggregator publish wants either -period 2026-W46 or -all-closed", errUsage)
	case all:
		return aggregator.ClosedPeriods(c), nil
	}
	p, err := period.Parse(week)
	if err != nil {
		return nil, fmt.Errorf("%w: -period: %w", errUsage, err)
	}
	return []period.Period{p}, nil
}

func ledgerCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("ledger", out, errOut)
	s.database(fs)
	verbose := fs.Bool("v", false, "list every reservation")
	return s.new(fs, "ledger", " [-v] [-json]", "print what was spent on which week", "", func(ctx context.Context) error {
		return s.with(ctx, func(conn aggregator.Conn) error {
			accounts, err := aggregator.Ledger(ctx, conn, s.config)
			if err != nil {
				return err
			}
			return s.print(accounts, func(w io.Writer) error { return printLedger(w, accounts, *verbose) })
		})
	})
}

func siteCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("site", out, errOut)
	s.database(fs)
	dir := fs.String("out", "", "directory of the pages; made where there is none")
	policy := fs.String("policy", "", "the collectors' policy file, for who answers for the data")
	return s.new(fs, "site", " -out DIR -policy FILE", "write pages of everything published", `Reads published tables only: -clickhouse may be the user analyst.

Every page names who answers for the data and whom to ask. They come from the file
that collectord reads with -policy, of which this takes "operator", "privacy_contact",
"complaints" and "answer_days". Where one is missing no page is written.`, func(ctx context.Context) error {
		if *dir == "" || *policy == "" {
			return fmt.Errorf("%w: aggregator site wants -out DIR and -policy FILE", errUsage)
		}
		operator, err := readOperator(*policy)
		if err != nil {
			return err
		}
		return s.with(ctx, func(conn aggregator.Conn) error {
			if err := aggregator.Site(ctx, conn, s.config, operator, *dir); err != nil {
				return err
			}
			_, err := fmt.Fprintf(errOut, "open %s/index.html\n", *dir)
			return err
		})
	})
}

// readOperator reads who answers for the data.
func readOperator(policy string) (aggregator.Operator, error) {
	data, err := os.ReadFile(policy)
	if err != nil {
		return aggregator.Operator{}, fmt.Errorf("aggregator: site: %w", err)
	}
	operator, err := aggregator.ParseOperator(data)
	if err != nil {
		return aggregator.Operator{}, fmt.Errorf("aggregator: site: %s: %w", policy, err)
	}
	return operator, nil
}

func dropCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("drop", out, errOut)
	s.database(fs)
	s.grace(fs)
	fs.DurationVar(&s.config.Margin, "margin", aggregator.DefaultMargin, "how long rows are kept after their week is published")
	return s.new(fs, "drop", " [-margin 168h]", "remove raw rows that are done with", `Drops the raw rows of weeks that are published and past the margin, and of weeks
that ended 29 days ago whatever happened: run it every day and no row sees its 30th.`,
		func(ctx context.Context) error {
			return s.with(ctx, func(conn aggregator.Conn) error {
				report, err := aggregator.Drop(ctx, conn, s.config)
				if printErr := s.print(report, func(w io.Writer) error { return printDrops(w, report) }); err == nil {
					err = printErr
				}
				return err
			})
		})
}
