// Package demo takes a simulated fleet and sample payloads all the way to a
// published page, with the real parts: the client library, the collector as a
// process, an embedded ClickHouse, the aggregator. On the way it kills the
// collector and the database, and at the end it compares what was acknowledged
// with what is stored, and what was published with what is true.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slicemetry/slicemetry/aggregator"
	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

// Config says how large the demonstration is and where it lives.
type Config struct {
	Dir           string // everything that it leaves; what an earlier run left there is removed
	Bin           string // folder of collectord and slicemetry-agent
	Payloads      string // Cura payloads, one a line
	Installations int
	Weeks         int
	Seed          uint64
	Out           io.Writer // progress and results
}

// marker tells a folder that a demonstration made from one that somebody needs.
const marker = ".slicemetry-demo"

// ErrDiffer says that what was acknowledged is not what is stored.
var ErrDiffer = errors.New("acknowledged and stored events differ")

// demo is one run under way.
type demo struct {
	Config
	stack *stack.Stack
	fleet *fleet.Fleet
	weeks []period.Period
	sent  int64 // events acknowledged
	start time.Time
}

// Run runs the demonstration and leaves its stack running for the caller to
// stop, also on an error, unless it is nil.
func Run(ctx context.Context, cfg Config) (*stack.Stack, error) {
	d := &demo{Config: cfg, start: time.Now(), fleet: fleet.New(cfg.Seed, cfg.Installations)}
	if err := prepare(cfg.Dir); err != nil {
		return nil, err
	}
	closed := aggregator.ClosedPeriods(aggregator.Config{})
	d.weeks = closed[max(0, len(closed)-cfg.Weeks):]
	if len(d.weeks) < cfg.Weeks {
		return nil, fmt.Errorf("only %d closed weeks are young enough to be collected, want %d", len(d.weeks), cfg.Weeks)
	}
	d.say("Starting ClickHouse and a collector (TLS, on loopback) in %s", cfg.Dir)
	var err error
	d.stack, err = stack.Start(ctx, stack.Config{
		Dir: cfg.Dir, Collector: filepath.Join(cfg.Bin, "collectord"),
		// All installations share one address here, and nobody wants to wait a minute.
		Flags: []string{"-limit-rate", "0", "-retry-after", "300ms", "-flush-age", "50ms"},
	})
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{d.record, d.importCura, d.check, d.publish, d.compare} {
		if err := step(ctx); err != nil {
			return d.stack, err
		}
	}
	d.say("Done in %.0f s.", time.Since(d.start).Seconds())
	return d.stack, nil
}

// say prints a line with the time since the start.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "%6.1f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

// prepare empties the folder, if it is a demonstration's.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, marker)); err != nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty and no demonstration made it", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
}

// check compares what was acknowledged with what is stored.
func (d *demo) check(ctx context.Context) error {
	read, rows, err := d.stack.Stored(ctx)
	if err != nil {
		return err
	}
	if uint64(d.sent) != read {
		return fmt.Errorf("%w: %d and %d", ErrDiffer, d.sent, read)
	}
	d.say("%d events acknowledged, %d read back, each once (%d repetitions were folded)", d.sent, read, rows-read)
	return nil
}

// publish releases the weeks and writes the page.
func (d *demo) publish(ctx context.Context) error {
	conn, err := d.stack.Connect(migrations.Aggregator)
	if err != nil {
		return err
	}
	defer conn.Close()
	cfg := aggregator.Config{}
	for _, week := range d.weeks {
		outcomes, err := aggregator.Publish(ctx, conn, cfg, week)
		if err != nil {
			return err
		}
		released := 0
		for _, o := range outcomes {
			if o.Result == aggregator.Released {
				released++
			}
		}
		d.say("Published %s: %d statistics, all together (1, 1e-8)-differentially private", week, released)
	}
	site := filepath.Join(d.Dir, "site")
	operator, err := d.stack.Operator()
	if err != nil {
		return err
	}
	if err := aggregator.Site(ctx, conn, cfg, operator, site); err != nil {
		return err
	}
	d.say("The page is %s", filepath.Join(site, "index.html"))
	return nil
}

// shown is how many machines are printed.
const shown = 10

// compare prints what was published of the last week beside what is true. The
// machines that are shown are those that are truly the most used: choosing them
// by the published numbers would pick the luckiest noise.
func (d *demo) compare(ctx context.Context) error {
	conn, err := d.stack.Connect(migrations.Analyst)
	if err != nil {
		return err
	}
	defer conn.Close()
	week := d.weeks[len(d.weeks)-1]
	rows, err := conn.Query(ctx, `SELECT machine, value, ci95_lo, ci95_hi FROM published.installations_by_machine WHERE period = $1`, week.Start())
	if err != nil {
		return err
	}
	defer rows.Close()
	truth := d.truth(week)
	var list []row
	inside := 0
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.machine, &r.value, &r.low, &r.high); err != nil {
			return err
		}
		r.truth = float64(truth[r.machine])
		if r.inside() {
			inside++
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.truth, a.truth), strings.Compare(a.machine, b.machine))
	})
	fmt.Fprintf(d.Out, "\nInstallations by machine, %s\n\n  %-28s %9s   %-17s %6s\n", week, "machine", "published", "95 % interval", "true")
	for _, r := range list[:min(shown, len(list))] {
		note := ""
		if !r.inside() {
			note = "  outside, as one in twenty is"
		}
		fmt.Fprintf(d.Out, "  %-28s %9.0f   [%6.0f, %6.0f] %6.0f%s\n", r.machine, r.value, r.low, r.high, r.truth, note)
	}
	fmt.Fprintf(d.Out, "\n  Of all %d machines %.1f %% of the true values lie in their interval.\n\n", len(list), 100*float64(inside)/float64(len(list)))
	return nil
}

// row is one machine: what was published, and what is true.
type row struct {
	machine                 string
	value, low, high, truth float64
}

func (r row) inside() bool { return r.truth >= r.low && r.truth <= r.high }

// truth counts the installations of each machine that were active in a week.
func (d *demo) truth(week period.Period) map[string]int {
	count := map[string]int{}
	for i := range d.fleet.Size() {
		var machines []string
		for _, s := range d.fleet.Week(i, week).Slices {
			if !slices.Contains(machines, s.Machine) {
				machines = append(machines, s.Machine)
			}
		}
		for _, m := range machines {
			count[m]++
		}
	}
	return count
}
