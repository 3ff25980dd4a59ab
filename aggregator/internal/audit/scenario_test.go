package audit

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// scenario is a spec and two neighbours: others, and others with one unit more.
type scenario struct {
	name   string
	spec   string
	others []Row
	one    []Row
	tight  bool // one unit uses all that the bounds allow: the loss is near the claim
}

// crowd is ordinary units.
func crowd() []Row {
	var list []Row
	for i := range 40 {
		list = append(list, repeat(1+i%2, fmt.Sprint("unit ", i), string("aab"[i%3]), 3)...)
	}
	return list
}

// everywhere reports much of every key.
func everywhere(n int, value int64) []Row {
	var list []Row
	for _, key := range []string{"a", "b", "c", "d"} {
		list = append(list, repeat(n, "hostile", key, value)...)
	}
	return list
}

// scenarios are the neighbours of DP.md, 5.2. The promise is large, so that a few
// thousand trials show most of it: what is wrong at mu = 1 is wrong at any.
func scenarios() []scenario {
	const epsilon, delta = 5.8, 1e-8 // mu is 1.0
	two := specOf(epsilon, delta, metricOf("count", "events", "{keys: 2, per_key: 3, total: 6}"), metricOf("grams", "sum", "{keys: 2, per_key: 100, total: 200}"))
	count := specOf(epsilon, delta, metricOf("count", "events", "{keys: 1, per_key: 5, total: 5}"))
	sum := specOf(epsilon, delta, metricOf("grams", "sum", "{keys: 1, per_key: 100, total: 100}"))
	people := specOf(epsilon, delta, metricOf("people", "installations", "{keys: 4}"))
	votes := specOf(epsilon, delta, metricOf("votes", "histogram", ""))
	open := specOf(4, 0.02, "  - {name: brands, statistic: installations, keys: [{column: k}], threshold_delta: 0.01, bounds: {keys: 2}}\n")
	return []scenario{
		{"alone near the threshold", open, slices.Concat(crowd(), repeat(1, "x", "rare", 1)), append(repeat(1, "hostile", "rare", 1), repeat(1, "hostile", "new", 1)...), false},
		{"much in every key", two, crowd(), everywhere(30, math.MaxInt64), true},
		{"values below zero", sum, crowd(), repeat(9, "hostile", "a", math.MinInt64/16), false},
		{"exactly at the cap", two, crowd(), slices.Concat(repeat(3, "hostile", "a", 33), repeat(3, "hostile", "b", 34)), false},
		{"many small values", sum, crowd(), repeat(40, "hostile", "a", 90), true},
		{"alone in an empty public key", count, crowd(), repeat(5, "hostile", "d", 1), true},
		{"count, one key", count, crowd(), repeat(400, "hostile", "b", 1), true},
		{"four keys", people, crowd(), everywhere(2, 1), true},
		{"a vote", votes, crowd(), repeat(7, "hostile", "c", 1), true},
		{"a flood of an unknown key", two, crowd(), repeat(100, "hostile", "zzz", 1), false},
		{"the first of all", two, nil, everywhere(3, 50), true},
	}
}

// neighbours samples a mechanism on both datasets. The hostile unit arrives
// first, where it can displace others.
func (sc scenario) neighbours(t testing.TB, m mechanism, trials int) (with, without [][]Out, c claim) {
	t.Helper()
	spec := parse(t, sc.spec)
	with, err := m(spec, slices.Concat(sc.one, sc.others), trials)
	if err != nil {
		t.Fatal(err)
	}
	without, err = m(spec, sc.others, trials)
	if err != nil {
		t.Fatal(err)
	}
	c = claim{mu: spec.Mu()}
	for _, m := range spec.metrics {
		c.delta += m.delta
	}
	return with, without, c
}

// production is what is audited.
func production(s *Spec, rows []Row, trials int) ([][]Out, error) {
	list := make([][]Out, trials)
	err := Run(s, rows, trials, func(o Out) error {
		list[o.Trial] = append(list[o.Trial], o)
		return nil
	})
	return list, err
}

// No scenario refutes the promise; those that use it up show at least 0.6 of it
// (0.45 with few trials), so that an auditor, or a mechanism, that has gone dead is
// found as well. Failure by chance: 1e-6 a scenario for the first, below 1e-6 for
// the second (0.73 is expected, with a standard error of 0.04).
func TestLowerBound(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			with, without, c := sc.neighbours(t, production, amount(6000, 20_000))
			f := inspect(with, without, c)
			t.Logf("mu at least %.3f of %.3f claimed, epsilon at least %.3f, by %s", f.mu, c.mu, f.epsilon, f.by)
			if f.refutes(c) {
				t.Errorf("mu is at least %.3f, epsilon at least %.3f, claimed is mu %.3f", f.mu, f.epsilon, c.mu)
			}
			if sc.tight && f.mu < float64(amount(45, 60))/100*c.mu {
				t.Errorf("only %.3f of mu %.3f was found: something is dead", f.mu, c.mu)
			}
		})
	}
}
