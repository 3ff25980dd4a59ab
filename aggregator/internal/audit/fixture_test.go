package audit

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/differential-privacy/go/v3/noise"
)

// full asks for the long audit: more draws, more neighbours, every scenario to
// its end.
//
//	go test ./aggregator/internal/audit -audit.full -timeout 60m
var full = flag.Bool("audit.full", false, "the long audit")

// amount chooses between the fast and the long audit.
func amount(fast, long int) int {
	if *full {
		return long
	}
	return fast
}

// parse reads a spec that is right.
func parse(t testing.TB, text string) *Spec {
	t.Helper()
	s, err := ParseSpec("spec", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// specText writes a spec of metrics over the keys a to d.
func specOf(epsilon, delta float64, metrics ...string) string {
	return fmt.Sprintf("epsilon: %g\ndelta: %g\nmetrics:\n%s", epsilon, delta, strings.Join(metrics, ""))
}

func metricOf(name, statistic, bounds string) string {
	if bounds != "" {
		bounds = "\n    bounds: " + bounds
	}
	return fmt.Sprintf("  - name: %s\n    statistic: %s%s\n    keys: [{column: k, values: [a, b, c, d]}]\n", name, statistic, bounds)
}

// fast is normal noise of the parameters asked for, quick to draw: for mutants,
// of which many draws are needed, and never for what is published.
type fast struct {
	random *rand.Rand
	sigmas map[[2]float64]float64
}

func newFast() *fast {
	return &fast{rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), map[[2]float64]float64{}}
}

func (f *fast) AddNoiseInt64(x, _, linf int64, epsilon, delta float64) (int64, error) {
	key := [2]float64{float64(linf), epsilon}
	if f.sigmas[key] == 0 {
		f.sigmas[key] = noise.SigmaForGaussian(1, float64(linf), epsilon, delta)
	}
	return x + int64(math.RoundToEven(f.random.NormFloat64()*f.sigmas[key])), nil
}

// repeat returns a row n times.
func repeat(n int, unit, key string, value int64) []Row {
	list := make([]Row, n)
	for i := range list {
		list[i] = Row{Unit: unit, Keys: map[string]string{"k": key}, Value: value}
	}
	return list
}
