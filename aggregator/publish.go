package aggregator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// Result is what became of a metric of a period.
type Result string

// The results.
const (
	Released   Result = "released"        // now
	Stored     Result = "stored"          // before; the stored rows stand
	Withheld   Result = "withheld_budget" // the period's budget does not suffice
	Incomplete Result = "incomplete"      // another run is at it, or died: its budget is lost
	Changed    Result = "changed"         // its definition is not the one that was released
	Gone       Result = "gone"            // not released before the raw rows were dropped
)

// Results are all of them, the good ones first.
var Results = []Result{Released, Stored, Withheld, Incomplete, Changed, Gone}

// Outcome is the result of one metric of one period.
type Outcome struct {
	Week   string `json:"period"`
	Metric string `json:"metric"`
	Result Result `json:"result"`
}

// Closed reports whether a period may be published: it is over and so is its grace.
func Closed(c Config, p period.Period) bool { return !c.now().Before(p.End().Add(c.grace())) }

// ClosedPeriods returns the closed periods whose raw rows may still be there, in
// order. It depends on the clock alone: whether a week without a single row is
// published must not tell that there was none.
func ClosedPeriods(c Config) []period.Period {
	var list []period.Period
	for p := period.Of(c.now()); !p.Expired(c.now().Add(dropEarly)); p = p.Previous() {
		if Closed(c, p) {
			list = append(list, p)
		}
	}
	slices.Reverse(list)
	return list
}

// Publish releases every metric of the periods that is not released yet. Running
// it again, or twice at a time, is harmless. On an error the periods before it
// are done.
func Publish(ctx context.Context, conn Conn, c Config, periods ...period.Period) ([]Outcome, error) {
	split, err := c.plan()
	if err != nil {
		return nil, err
	}
	run := rand.Text()
	r := &publisher{conn: conn, config: c, plan: split, ledger: ledger.New(conn, run, c.now)}
	outcomes := []Outcome{}
	for _, p := range periods {
		done, err := r.period(ctx, p)
		outcomes = append(outcomes, done...)
		if err != nil {
			return outcomes, fmt.Errorf("aggregator: publish %s: %w", p, err)
		}
	}
	return outcomes, nil
}

// publisher is one run.
type publisher struct {
	conn   Conn
	config Config
	plan   plan.Plan
	ledger *ledger.Ledger
}

func (r *publisher) period(ctx context.Context, p period.Period) ([]Outcome, error) {
	if !p.Valid() || !Closed(r.config, p) {
		return nil, ErrOpen
	}
	complete, err := releases(ctx, r.conn, p)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for i, d := range r.plan.Designs {
		result, err := r.metric(ctx, p, d, complete)
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", d.Metric.Name, err)
		}
		outcomes = append(outcomes, Outcome{p.String(), d.Metric.Name, result})
		r.config.progress("%s  %2d of %d  %-34s %s", p, i+1, len(r.plan.Designs), d.Metric.Name, result)
	}
	return outcomes, nil
}

// releases returns the complete releases of a period by metric.
func releases(ctx context.Context, conn Conn, p period.Period) (map[string]publish.Release, error) {
	all, err := publish.Releases(ctx, conn)
	if err != nil {
		return nil, err
	}
	complete := map[string]publish.Release{}
	for _, r := range all {
		if r.Period == p {
			complete[r.Metric] = r
		}
	}
	return complete, nil
}

// metric releases one metric of one period, or says why not.
func (r *publisher) metric(ctx context.Context, p period.Period, d release.Design, complete map[string]publish.Release) (Result, error) {
	if done, ok := complete[d.Metric.Name]; ok {
		return resultOf(done, d), nil
	}
	if gone, err := r.gone(ctx, p); gone || err != nil {
		return Gone, err
	}
	grant, err := r.ledger.Reserve(ctx, r.charge(p, d))
	switch {
	case errors.Is(err, ledger.ErrTaken), errors.Is(err, ledger.ErrWithheld):
		return r.settle(ctx, p, d)
	case errors.Is(err, ledger.ErrChanged):
		return Changed, nil
	case err != nil:
		return "", err
	}
	cells, err := bound.Read(ctx, r.conn, grant, d.Metric)
	if err != nil {
		return "", err
	}
	// Rows that went while they were read make no statistic.
	if gone, err := r.gone(ctx, p); gone || err != nil {
		return Gone, err
	}
	table, err := release.New(grant, d, cells)
	if err != nil {
		return "", err
	}
	return Released, publish.Write(ctx, r.conn, table, r.plan.Promise.Delta)
}

func resultOf(done publish.Release, d release.Design) Result {
	switch {
	case done.Status == publish.Withheld:
		return Withheld
	case done.Definition != d.Metric.Hash():
		return Changed
	}
	return Stored
}

// gone reports whether the period's rows are dropped, or due to be.
func (r *publisher) gone(ctx context.Context, p period.Period) (bool, error) {
	dropped, err := r.ledger.Dropped(ctx)
	return dropped[p] || p.Expired(r.config.now()), err
}

func (r *publisher) charge(p period.Period, d release.Design) ledger.Charge {
	return ledger.Charge{
		Period: p, Metric: d.Metric.Name, Definition: d.Metric.Hash(), CatalogueVersion: catalog.Version,
		BudgetMu2: r.plan.Mu2, Mu2: d.Mu2(),
		Sensitivity: d.Cells.Sensitivity, Sigma: d.Cells.Sigma, ClipSigma: d.Clip.Sigma,
	}
}

// settle finishes what another run reserved: it completes a release whose rows
// are stored and marks one that found no budget. Nothing is drawn.
func (r *publisher) settle(ctx context.Context, p period.Period, d release.Design) (Result, error) {
	list, err := r.ledger.Period(ctx, p)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(x ledger.Reservation) bool { return x.Metric == d.Metric.Name })
	if i < 0 {
		return Incomplete, nil
	}
	if list[i].Mu2 == 0 {
		return Withheld, publish.Withhold(ctx, r.conn, d, list[i])
	}
	err = publish.Complete(ctx, r.conn, d, list[i])
	if errors.Is(err, publish.ErrIncomplete) {
		return Incomplete, nil
	}
	return Stored, err
}
