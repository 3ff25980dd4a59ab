package plan

import (
	"math"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/internal/period"
)

// Forged installations that send far too much of everything to one key move it by
// exactly what the report says, and the whole by no more. A vote divides by their 250
// rows without a rest.
func TestPoison(t *testing.T) {
	p, err := New(gdp.Week)
	if err != nil {
		t.Fatal(err)
	}
	const forged = 7
	week := period.Period(4 + 7*2600)
	for i, influence := range p.Poison(forged) {
		m := p.Designs[i].Metric
		var rows []bound.Contribution
		for unit := range uint64(forged) {
			rows = append(rows, slices.Repeat([]bound.Contribution{{Unit: unit, Cell: 0, Value: math.MaxInt64}}, 250)...)
		}
		cells, err := bound.Of(m, week, slices.Values(rows))
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(cells.Total(0)) / float64(m.Scale); math.Abs(got-influence.Key) > 1e-9*got {
			t.Errorf("%s: %d forged installations add %g %s, reported is %g", m.Name, forged, got, m.Unit, influence.Key)
		}
		if influence.Total < influence.Key || influence.Errors[2] >= influence.Errors[0] || influence.Hidden < 0 {
			t.Errorf("%+v", influence)
		}
	}
}
