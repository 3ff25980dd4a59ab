package plan

import (
	"math"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

func outlook(t *testing.T) Outlook {
	t.Helper()
	p, err := New(gdp.Week)
	if err != nil {
		t.Fatal(err)
	}
	return p.Outlook()
}

func TestOutlook(t *testing.T) {
	o := outlook(t)
	want := []Guarantee{{1, 1, 1e-8}, {5, 2.35, 1e-8}, {52, 8.53, 1e-8}}
	for i, g := range o.Guarantees {
		if g.Weeks != want[i].Weeks || math.Abs(g.Epsilon/want[i].Epsilon-1) > 0.01 || g.Delta != want[i].Delta {
			t.Errorf("guarantee %+v, want %+v", g, want[i])
		}
	}
	if o.Guarantees[0].Epsilon > 1 {
		t.Errorf("a week is epsilon %g, more than promised", o.Guarantees[0].Epsilon)
	}
	sum := 0.0
	for _, m := range o.Metrics {
		sum += m.Mu2
		if m.Epsilon <= 0 || m.Epsilon >= 1 || m.Sigma <= 0 {
			t.Errorf("%+v", m)
		}
	}
	if len(o.Metrics) != len(metrics.All()) || math.Abs(math.Sqrt(sum)-o.Mu) > 1e-12 {
		t.Errorf("%d metrics with mu %g, want %d and %g", len(o.Metrics), math.Sqrt(sum), len(metrics.All()), o.Mu)
	}
}

// The headline tables are useful for small fleets: at 10,000 installations a
// machine that a tenth of them use is known to within 5 %.
func TestPlanIsUseful(t *testing.T) {
	limits := map[string]float64{"installations": 0.01, "installations_by_machine": 0.05, "slices": 0.05, "layer_height": 0.05, "slices_by_machine": 0.2, "material_by_type": 0.3}
	for _, m := range outlook(t).Metrics {
		if limit, ok := limits[m.Name]; ok && m.Errors[0] > limit {
			t.Errorf("%s has an error of %.3f at 10,000 installations, want at most %.3f", m.Name, m.Errors[0], limit)
		}
	}
}

func TestNoPlan(t *testing.T) {
	if _, err := New(gdp.Promise{}); err == nil {
		t.Error("a plan of nothing")
	}
}

// Means spend nothing, and their errors are those of both numbers.
func TestMeans(t *testing.T) {
	p, err := New(gdp.Week)
	if err != nil {
		t.Fatal(err)
	}
	o := p.Outlook()
	of := map[string]Metric{}
	for _, m := range o.Metrics {
		of[m.Name] = m
	}
	if len(o.Means) != len(metrics.Means()) || len(o.Means) == 0 {
		t.Fatalf("%d means, want %d", len(o.Means), len(metrics.Means()))
	}
	for _, m := range o.Means {
		for i, got := range m.Errors {
			x, y := of[m.Total].Errors[i], of[m.Count].Errors[i]
			if want := math.Sqrt(x*x + y*y); x == 0 || y == 0 || math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: error %g, want %g", m.Name, got, want)
			}
		}
	}
	some, err := Split(gdp.Week, metrics.All()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if list := some.Outlook().Means; len(list) != 0 {
		t.Errorf("means %+v of metrics that are not in the plan", list)
	}
}
