package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/slicemetry/slicemetry/aggregator"
)

// table writes aligned columns.
func table(w io.Writer, fill func(row func(cells ...any))) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fill(func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(t, "%v\t", c)
		}
		fmt.Fprintln(t)
	})
	return t.Flush()
}

func printPlan(w io.Writer, o aggregator.Outlook) error {
	fmt.Fprintf(w, "Everything published about one week is (%g, %g)-differentially private for all that one\ninstallation sent in it (mu %.4f). For an installation that is active in\n", o.Epsilon, o.Delta, o.Mu)
	for _, g := range o.Guarantees {
		fmt.Fprintf(w, "  %2d weeks: epsilon %6.3f at delta %g\n", g.Weeks, g.Epsilon, g.Delta)
	}
	fmt.Fprintf(w, "\nexpected error: standard deviation of the noise over the value of a cell that holds a tenth of\n"+
		"the whole (where there is one cell: the whole), in fleets of 10k, 100k and 1M installations of\n"+
		"which 65 %% are active in a week. It is a guess; the sigma is not.\n\n")
	if err := table(w, func(row func(...any)) {
		row(left("metric"), "statistic", "cells", "share %", "mu2", "epsilon", "keys", "cap", "total", "sigma", "unit", "10k %", "100k %", "1M %")
		for _, m := range o.Metrics {
			row(left(m.Name), m.Statistic, m.Cells, fmt.Sprintf("%.1f", 100*m.Share), fmt.Sprintf("%.6f", m.Mu2), fmt.Sprintf("%.3f", m.Epsilon), m.CapKeys, m.CapPerKey, m.CapTotal,
				fmt.Sprintf("%.1f", m.Sigma), m.Unit, percent(m.Errors[0]), percent(m.Errors[1]), percent(m.Errors[2]))
		}
	}); err != nil {
		return err
	}
	fmt.Fprint(w, "\nmeans: a total by a count of the same week. They cost nothing more.\n\n")
	return table(w, func(row func(...any)) {
		row(left("mean"), "total", "by", "unit", "10k %", "100k %", "1M %")
		for _, m := range o.Means {
			row(left(m.Name), m.Total, m.Count, m.Unit, percent(m.Errors[0]), percent(m.Errors[1]), percent(m.Errors[2]))
		}
	})
}

// left pads a name, so that names begin at one edge in a table of numbers.
func left(s string) string { return fmt.Sprintf("%-33s", s) }

func percent(v float64) string { return fmt.Sprintf("%.2g", 100*v) }

func printOutcomes(w io.Writer, list []aggregator.Outcome) error {
	var weeks []string
	counts := map[string]map[aggregator.Result]int{}
	for _, o := range list {
		if counts[o.Week] == nil {
			weeks = append(weeks, o.Week)
			counts[o.Week] = map[aggregator.Result]int{}
		}
		counts[o.Week][o.Result]++
	}
	for _, week := range weeks {
		fmt.Fprint(w, week)
		for _, r := range aggregator.Results {
			if n := counts[week][r]; n > 0 {
				fmt.Fprintf(w, "  %s %d", r, n)
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}

func printLedger(w io.Writer, accounts []aggregator.Account, verbose bool) error {
	return table(w, func(row func(...any)) {
		row("week", left("metric"), "state", "mu2", "of", "epsilon", "delta")
		for _, a := range accounts {
			row(a.Week, left(fmt.Sprintf("%d metrics", len(a.Entries))), "", fmt.Sprintf("%.6f", a.Mu2), fmt.Sprintf("%.6f", a.Budget), fmt.Sprintf("%.4f", a.Epsilon), a.Delta)
			for _, e := range a.Entries {
				if verbose {
					row("", left(e.Metric), e.State, fmt.Sprintf("%.6f", e.Mu2), "", "", "")
				}
			}
		}
	})
}

func printDrops(w io.Writer, list []aggregator.Dropped) error {
	for _, d := range list {
		state := "kept"
		if d.Dropped {
			state = "dropped"
		}
		if _, err := fmt.Fprintf(w, "%s  %-7s  %s\n", d.Week, state, d.Reason); err != nil {
			return err
		}
	}
	return nil
}
