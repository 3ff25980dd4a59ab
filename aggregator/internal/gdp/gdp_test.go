package gdp

import (
	"errors"
	"math"
	"testing"

	"github.com/google/differential-privacy/go/v3/noise"
)

func near(got, want, relative float64) bool { return math.Abs(got-want) <= relative*math.Abs(want) }

// Figures that were computed independently, to the digits given.
func TestEpsilonOfWeeks(t *testing.T) {
	mu, err := Week.Mu()
	if err != nil {
		t.Fatal(err)
	}
	if !near(mu, 0.1961, 1e-3) {
		t.Errorf("mu of (1, 1e-8) is %.5f, want 0.1961", mu)
	}
	tests := []struct {
		weeks int
		want  float64
	}{{1, 1}, {4, 2.09}, {5, 2.35}, {13, 3.94}, {52, 8.53}}
	for _, tt := range tests {
		if got := Epsilon(Compose(mu, tt.weeks), 1e-8); !near(got, tt.want, 2.5e-3) {
			t.Errorf("%d weeks: epsilon %.4f, want %.2f", tt.weeks, got, tt.want)
		}
	}
}

// The library computes the same noise from the same promise; it stops within a
// thousandth of it.
func TestMuEqualsLibrarySigma(t *testing.T) {
	for _, p := range []Promise{{1, 1e-8}, {0.1, 1e-8}, {0.25, 1e-6}, {3, 1e-10}, {8, 0.01}} {
		mu, err := p.Mu()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := 1/mu, noise.SigmaForGaussian(1, 1, p.Epsilon, p.Delta); !near(got, want, 1.1e-3) {
			t.Errorf("%v: sigma %.5f, the library has %.5f", p, got, want)
		}
	}
}

// Delta against the integral it stands for: the mass by which one normal law
// exceeds e^epsilon times the other, summed in small steps.
func TestDeltaEqualsIntegral(t *testing.T) {
	for _, tt := range []struct{ mu, epsilon float64 }{{0.2, 0.3}, {1, 0}, {1, 1}, {2, 3}, {5, 10}} {
		const step = 1e-4
		sum := 0.0
		for x := -12.0; x < 18; x += step {
			p := math.Exp(-(x-tt.mu)*(x-tt.mu)/2) - math.Exp(tt.epsilon-x*x/2)
			sum += max(0, p) / math.Sqrt(2*math.Pi) * step
		}
		if got := Delta(tt.mu, tt.epsilon); !near(got, sum, 1e-4) {
			t.Errorf("Delta(%g, %g) = %.8g, integral %.8g", tt.mu, tt.epsilon, got, sum)
		}
	}
}

func TestSafeSide(t *testing.T) {
	for _, p := range []Promise{{1, 1e-8}, {0.01, 1e-12}, {20, 1e-3}} {
		mu, err := p.Mu()
		if err != nil {
			t.Fatal(err)
		}
		if got := Delta(mu, p.Epsilon); got > p.Delta {
			t.Errorf("%v: mu %g spends delta %g", p, mu, got)
		}
		if got := Epsilon(mu, p.Delta); Delta(mu, got) > p.Delta {
			t.Errorf("%v: epsilon %g promises less delta than is spent", p, got)
		}
	}
}

func TestEdges(t *testing.T) {
	if got := Delta(0, 1); got != 0 {
		t.Errorf("nothing spends delta %g", got)
	}
	if got := Epsilon(0, 1e-8); got != 0 {
		t.Errorf("nothing spends epsilon %g", got)
	}
	if got := Delta(0.1, 5000); got != 0 {
		t.Errorf("a huge epsilon leaves delta %g", got)
	}
	if got := Epsilon(1e6, 1e-8); !math.IsInf(got, 1) {
		t.Errorf("a huge mu is epsilon %g, want +Inf", got)
	}
}

func TestValidate(t *testing.T) {
	bad := []Promise{{}, {0, 1e-8}, {-1, 1e-8}, {1, 0}, {1, 1e-20}, {1, 1}, {math.NaN(), 1e-8}, {1, math.NaN()}, {math.Inf(1), 1e-8}}
	for _, p := range bad {
		if _, err := p.Mu(); !errors.Is(err, ErrRange) {
			t.Errorf("Mu of %v: %v, want ErrRange", p, err)
		}
	}
}
