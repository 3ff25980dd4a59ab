package release

import (
	"errors"
	"math"
	"testing"

	"github.com/slicemetry/slicemetry/schema/metrics"
)

// The threshold is the smallest whose tail is within delta: exactly, also where
// delta is far too small to be sampled.
func TestThreshold(t *testing.T) {
	for _, keys := range []int64{1, 3, 50} {
		for _, mu2 := range []float64{4, 0.04, 0.0004} {
			for _, delta := range []float64{0.01, 1e-8, 1e-11} {
				m := &metrics.Metric{Name: "open", Open: true, Statistic: metrics.Installations, Bounds: metrics.Bounds{Keys: keys, PerKey: 1, Total: keys}}
				d, err := NewDesign(m, mu2)
				if err != nil {
					t.Fatal(err)
				}
				threshold, err := d.Threshold(delta)
				if err != nil {
					t.Fatal(err)
				}
				// A count of 1 is shown if its noise, rounded, is threshold-1 or more.
				tail := func(threshold int64) float64 {
					return float64(keys) * math.Erfc((float64(threshold)-1.5)/d.Cells.Sigma/math.Sqrt2) / 2
				}
				if tail(threshold) > delta*(1+1e-9) || tail(threshold-1) <= delta {
					t.Errorf("%d keys, sigma %g, delta %g: threshold %d has a tail of %g, one less %g", keys, d.Cells.Sigma, delta, threshold, tail(threshold), tail(threshold-1))
				}
			}
		}
	}
}

func TestNoThreshold(t *testing.T) {
	for _, tt := range []struct {
		keys  int64
		delta float64
	}{{1, 0}, {1, -1}, {1, 1}, {1, math.NaN()}, {1, math.Inf(1)}, {8, 2e-16}, {1000, 1e-14}, {8, 7.9e-13}, {0, 0.1}} {
		if err := CheckThreshold(tt.keys, tt.delta); !errors.Is(err, ErrThreshold) {
			t.Errorf("%d keys, delta %g: %v, want ErrThreshold", tt.keys, tt.delta, err)
		}
	}
}
