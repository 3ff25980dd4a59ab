// Package gdp is the arithmetic of Gaussian differential privacy: how much noise
// a promise needs, and what all releases together promise.
//
// It guarantees that Delta is exact and that Mu and Epsilon, found by bisection,
// err on the safe side: Mu is never more than a promise allows, Epsilon never
// less than what was spent.
//
// How (Dong, Roth and Su, "Gaussian Differential Privacy", 2019, arXiv
// 1905.02383): adding normal noise of standard deviation sigma to a vector of L2
// sensitivity Delta2 is mu-GDP with mu = Delta2/sigma (Theorem 2.7). Releases
// compose as mu^2 = mu1^2 + mu2^2 + ... (Corollary 3.3), also when a later one
// depends on an earlier one's result. A mu-GDP mechanism is (epsilon,
// delta(epsilon))-differentially private for every epsilon >= 0 (Corollary 2.13):
//
//	delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)
package gdp

import (
	"errors"
	"fmt"
	"math"
)

// Promise is an (epsilon, delta) guarantee.
type Promise struct {
	Epsilon float64 `json:"epsilon"`
	Delta   float64 `json:"delta"`
}

// Week is what is promised by default to an installation about one week.
var Week = Promise{Epsilon: 1, Delta: 1e-8}

// The range of promises that are calculated. A smaller delta leaves what float64
// can tell from 0 in Delta; a larger epsilon promises nothing.
const (
	minDelta   = 1e-14
	maxDelta   = 0.5
	maxEpsilon = 100
	maxMu      = 100
	bisections = 200 // more than a float64 has bits
)

// ErrRange says that a promise is outside of what is calculated.
var ErrRange = errors.New("gdp: want 0 < epsilon <= 100 and 1e-14 <= delta <= 0.5")

// Validate reports a promise that makes no sense.
func (p Promise) Validate() error {
	// Written so that NaN fails.
	if p.Epsilon > 0 && p.Epsilon <= maxEpsilon && p.Delta >= minDelta && p.Delta <= maxDelta {
		return nil
	}
	return fmt.Errorf("%w, got (%g, %g)", ErrRange, p.Epsilon, p.Delta)
}

// Mu returns the largest mu that keeps the promise.
func (p Promise) Mu() (float64, error) {
	if err := p.Validate(); err != nil {
		return 0, err
	}
	low, high := 0.0, float64(maxMu)
	for range bisections {
		middle := (low + high) / 2
		if Delta(middle, p.Epsilon) <= p.Delta {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// Delta returns the smallest delta for which mu-GDP is (epsilon, delta)-DP.
func Delta(mu, epsilon float64) float64 {
	if mu <= 0 {
		return 0
	}
	a, b := mu/2, epsilon/mu
	second := phi(-a - b)
	if second == 0 {
		return phi(a - b) // e^epsilon may be infinite, and 0 times that is not a number
	}
	return max(0, phi(a-b)-math.Exp(epsilon+math.Log(second)))
}

// Epsilon returns the smallest epsilon for which mu-GDP is (epsilon, delta)-DP,
// +Inf where it is more than an epsilon of 10,000, which promises nothing.
func Epsilon(mu, delta float64) float64 {
	const absurd = 10_000
	if Delta(mu, 0) <= delta {
		return 0
	}
	if Delta(mu, absurd) > delta {
		return math.Inf(1)
	}
	low, high := 0.0, float64(absurd)
	for range bisections {
		middle := (low + high) / 2
		if Delta(mu, middle) > delta {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// Compose returns the mu of n releases of mu each.
func Compose(mu float64, n int) float64 { return mu * math.Sqrt(float64(n)) }

// phi is the distribution function of the standard normal law.
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
