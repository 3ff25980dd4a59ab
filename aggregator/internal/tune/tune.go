// Package tune shows, on made-up rows, what a higher cap wins and costs, so that
// caps can be chosen: what is above a cap is lost, what a cap allows is noised.
//
// It guarantees to read no data of people: a cap that was chosen by looking at
// them would tell something of them, outside of any budget.
package tune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Spread is the standard deviation of the logarithm of what units add, where
// nothing better is known: the busiest hundredth does some ten times the median.
const Spread = 1.0

// week only salts the order in which keys are kept.
var week = period.Period(4 + 7*2600)

// factors are what the caps of a metric are multiplied by.
var factors = []float64{0.125, 0.25, 0.5, 1, 2, 4, 8}

// Choice is what caps lead to.
type Choice struct {
	Factor   float64    `json:"factor"` // of the approved caps
	CapKey   float64    `json:"cap_per_key"`
	CapTotal float64    `json:"cap_total"`
	Lost     float64    `json:"lost"`            // part of the whole that the caps cut
	Sigma    float64    `json:"sigma"`           // in the metric's unit
	Noise    [3]float64 `json:"relative_noise"`  // as plan prints it, by fleet
	Error    [3]float64 `json:"relative_errors"` // of both: the square root of the squares' sum
}

// Best returns the index of the choice of the smallest error in a fleet.
func Best(list []Choice, fleet int) int {
	best := 0
	for i, c := range list {
		if c.Error[fleet] < list[best].Error[fleet] {
			best = i
		}
	}
	return best
}

// Caps tries other caps of a metric of a plan on contributions.
func Caps(d release.Design, rows []bound.Contribution) ([]Choice, error) {
	if s := d.Metric.Statistic; s != metrics.Events && s != metrics.Sum {
		return nil, fmt.Errorf("tune: %s has no caps to choose: one installation counts once", d.Metric.Name)
	}
	free := *d.Metric
	free.Bounds = metrics.Bounds{Keys: int64(free.Cells()), PerKey: metrics.MaxCap, Total: metrics.MaxCap}
	whole, err := sum(&free, rows)
	if err != nil {
		return nil, err
	}
	if whole == 0 {
		return nil, fmt.Errorf("tune: no row has a key of %s", d.Metric.Name)
	}
	var list []Choice
	for _, f := range factors {
		c, err := choice(d, f, rows, whole)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func choice(d release.Design, factor float64, rows []bound.Contribution, whole float64) (Choice, error) {
	m := *d.Metric
	scaled := func(cap int64) int64 { return max(1, min(metrics.MaxCap, int64(math.Round(float64(cap)*factor)))) }
	m.Bounds.PerKey, m.Bounds.Total = scaled(m.Bounds.PerKey), scaled(m.Bounds.Total)
	other, err := release.NewDesign(&m, d.Mu2())
	if err != nil {
		return Choice{}, err
	}
	kept, err := sum(&m, rows)
	if err != nil {
		return Choice{}, err
	}
	scale := float64(m.Scale)
	c := Choice{Factor: factor, CapKey: float64(m.Bounds.PerKey) / scale, CapTotal: float64(m.Bounds.Total) / scale, Lost: 1 - kept/whole, Sigma: other.Cells.Sigma / scale}
	for i, fleet := range plan.AssumedFleets {
		c.Noise[i] = c.Sigma / plan.Expected(&m, fleet)
		c.Error[i] = math.Hypot(c.Noise[i], c.Lost)
	}
	return c, nil
}

func sum(m *metrics.Metric, rows []bound.Contribution) (float64, error) {
	cells, err := bound.Of(m, week, slices.Values(rows))
	if err != nil {
		return 0, err
	}
	total := 0.0
	for i := range m.Cells() {
		total += float64(cells.Total(i))
	}
	return total, nil
}

// Synthetic makes up what that many units add to a metric: the typical amount on
// average, log-normal, over one to three keys of which the first are the most
// popular. A guess, as good as the assumptions that plan states.
func Synthetic(m *metrics.Metric, units int, random *rand.Rand) []bound.Contribution {
	var rows []bound.Contribution
	for u := range units {
		amount := float64(m.Typical) * math.Exp(Spread*random.NormFloat64()-Spread*Spread/2)
		keys := 1 + random.IntN(min(3, m.Cells()))
		for range keys {
			cell := int(float64(m.Cells()) * math.Pow(random.Float64(), 3))
			rows = append(rows, add(m, uint64(u), cell, amount/float64(keys), random)...)
		}
	}
	return rows
}

// add makes rows of an amount: one of a sum or of a vote, as many as events.
func add(m *metrics.Metric, unit uint64, cell int, amount float64, random *rand.Rand) []bound.Contribution {
	n := uint64(amount + random.Float64()) // right on average
	if m.Statistic == metrics.Sum || m.OneVote() {
		return []bound.Contribution{{Unit: unit, Cell: cell, Value: n}}
	}
	return slices.Repeat([]bound.Contribution{{Unit: unit, Cell: cell}}, int(n))
}
