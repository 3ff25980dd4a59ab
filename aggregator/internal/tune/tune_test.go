package tune

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

func design(t *testing.T, name string) release.Design {
	t.Helper()
	p, err := plan.New(gdp.Week)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Designs {
		if d.Metric.Name == name {
			return d
		}
	}
	t.Fatalf("there is no metric %s", name)
	return release.Design{}
}

// A higher cap loses less and is noisier; larger fleets want higher caps; the
// approved caps are what plan says they are.
func TestCaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, m := range metrics.All() {
		d := design(t, m.Name)
		list, err := Caps(d, Synthetic(m, 3000, random))
		if m.Statistic != metrics.Events && m.Statistic != metrics.Sum {
			if err == nil {
				t.Errorf("%s has caps to choose", m.Name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range list {
			if i > 0 && (c.Lost > list[i-1].Lost || c.Sigma <= list[i-1].Sigma) {
				t.Errorf("%s: %+v after %+v", m.Name, c, list[i-1])
			}
			if c.Factor == 1 && math.Abs(c.Sigma*float64(m.Scale)/d.Cells.Sigma-1) > 0.01 {
				t.Errorf("%s: sigma is %g, in the plan %g", m.Name, c.Sigma*float64(m.Scale), d.Cells.Sigma)
			}
		}
		if Best(list, 0) > Best(list, 2) {
			t.Errorf("%s: a small fleet wants higher caps than a large one", m.Name)
		}
	}
}

// What is made up has the amount that is assumed: within six standard errors.
func TestSynthetic(t *testing.T) {
	m, _ := metrics.ByName("material_by_type")
	sum := 0.0
	const units = 20_000
	for _, c := range Synthetic(m, units, rand.New(rand.NewPCG(3, 4))) {
		sum += float64(c.Value)
	}
	want := float64(m.Typical)
	if got := sum / units; math.Abs(got/want-1) > 6*1.31/math.Sqrt(units) {
		t.Errorf("a unit adds %g on average, want %g", got, want)
	}
	if _, err := Caps(design(t, "slices"), nil); err == nil {
		t.Error("caps were tuned on nothing")
	}
}
