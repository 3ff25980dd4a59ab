package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/aggregator"
)

func poisonCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("poison", out, errOut)
	forged := fs.Int64("forged", 1000, "how many installations are forged")
	return s.new(fs, "poison", " [-forged 1000] [-json]", "print how far forged reports can move each number", `Noise hides one installation; it does not stop a thousand invented ones. What these can
do is bounded by the caps, whatever they send: exactly, and by no more. How many can be
invented is bounded by the collector: -limit-rate batches a second for each network (/24, /48).`,
		func(context.Context) error {
			if *forged < 1 {
				return fmt.Errorf("%w: -forged is %d, want at least 1", errUsage, *forged)
			}
			list, err := aggregator.Poison(s.config, *forged)
			if err != nil {
				return err
			}
			return s.print(list, func(w io.Writer) error { return printPoison(w, list, *forged) })
		})
}

func printPoison(w io.Writer, list []aggregator.Influence, forged int64) error {
	fmt.Fprintf(w, "%d forged installations of one week can add at most what is below. The percentages are of a cell\n"+
		"that holds a tenth of the whole (where there is one cell: of the whole), as in the plan. Up to\n"+
		"\"hidden\" of them move a number by less than its 95 %% interval.\n\n", forged)
	return table(w, func(row func(...any)) {
		row(left("metric"), "to one key", "to all", "unit", "10k %", "100k %", "1M %", "hidden")
		for _, i := range list {
			row(left(i.Metric), i.Key, i.Total, i.Unit, percent(i.Errors[0]), percent(i.Errors[1]), percent(i.Errors[2]), i.Hidden)
		}
	})
}

func tuneCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("tune", out, errOut)
	metric := fs.String("metric", "", "a metric of events or a sum")
	in := fs.String("in", "", "made-up rows, as audit reads them; none: some are made up")
	return s.new(fs, "tune", " -metric NAME [-in FILE] [-json]", "print what other caps of a metric would win and cost", `What is above a cap is lost; what a cap allows is noised. Prints both for caps from an
eighth to eight times the approved ones, on made-up rows: caps that were chosen by looking at
what people reported would tell something of them. * marks the smallest error of a fleet.`,
		func(context.Context) error {
			if *metric == "" {
				return fmt.Errorf("%w: aggregator tune wants -metric NAME", errUsage)
			}
			var rows io.Reader
			if *in != "" {
				file, err := os.Open(*in)
				if err != nil {
					return fmt.Errorf("aggregator: tune: %w", err)
				}
				defer file.Close()
				rows = file
			}
			list, err := aggregator.Tune(s.config, *metric, *in, rows)
			if err != nil {
				return err
			}
			return s.print(list, func(w io.Writer) error { return printTune(w, list) })
		})
}

func printTune(w io.Writer, list []aggregator.CapChoice) error {
	return table(w, func(row func(...any)) {
		row("caps x", "cap", "total", "lost %", "sigma", "noise: 10k %", "100k %", "1M %", "both: 10k %", "100k %", "1M %")
		for i, c := range list {
			cells := []any{c.Factor, c.CapKey, c.CapTotal, percent(c.Lost), fmt.Sprintf("%.1f", c.Sigma), percent(c.Noise[0]), percent(c.Noise[1]), percent(c.Noise[2])}
			for fleet, e := range c.Error {
				mark := ""
				if aggregator.BestCaps(list, fleet) == i {
					mark = "*"
				}
				cells = append(cells, mark+percent(e))
			}
			row(cells...)
		}
	})
}
