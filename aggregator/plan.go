package aggregator

import (
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

// Outlook is a plan: what will be published, and what it promises.
type Outlook struct {
	Epsilon    float64     `json:"epsilon"`
	Delta      float64     `json:"delta"`
	Mu         float64     `json:"mu"`
	Guarantees []Guarantee `json:"guarantees"`
	Metrics    []Planned   `json:"metrics"`
}

// Guarantee is the exact promise about an installation that is active in some
// number of weeks: everything that is ever published, together.
type Guarantee struct {
	Weeks   int     `json:"weeks"`
	Epsilon float64 `json:"epsilon"`
	Delta   float64 `json:"delta"`
}

// Planned is how one metric will be released.
type Planned struct {
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

// Plan says how the budget is split and what results. It reads no data.
func Plan(c Config) (Outlook, error) {
	b, err := newBudget(c)
	if err != nil {
		return Outlook{}, err
	}
	mu := b.spends()
	o := Outlook{Epsilon: b.promise.Epsilon, Delta: b.promise.Delta, Mu: mu}
	for _, weeks := range []int{1, 5, 52} {
		o.Guarantees = append(o.Guarantees, Guarantee{weeks, gdp.Epsilon(gdp.Compose(mu, weeks), b.promise.Delta), b.promise.Delta})
	}
	for _, d := range b.designs {
		o.Metrics = append(o.Metrics, planned(d, b.promise.Delta))
	}
	return o, nil
}

func planned(d release.Design, delta float64) Planned {
	m, scale := d.Metric, float64(d.Metric.Scale)
	p := Planned{
		Name: m.Name, Title: m.Title, Statistic: string(m.Statistic), Unit: m.Unit, Cells: m.Cells(),
		Share: float64(m.Share) / metrics.Whole, Mu2: d.Mu2(), Epsilon: d.Epsilon(delta),
		CapKeys: m.Bounds.Keys, CapPerKey: float64(m.Bounds.PerKey) / scale, CapTotal: float64(m.Bounds.Total) / scale,
		Sensitivity: d.Cells.Sensitivity / scale, Sigma: d.Cells.Sigma / scale, ClipSigma: d.Clip.Sigma,
	}
	part := 1.0
	if m.Cells() > 1 {
		part = AssumedCell
	}
	for i, fleet := range AssumedFleets {
		p.Errors[i] = d.Cells.Sigma / (float64(fleet) * AssumedActive * float64(m.Typical) * part)
		p.Errors[i] = math.Round(p.Errors[i]*1e6) / 1e6
	}
	return p
}
