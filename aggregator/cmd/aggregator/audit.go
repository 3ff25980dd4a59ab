package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/aggregator"
)

const auditHelp = `Bounds made-up rows, adds noise and writes what would be published, -trials times with
fresh noise each, by the code that publishes. It needs no database, keeps no account,
and refuses to run where a database is configured (AGGREGATOR_CLICKHOUSE, -clickhouse):
noise about people is drawn once.

The spec, YAML or JSON:

  epsilon: 1                     # of everything published together; above 0, at most 100
  delta: 1e-8                    # 1e-14 to 0.5
  metrics:
    - name: slices_by_machine
      statistic: events          # installations | events | sum | histogram
      keys:                      # none: one number
        - column: machine
          values: [a, b, other]  # public; every one is published
          otherwise: other       # takes what is not in the list; without it that is dropped
      bounds:                    # of one unit; a histogram (one vote, in millionths) has none
        keys: 2                  # keys that it counts for (L0)
        per_key: 40              # added to one key
        total: 50                # added to all keys together
      share: 500                 # of the budget, in thousandths; default: equal shares
    - name: brands
      statistic: installations   # bounds: keys only
      keys:
        - column: brand          # no values: selected by a threshold over noise,
      threshold_delta: 1e-9      # which spends this part of delta
      bounds: {keys: 3}

The rows, one a line. A value is an integer of any size (below 0 counts as 0) and is of
sums only; a row counts as one in the others:

  {"unit": "installation 1", "keys": {"machine": "a", "brand": "x"}, "value": 300}

What comes out, one line for each trial, metric and key:

  {"trial":0,"metric":"slices_by_machine","keys":{"machine":"a"},"value_raw":17,"value":17,
   "std_err":72.1,"ci95_lo":0,"ci95_hi":159,"status":"low_confidence",...}

Example:
  aggregator audit -spec spec.yaml -in rows.ndjson -trials 5000 -out out.ndjson`

// auditFlags are the flags of audit.
type auditFlags struct {
	spec, in, out, clickhouse string
	trials                    int
}

func auditCommand(out, errOut io.Writer) *ffcli.Command {
	var f auditFlags
	fs := flag.NewFlagSet("aggregator audit", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.StringVar(&f.spec, "spec", "", "what to release, a file")
	fs.StringVar(&f.in, "in", "-", "made-up rows, a file; -: standard input")
	fs.StringVar(&f.out, "out", "-", "what is published, a file; -: standard output")
	fs.IntVar(&f.trials, "trials", 1, "how often to release")
	fs.StringVar(&f.clickhouse, "clickhouse", "", "must not be set, here or in the environment")
	return &ffcli.Command{
		Name: "audit", ShortUsage: "aggregator audit -spec FILE [-in FILE] [-trials N] [-out FILE]", ShortHelp: "release made-up rows, to test the promise",
		LongHelp: auditHelp, FlagSet: fs,
		Options: []ff.Option{ff.WithEnvVarPrefix("AGGREGATOR")},
		Exec:    func(_ context.Context, args []string) error { return f.run(args, out) },
	}
}

func (f auditFlags) run(args []string, out io.Writer) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("%w: aggregator audit takes no arguments, only flags (see -h)", errUsage)
	case f.clickhouse != "":
		return fmt.Errorf("%w: aggregator audit does not run where a database is configured (AGGREGATOR_CLICKHOUSE or -clickhouse): noise about people is drawn once", errUsage)
	case f.spec == "":
		return fmt.Errorf("%w: aggregator audit wants -spec FILE", errUsage)
	case f.trials < 1:
		return fmt.Errorf("%w: -trials is %d, want at least 1", errUsage, f.trials)
	}
	text, err := os.ReadFile(f.spec)
	if err != nil {
		return fmt.Errorf("aggregator: audit: %w", err)
	}
	spec, err := aggregator.ParseAuditSpec(f.spec, text)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return f.release(spec, out)
}

// release opens what is read and written; the output only when the rest is there.
func (f auditFlags) release(spec *aggregator.AuditSpec, out io.Writer) (err error) {
	in, name := io.Reader(os.Stdin), "standard input"
	if f.in != "-" {
		file, err := os.Open(f.in)
		if err != nil {
			return fmt.Errorf("aggregator: audit: %w", err)
		}
		defer file.Close()
		in, name = file, f.in
	}
	if f.out != "-" {
		file, createErr := os.Create(f.out)
		if createErr != nil {
			return fmt.Errorf("aggregator: audit: %w", createErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	return aggregator.Audit(spec, name, in, f.trials, out)
}
