// Package plan splits the budget of a period over the metrics and says what
// results: how exact each will be, and what all of them together promise. It
// reads no data.
package plan

import (
	"fmt"
	"math"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// The assumptions behind expected errors. They are guesses, stated so that they
// can be replaced; no number of a release depends on them.
const (
	// AssumedActive is the part of a fleet that prepares outputs in a week.
	AssumedActive = 0.65
	// AssumedCell is the part of a metric's total in the cell whose error is given.
	AssumedCell = 0.1
)

// AssumedFleets are the fleets for which errors are expected.
var AssumedFleets = [3]int{10_000, 100_000, 1_000_000}

// Plan is the split of a budget.
type Plan struct {
	Promise gdp.Promise
	Mu2     float64          // of the promise
	Designs []release.Design // in the order of metrics' names
}

// New splits a promise over the approved metrics.
func New(promise gdp.Promise) (Plan, error) { return Split(promise, metrics.All()) }

// Split splits a promise over metrics, whose shares MUST add up to at most
// metrics.Whole: all of them together then keep it.
func Split(promise gdp.Promise, list []*metrics.Metric) (Plan, error) {
	mu, err := promise.Mu()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Promise: promise, Mu2: mu * mu}
	for _, m := range list {
		d, err := release.NewDesign(m, p.Mu2*float64(m.Share)/metrics.Whole)
		if err != nil {
			return Plan{}, fmt.Errorf("plan: %w", err)
		}
		p.Designs = append(p.Designs, d)
	}
	return p, nil
}

// Mu returns the mu of everything that is published about one period.
func (p Plan) Mu() float64 {
	sum := 0.0
	for _, d := range p.Designs {
		sum += d.Mu2()
	}
	return math.Sqrt(sum)
}

// Outlook is a plan for people to read.
type Outlook struct {
	Epsilon    float64     `json:"epsilon"`
	Delta      float64     `json:"delta"`
	Mu         float64     `json:"mu"`
	Guarantees []Guarantee `json:"guarantees"`
	Metrics    []Metric    `json:"metrics"`
	Means      []Mean      `json:"means"`
}

// Mean is a quotient of two metrics. It spends nothing.
type Mean struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Total   string  `json:"total"`
	Count   string  `json:"count"`
	Unit    string  `json:"unit"`
	Minimum float64 `json:"minimum"`
	Maximum float64 `json:"maximum"`
	// Errors are those of the two in quadrature, which holds to first order: where
	// one is above a fifth or so the interval is wider, and not symmetric.
	Errors [3]float64 `json:"relative_errors"`
}

// Guarantee is the exact promise about an installation that is active in some
// number of weeks: everything that is ever published about them, together.
type Guarantee struct {
	Weeks   int     `json:"weeks"`
	Epsilon float64 `json:"epsilon"`
	Delta   float64 `json:"delta"`
}

// Metric is how one metric will be released.
type Metric struct {
	Name        string  `json:"name"`
	Title       string  `json:"title"`
	Statistic   string  `json:"statistic"`
	Unit        string  `json:"unit"`
	Cells       int     `json:"cells"`
	Share       float64 `json:"share"`   // of the budget
	Mu2         float64 `json:"mu2"`     // spent
	Epsilon     float64 `json:"epsilon"` // of the metric alone
	CapKeys     int64   `json:"cap_keys"`
	CapPerKey   float64 `json:"cap_per_key"` // in the unit
	CapTotal    float64 `json:"cap_total"`
	Sensitivity float64 `json:"sensitivity"`
	Sigma       float64 `json:"sigma"`
	ClipSigma   float64 `json:"clip_sigma,omitempty"` // in installations
	// Errors are the standard deviation of the noise over the value of a cell with
	// a tenth of the whole (of the whole, where there is one cell), for fleets of
	// AssumedFleets installations.
	Errors [3]float64 `json:"relative_errors"`
}

// Outlook says what the plan leads to.
func (p Plan) Outlook() Outlook {
	o := Outlook{Epsilon: p.Promise.Epsilon, Delta: p.Promise.Delta, Mu: p.Mu()}
	for _, weeks := range []int{1, 5, 52} {
		o.Guarantees = append(o.Guarantees, Guarantee{weeks, gdp.Epsilon(gdp.Compose(o.Mu, weeks), o.Delta), o.Delta})
	}
	for _, d := range p.Designs {
		o.Metrics = append(o.Metrics, metric(d, o.Delta))
	}
	o.Means = means(o.Metrics)
	return o
}

// means says how exact the quotients of metrics are: those of which both are here.
func means(list []Metric) []Mean {
	byName := map[string]Metric{}
	for _, m := range list {
		byName[m.Name] = m
	}
	found := []Mean{}
	for _, m := range metrics.Means() {
		total, ok := byName[m.Total.Name]
		count, both := byName[m.Count.Name]
		if !ok || !both {
			continue
		}
		out := Mean{Name: m.Name, Title: m.Title, Total: total.Name, Count: count.Name, Unit: m.Unit, Minimum: m.Minimum, Maximum: m.Maximum}
		for i := range AssumedFleets {
			out.Errors[i] = math.Hypot(total.Errors[i], count.Errors[i])
		}
		found = append(found, out)
	}
	return found
}

func metric(d release.Design, delta float64) Metric {
	m, scale := d.Metric, float64(d.Metric.Scale)
	out := Metric{
		Name: m.Name, Title: m.Title, Statistic: string(m.Statistic), Unit: m.Unit, Cells: m.Cells(),
		Share: float64(m.Share) / metrics.Whole, Mu2: d.Mu2(), Epsilon: d.Epsilon(delta),
		CapKeys: m.Bounds.Keys, CapPerKey: float64(m.Bounds.PerKey) / scale, CapTotal: float64(m.Bounds.Total) / scale,
		Sensitivity: d.Cells.Sensitivity / scale, Sigma: d.Cells.Sigma / scale, ClipSigma: d.Clip.Sigma,
	}
	for i, fleet := range AssumedFleets {
		out.Errors[i] = out.Sigma / Expected(m, fleet)
	}
	return out
}
