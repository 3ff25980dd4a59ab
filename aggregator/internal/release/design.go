// Package release adds noise. What it returns may be published; nothing else may.
//
// It guarantees:
//
//   - A Table holds no number that was not noised, and has a row for every public
//     key, whether anybody reported it or not.
//   - The noise of a Table is at least what its Design says, and the Design's
//     mu2, which the ledger holds, is computed from the noise that is used.
//   - A Table needs the ledger.Draw of its metric and period and uses it up.
//   - Intervals, standard errors and statuses follow from the noise and the
//     noised numbers alone.
//
// How: a metric's cells are one vector. Adding or removing one unit changes it by
// at most Sensitivity in the L2 norm, and the two clip counts, together, by 1.
// Each gets normal noise from the library, rounded to integers (which only
// processes the noised value further), with sigma = sensitivity / mu:
//
//	mu^2 of the metric ──┬── 95 % ──▶ cells        sigma      = Sensitivity / mu
//	                     └──  5 % ──▶ clip counts  clip sigma = 1 / mu
//
// Where no bound can cut, the cells get all of it.
package release

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

const (
	// clipPart of a metric's mu2 goes to the clip counts: their share need not be
	// known as well as the cells, but it is the larger error in a large fleet.
	clipPart = 0.05
	// mechanismDelta is the delta by which the library is asked for a sigma. It is
	// a handle only: the promise follows from sigma itself.
	mechanismDelta = 1e-10
	// maxSensitivity is where the library's arithmetic is still exact.
	maxSensitivity = 1 << 53
)

// ErrBudget says that a share of the budget gives no usable noise.
var ErrBudget = errors.New("release: no noise fits the budget")

// Mechanism is a call of the library's Gaussian noise: the parameters, and the
// standard deviation they give.
type Mechanism struct {
	Sensitivity float64 // L2, of one unit
	Sigma       float64 // of the noise that the parameters give
	linf        int64
	epsilon     float64
}

// Mu2 returns the square of the mechanism's mu.
func (m Mechanism) Mu2() float64 {
	if m.Sigma == 0 {
		return 0
	}
	mu := m.Sensitivity / m.Sigma
	return mu * mu
}

// Design is how a metric is noised: everything about a release that is known
// before a row is read.
type Design struct {
	Metric *metrics.Metric
	Cells  Mechanism
	Clip   Mechanism // zero where nothing is clipped
}

// Mu2 returns what the release spends.
func (d Design) Mu2() float64 { return d.Cells.Mu2() + d.Clip.Mu2() }

// NewDesign fits the noise of a metric into mu2.
func NewDesign(m *metrics.Metric, mu2 float64) (Design, error) {
	d := Design{Metric: m}
	var err error
	if m.Clips() {
		if d.Clip, err = newMechanism(1, mu2*clipPart); err != nil {
			return Design{}, fmt.Errorf("%s: %w", m.Name, err)
		}
		mu2 *= 1 - clipPart
	}
	if d.Cells, err = newMechanism(Sensitivity(m), mu2); err != nil {
		return Design{}, fmt.Errorf("%s: %w", m.Name, err)
	}
	return d, nil
}

// Sensitivity returns the most that one unit can change a metric's cells, in the
// L2 norm. Among vectors of at most k entries, none above p and t together, the
// longest has as many entries p as fit: its square is at most k p^2, t^2 and p t.
func Sensitivity(m *metrics.Metric) float64 {
	k, p, t := float64(m.Bounds.Keys), float64(m.Bounds.PerKey), float64(m.Bounds.Total)
	return math.Sqrt(min(k*p*p, t*t, p*t))
}

// newMechanism finds the library's parameters for sigma = sensitivity / mu. The
// library takes an epsilon and a delta and searches for sigma itself, to a part
// in a thousand; the largest epsilon whose sigma is not too small is the one.
func newMechanism(sensitivity, mu2 float64) (Mechanism, error) {
	// Written so that NaN fails.
	if !(mu2 > 0 && sensitivity >= 1 && sensitivity < maxSensitivity) {
		return Mechanism{}, fmt.Errorf("%w: mu2 %g, sensitivity %g", ErrBudget, mu2, sensitivity)
	}
	want := sensitivity / math.Sqrt(mu2)
	m := Mechanism{Sensitivity: sensitivity, linf: int64(math.Ceil(sensitivity))}
	low, high := math.Exp2(-40), 200.0
	if m.sigma(low) < want {
		return Mechanism{}, fmt.Errorf("%w: sigma %g", ErrBudget, want)
	}
	for range 100 {
		middle := (low + high) / 2
		if m.sigma(middle) >= want {
			low = middle
		} else {
			high = middle
		}
	}
	m.epsilon, m.Sigma = low, m.sigma(low)
	return m, nil
}

func (m Mechanism) sigma(epsilon float64) float64 {
	return noise.SigmaForGaussian(1, float64(m.linf), epsilon, mechanismDelta)
}

// Noiser draws noise. The only one outside of tests is the library's; the tests
// of the arithmetic around it need numbers that they know.
type Noiser interface {
	// AddNoiseInt64 adds noise that makes x, of the L0 and Linf sensitivities
	// given, (epsilon, delta)-differentially private.
	AddNoiseInt64(x, l0, linf int64, epsilon, delta float64) (int64, error)
}

// Gaussian returns the library's noise, drawn from the system's random numbers.
func Gaussian() Noiser { return noise.Gaussian() }

// add noises one number. The vector's L2 sensitivity is given to the library as
// that of a single entry, which is what normal noise depends on.
func (m Mechanism) add(n Noiser, x int64) (int64, error) {
	return n.AddNoiseInt64(x, 1, m.linf, m.epsilon, mechanismDelta)
}

// Epsilon returns the epsilon of the metric alone at a delta.
func (d Design) Epsilon(delta float64) float64 { return gdp.Epsilon(math.Sqrt(d.Mu2()), delta) }
