package release

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// The tests of this file draw real noise, which cannot be seeded. Each says how
// often it fails although all is well. sixSigma is once in 5e8.
const sixSigma = 6.0

// The noise that is added has the standard deviation that the ledger holds, no
// bias, and the shape of a rounded normal law. Failure by chance: below 1e-8 a
// design for the first two; chi-square with 19 degrees of freedom above 70, which
// is 1e-7.
func TestNoiseIsWhatTheLedgerSays(t *testing.T) {
	for _, tt := range []struct {
		metric string
		mu2    float64
	}{{"installations", 0.1}, {"slices_by_machine", 0.004}, {"material_by_type", 0.003}, {"installations", 1}} {
		d := design(t, tt.metric, tt.mu2)
		const draws = 60_000
		var sum, squares float64
		bins := make([]float64, 20)
		n := Gaussian()
		for range draws {
			v, err := d.Cells.add(n, 0)
			if err != nil {
				t.Fatal(err)
			}
			x := float64(v)
			sum, squares = sum+x, squares+x*x
			// The rounding is undone by a uniform draw, so that bins hold equal parts.
			u := math.Erfc(-(x+rand.Float64()-0.5)/d.Cells.Sigma/math.Sqrt2) / 2
			bins[min(19, int(u*20))]++
		}
		want := standardError(d.Cells.Sigma)
		if mean := sum / draws; math.Abs(mean) > sixSigma*want/math.Sqrt(draws) {
			t.Errorf("%s: mean %g of noise with sigma %g", tt.metric, mean, want)
		}
		if got := math.Sqrt(squares / draws); math.Abs(got/want-1) > sixSigma/math.Sqrt(2*draws) {
			t.Errorf("%s: standard deviation %g, want %g", tt.metric, got, want)
		}
		if chi := chiSquare(bins, draws/20); chi > 70 && d.Cells.Sigma > 3 {
			t.Errorf("%s: chi-square %g with 19 degrees of freedom", tt.metric, chi)
		}
	}
}

func chiSquare(bins []float64, expected float64) float64 {
	chi := 0.0
	for _, b := range bins {
		chi += (b - expected) * (b - expected) / expected
	}
	return chi
}

// The interval holds the bounded total in 95 of 100 cases: many small fleets of
// random sizes, every cell of theirs. The noise is small in some of them, where
// rounding matters. Failure by chance: below 1e-8.
func TestCoverage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		metric string
		mu2    float64
	}{{"installations_by_application", 0.001}, {"slices_by_machine", 0.004}, {"layer_height", 0.002}, {"installations_by_application", 9}} {
		d := design(t, tt.metric, tt.mu2)
		held, near, all := 0.0, 0.0, 0.0
		half := int64(math.Ceil(z95*d.Cells.Sigma - 0.5))
		for range 40 {
			cells := cellsOf(t, d.Metric, fleet(random, d.Metric, 1+random.IntN(300))...)
			rows, _, err := Noise(d, cells, Gaussian())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows[:min(len(rows), 60)] {
				truth := cells.Total(r.Cell)
				all++
				if r.Low <= truth && truth <= r.High {
					held++
				}
				if abs(r.Raw-truth) <= half {
					near++
				}
			}
		}
		got, spread := held/all, math.Sqrt(0.95*0.05/all)
		if got < 0.95-sixSigma*spread {
			t.Errorf("%s: %.4f of %g intervals hold the total, want 0.95", tt.metric, got, all)
		}
		// Wide enough is not enough: before it is cut at 0, an interval must not hold
		// more than it says. At a sigma near 1 whole numbers leave no narrower one.
		if near /= all; d.Cells.Sigma > 10 && near > 0.95+sixSigma*spread {
			t.Errorf("%s: %.4f of %g intervals hold the total: they are too wide", tt.metric, near, all)
		}
	}
}

// fleet draws contributions of some units.
func fleet(random *rand.Rand, m *metrics.Metric, units int) []bound.Contribution {
	var list []bound.Contribution
	for u := range units {
		for range 1 + random.IntN(60) {
			list = append(list, bound.Contribution{Unit: uint64(u), Cell: random.IntN(1 + random.IntN(m.Cells())), Value: 1})
		}
	}
	return list
}

// Print times of 3,000 installations, log-normal: the intervals hold the true
// quantiles in at least 95 of 100 cases, and the estimates err by what the noise explains. Failure by chance: below 1e-6.
func TestQuantiles(t *testing.T) {
	m := metric(t, "print_time")
	d, err := NewDesign(m, 0.0385*0.1)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	edges := m.Keys[0].Edges
	var held, all float64
	squares := make([]float64, len(Probabilities))
	const rounds = 300
	for range rounds {
		votes := make([]int64, m.Cells())
		for range 3000 {
			votes[bucket(edges, math.Exp(math.Log(7200)+1.1*random.NormFloat64()))] += metrics.Vote
		}
		rows, sums := make([]Row, len(votes)), []float64{0}
		for i, v := range votes {
			raw, err := d.Cells.add(Gaussian(), v)
			if err != nil {
				t.Fatal(err)
			}
			rows[i] = newRow(d, i, raw)
			sums = append(sums, sums[i]+float64(v))
		}
		for i, q := range QuantilesOf(m, rows, d.Cells.Sigma) {
			truth := crossing(sums, edges, q.Quantile)
			all++
			if q.Low <= truth && truth <= q.High {
				held++
			}
			squares[i] += math.Pow(q.Value/truth-1, 2)
		}
	}
	if all < rounds*float64(len(Probabilities)) {
		t.Errorf("%g quantiles, want %g", all, rounds*float64(len(Probabilities)))
	}
	if got := held / all; got < 0.95-sixSigma*math.Sqrt(0.95*0.05/rounds) {
		t.Errorf("%.3f of the intervals hold the quantile, want at least 0.95", got)
	}
	// To first order the error is that of the cumulative sum over the density; the
	// smoothing can only help. The outermost quantiles are beyond first order.
	for i, z := range []float64{0, -1.2816, -0.6745, 0, 0.6745, 1.2816, 0} {
		p, n := Probabilities[i], float64(m.Cells())
		below := float64(bucket(edges, 7200*math.Exp(1.1*z))) + 0.5
		noise := d.Cells.Sigma / metrics.Vote * math.Sqrt(below*(1-p)*(1-p)+(n-below)*p*p)
		want := noise / (3000 * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) / 1.1)
		if rms := math.Sqrt(squares[i] / rounds); p > 0.05 && p < 0.95 && rms > 1.3*want {
			t.Errorf("quantile %g: off by %.3f in the root mean square, want about %.3f", p, rms, want)
		}
	}
}

func bucket(edges []uint32, v float64) int {
	for i := 1; i < len(edges)-1; i++ {
		if v < float64(edges[i]) {
			return i - 1
		}
	}
	return len(edges) - 2
}
