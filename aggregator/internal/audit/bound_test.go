package audit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The statistics of the auditor: confidence bounds of a part.

// upper returns a bound that a part, of which k of n were seen, is above with
// probability at most alpha (Clopper and Pearson, 1934); lower is its mirror.
func upper(k, n int, alpha float64) float64 {
	if k >= n {
		return 1
	}
	low, high := float64(k)/float64(n), 1.0
	for range 60 {
		middle := (low + high) / 2
		if atMost(k, n, middle) > alpha {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

func lower(k, n int, alpha float64) float64 { return 1 - upper(n-k, n, alpha) }

// atMost returns the probability of at most k successes of n, each with p. Terms
// are added from the largest down until they no longer matter.
func atMost(k, n int, p float64) float64 {
	logChoose := func(i int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		return a - b - c
	}
	term := math.Exp(logChoose(k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := 0.0
	for i := k; i >= 0 && term > sum*1e-15; i-- { // k is below the mean: terms fall
		sum += term
		term *= float64(i) / float64(n-i+1) * (1 - p) / p
	}
	return sum
}

// An interval holds the part it is about as often as it says: with alpha = 0.01
// at most 1 % misses a side. Failure by chance: six standard errors, 1e-9 a case.
func TestClopperPearson(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, p := range []float64{0.003, 0.2, 0.5, 0.95} {
		const n, rounds, alpha = 400, 3000, 0.01
		above, below := 0, 0
		for range rounds {
			k := 0
			for range n {
				if random.Float64() < p {
					k++
				}
			}
			if p > upper(k, n, alpha) {
				above++
			}
			if p < lower(k, n, alpha) {
				below++
			}
		}
		if limit := rounds*alpha + 6*math.Sqrt(rounds*alpha); float64(above) > limit || float64(below) > limit {
			t.Errorf("p = %g: missed %d and %d of %d times, want at most %g", p, above, below, rounds, limit)
		}
	}
	if got := upper(0, 1000, 0.001); math.Abs(got-(1-math.Pow(0.001, 1./1000))) > 1e-9 {
		t.Errorf("upper(0, 1000) = %g", got)
	}
}
