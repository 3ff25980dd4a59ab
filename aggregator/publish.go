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
	Incomplete Result = "incomplete"      // another run is at it, or died as it drew: its budget is lost
	Reserved   Result = "reserved"        // in the ledger only: not drawn yet, and the next run goes on
	Changed    Result = "changed"         // its definition is not the one that was released
	Gone       Result = "gone"            // not released before the raw rows were dropped
)

// Results are all that publishing has, the good ones first.
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
	return r.release(ctx, p, r.plan.Designs, complete)
}

// release releases metrics of a period, or says why not. All are read together,
// which is when a run takes its time; whoever dies there has drawn nothing, and
// the next run goes on.
func (r *publisher) release(ctx context.Context, p period.Period, designs []release.Design, complete map[string]publish.Release) ([]Outcome, error) {
	outcomes := make([]Outcome, len(designs))
	settled := func(i int, result Result) {
		outcomes[i] = Outcome{p.String(), designs[i].Metric.Name, result}
		r.config.progress("%s  %2d of %d  %-34s %s", p, i+1, len(designs), outcomes[i].Metric, result)
	}
	var indices []int // of the designs that are not settled
	for i, d := range designs {
		if done, ok := complete[d.Metric.Name]; ok {
			settled(i, resultOf(done, d))
		} else {
			indices = append(indices, i)
		}
	}
	if len(indices) == 0 {
		return outcomes, nil
	}
	items, indices, err := r.reserve(ctx, p, designs, indices, settled)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return outcomes, nil
	}
	cells, err := bound.Read(ctx, r.conn, p, items, func(done, of int) { r.config.progress("%s  rows read, %d of %d parts", p, done, of) })
	if err != nil {
		return nil, err
	}
	// Rows that went while they were read make no statistic.
	gone, err := r.gone(ctx, p)
	if err != nil {
		return nil, err
	}
	for k, i := range indices {
		result := Gone
		if !gone {
			if result, err = r.publish(ctx, items[k].Grant, designs[i], cells[k]); err != nil {
				done := slices.DeleteFunc(outcomes, func(o Outcome) bool { return o.Result == "" })
				return done, fmt.Errorf("%s: %w", designs[i].Metric.Name, err)
			}
		}
		settled(i, result)
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

// reserve reserves designs, settles those that cannot be released and returns
// what is to be read for the others.
func (r *publisher) reserve(ctx context.Context, p period.Period, designs []release.Design, indices []int, settled func(int, Result)) ([]bound.Item, []int, error) {
	gone, err := r.gone(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if gone {
		for _, i := range indices {
			settled(i, Gone)
		}
		return nil, nil, nil
	}
	var charges []ledger.Charge
	for _, i := range indices {
		charges = append(charges, r.charge(p, designs[i]))
	}
	answers, err := r.ledger.Reserve(ctx, p, charges...)
	if err != nil {
		return nil, nil, err
	}
	var items []bound.Item
	var left []int
	for k, i := range indices {
		d := designs[i]
		switch err := answers[k].Err; {
		case err == nil:
			items, left = append(items, bound.Item{Grant: answers[k].Grant, Metric: d.Metric}), append(left, i)
		case errors.Is(err, ledger.ErrChanged):
			settled(i, Changed)
		case errors.Is(err, ledger.ErrTaken), errors.Is(err, ledger.ErrWithheld):
			result, err := r.settle(ctx, p, d)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", d.Metric.Name, err)
			}
			settled(i, result)
		default:
			return nil, nil, fmt.Errorf("%s: %w", d.Metric.Name, err)
		}
	}
	return items, left, nil
}

// publish draws the noise for cells and stores what results.
func (r *publisher) publish(ctx context.Context, grant ledger.Grant, d release.Design, cells bound.Cells) (Result, error) {
	draw, err := r.ledger.Draw(ctx, grant)
	if errors.Is(err, ledger.ErrTaken) {
		return r.settle(ctx, cells.Period(), d)
	}
	if err != nil {
		return "", err
	}
	table, err := release.New(draw, d, cells)
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

// settle finishes what another run began: it completes a release whose rows are
// stored and marks one that found no budget. Nothing is drawn.
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
