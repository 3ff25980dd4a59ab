package release

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/schema/metrics"
)

func TestIsotonic(t *testing.T) {
	tests := []struct{ in, want []float64 }{
		{nil, []float64{}},
		{[]float64{1, 2, 3}, []float64{1, 2, 3}},
		{[]float64{3, 2, 1}, []float64{2, 2, 2}},
		{[]float64{0, 4, 2, 5}, []float64{0, 3, 3, 5}},
		{[]float64{5, 1, 1, 9}, []float64{7. / 3, 7. / 3, 7. / 3, 9}},
	}
	for _, tt := range tests {
		if got := isotonic(tt.in); !slices.EqualFunc(got, tt.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("isotonic(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// Of all non-decreasing sequences the result is the nearest: no random one is
// nearer.
func TestIsotonicIsNearest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	distance := func(a, b []float64) float64 {
		sum := 0.0
		for i := range a {
			sum += (a[i] - b[i]) * (a[i] - b[i])
		}
		return sum
	}
	for range 2000 {
		v := make([]float64, 6)
		for i := range v {
			v[i] = random.NormFloat64()
		}
		got := isotonic(v)
		if !slices.IsSorted(got) {
			t.Fatalf("isotonic(%v) = %v decreases", v, got)
		}
		other := slices.Clone(got)
		for i := range other {
			other[i] += random.NormFloat64() * 0.1
		}
		slices.Sort(other)
		if distance(other, v) < distance(got, v)-1e-12 {
			t.Fatalf("%v is nearer to %v than %v", other, v, got)
		}
	}
}

func TestCrossing(t *testing.T) {
	edges := []uint32{100, 200, 400, 800}
	tests := []struct {
		name string
		sums []float64
		p    float64
		want float64
	}{
		{"at an edge", []float64{0, 10, 20, 40}, 0.25, 200},
		{"between edges, by the logarithm", []float64{0, 0, 20, 20}, 0.5, 200 * math.Sqrt2},
		{"everything in the last", []float64{0, 0, 0, 10}, 1, 800},
		{"noise below 0", []float64{-5, -5, 20, 20}, 0.5, 200 * math.Sqrt2},
	}
	for _, tt := range tests {
		if got := crossing(tt.sums, edges, tt.p); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
}

func TestNoQuantiles(t *testing.T) {
	m := metric(t, "print_time")
	nobody := make([]Row, m.Cells())
	if got := QuantilesOf(m, nobody, 1000); got != nil {
		t.Errorf("of nobody: %v", got)
	}
	if got := QuantilesOf(metric(t, "layer_height"), nobody, 1000); got != nil {
		t.Errorf("of a histogram: %v", got)
	}
}

// Whatever the noisy cells are, quantiles are in order, inside of the scale and
// inside of their intervals.
func FuzzQuantiles(f *testing.F) {
	f.Add(int64(5000), int64(-300), uint64(1))
	f.Add(int64(math.MaxInt32), int64(math.MinInt32), uint64(7))
	f.Add(int64(0), int64(100000), uint64(3))
	m, _ := metrics.ByName("print_time")
	f.Fuzz(func(t *testing.T, high, low int64, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		rows := make([]Row, m.Cells())
		for i := range rows {
			rows[i].Raw = low%(1<<40) + random.Int64N(1+abs(high%(1<<40)))
		}
		edges, before := m.Keys[0].Edges, 0.0
		for _, q := range QuantilesOf(m, rows, 25_000) {
			inside := q.Low <= q.Value && q.Value <= q.High && q.Low >= float64(edges[0]) && q.High <= float64(edges[len(edges)-1])
			if !inside || q.Value < before || math.IsNaN(q.Value) {
				t.Errorf("%+v after %g", q, before)
			}
			before = q.Value
		}
	})
}

func abs(v int64) int64 { return max(v, -v) }
