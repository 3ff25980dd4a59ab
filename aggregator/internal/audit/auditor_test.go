package audit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
)

// alpha is the chance that a sound mechanism is rejected in one scenario. With
// the number of scenarios below an audit fails by chance less than once in 10,000.
const alpha = 1e-6

// mechanism releases rows that often. The auditor sees what it puts out, and
// nothing of how.
type mechanism func(s *Spec, rows []Row, trials int) ([][]Out, error)

// claim is what a mechanism says of itself: mu-GDP, and what a selection of keys
// adds to delta.
type claim struct{ mu, delta float64 }

// finding is what an audit of one scenario found.
type finding struct {
	mu      float64 // lower bound
	epsilon float64 // lower bound at the claimed delta, whatever the shape of noise
	by      string  // the statistic that told the datasets apart
}

// sample is one trial as named numbers.
type sample map[string]float64

// observe makes numbers of everything that a reader of a trial could see.
func observe(rows []Out) sample {
	s := sample{"rows": float64(len(rows))}
	var order []string
	for _, r := range rows {
		name := r.Metric + "|" + fmt.Sprint(r.Keys)
		s[name] = float64(r.Raw)
		s["has "+name] = 1
		s["error of "+name] = r.StdErr
		order = append(order, name)
		if r.Clip != nil {
			s["clip of "+r.Metric] = *r.Clip
		}
	}
	s["order"] = float64(hash(strings.Join(order, "\n")))
	return s
}

// hash makes a number of a text; equal texts are equal numbers.
func hash(text string) uint32 {
	h := uint32(2166136261)
	for _, b := range []byte(text) {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

// statistic is a number of a sample, by which one guesses the dataset.
type statistic struct {
	name string
	of   func(sample) float64
}

// audit looks for the statistic, the cut and the direction that tell two datasets
// apart best, on one half of the trials, and bounds the privacy loss from below
// on the other half (DP.md, 5.2: "train and test").
func inspect(with, without [][]Out, c claim) finding {
	a, b := observeAll(with), observeAll(without)
	half := len(a) / 2
	guess := choose(a[:half], b[:half])
	best := finding{}
	// One guess and its two directions: each bound has a quarter of alpha.
	test := func(x, y []sample) {
		n := len(x)
		hits, alarms := guess.count(x), guess.count(y)
		p1, p0 := lower(hits, n, alpha/4), upper(alarms, n, alpha/4)
		if mu := probit(p1-c.delta) - probit(p0); mu > best.mu {
			best.mu, best.by = mu, guess.name()
		}
		if e := math.Log(max(p1-c.delta-smallDelta, 1e-300) / p0); e > best.epsilon {
			best.epsilon = e
		}
	}
	test(a[half:], b[half:])
	guess.flip = !guess.flip
	test(b[half:], a[half:])
	return best
}

// smallDelta is the delta at which epsilon is claimed of the noise.
const smallDelta = 1e-8

func observeAll(trials [][]Out) []sample {
	list := make([]sample, len(trials))
	for i, t := range trials {
		list[i] = observe(t)
	}
	return list
}

// guess says "with" where its statistic is at least the cut, or below it.
type guess struct {
	statistic statistic
	cut       float64
	flip      bool
}

func (g guess) name() string { return g.statistic.name }

func (g guess) count(list []sample) int {
	n := 0
	for _, s := range list {
		if (g.statistic.of(s) >= g.cut) != g.flip {
			n++
		}
	}
	return n
}

// choose finds the best guess on training data.
func choose(a, b []sample) guess {
	var best guess
	most := math.Inf(-1)
	for _, s := range statistics(a, b) {
		x, y := values(s, a), values(s, b)
		for _, cut := range cuts(x, y) {
			for _, flip := range []bool{false, true} {
				g := guess{s, cut, flip}
				n := float64(len(a))
				hits, alarms := part(x, cut, flip), part(y, cut, flip)
				// A rough bound, with a margin of five standard errors as Clopper
				// and Pearson's at alpha would have.
				p1 := hits - 5*math.Sqrt(hits*(1-hits)/n) - 12/n
				p0 := alarms + 5*math.Sqrt(alarms*(1-alarms)/n) + 12/n
				if score := probit(p1) - probit(p0); score > most || best.statistic.of == nil {
					most, best = score, g
				}
			}
		}
	}
	return best
}

func values(s statistic, list []sample) []float64 {
	v := make([]float64, len(list))
	for i, x := range list {
		v[i] = s.of(x)
	}
	slices.Sort(v)
	return v
}

// part is the part of sorted values at or above a cut, or below it.
func part(sorted []float64, cut float64, below bool) float64 {
	i, _ := slices.BinarySearch(sorted, cut)
	p := float64(i) / float64(len(sorted))
	if below {
		return p
	}
	return 1 - p
}

// cuts are places between the values of both, by their ranks.
func cuts(x, y []float64) []float64 {
	both := slices.Sorted(slices.Values(slices.Concat(x, y)))
	list := []float64{both[0]}
	for i := range 60 {
		list = append(list, both[(i+1)*(len(both)-1)/61])
	}
	distinct := slices.Compact(slices.Clone(both))
	if len(distinct) < 60 {
		list = append(list, distinct...)
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// statistics are every number by itself, and sums of those that differ by more
// than six standard errors, each weighed by its difference over its variance:
// per metric and of all. Numbers that do not differ would only add noise to a
// sum, and hide what the others tell.
func statistics(a, b []sample) []statistic {
	names := map[string]bool{}
	for _, s := range slices.Concat(a, b) {
		for name := range s {
			names[name] = true
		}
	}
	var list []statistic
	weights := map[string]map[string]weight{"": {}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := statistic{name, func(s sample) float64 { return s[name] }}
		list = append(list, s)
		w, differs := weigh(values(s, a), values(s, b))
		if !differs {
			continue
		}
		group, _, _ := strings.Cut(name, "|")
		if weights[group] == nil {
			weights[group] = map[string]weight{}
		}
		weights[group][name], weights[""][name] = w, w
	}
	for _, group := range slices.Sorted(maps.Keys(weights)) {
		ws := weights[group]
		ordered := slices.Sorted(maps.Keys(ws))
		list = append(list, statistic{"sum of " + group, func(s sample) float64 {
			sum := 0.0
			for _, name := range ordered {
				sum += ws[name].of(s[name])
			}
			return sum
		}})
	}
	return list
}

// weight is the logarithm of a likelihood ratio of two normal laws, clipped.
type weight struct{ slope, middle float64 }

func (w weight) of(v float64) float64 { return min(8, max(-8, w.slope*(v-w.middle))) }

func weigh(x, y []float64) (weight, bool) {
	mx, my := x[len(x)/2], y[len(y)/2]
	spread := (x[len(x)*84/100] - x[len(x)*16/100] + y[len(y)*84/100] - y[len(y)*16/100]) / 4
	if mx == my {
		return weight{}, false
	}
	if spread == 0 {
		return weight{math.Copysign(1e9, mx-my), (mx + my) / 2}, true
	}
	error := spread * math.Sqrt(math.Pi/float64(len(x)))
	return weight{(mx - my) / (spread * spread), (mx + my) / 2}, math.Abs(mx-my) > 6*error
}

// probit is the inverse of the standard normal law.
func probit(p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	}
	return math.Sqrt2 * math.Erfinv(2*p-1)
}

// refutes reports whether a finding contradicts a claim.
func (f finding) refutes(c claim) bool {
	return f.mu > c.mu || f.epsilon > gdp.Epsilon(c.mu, smallDelta)
}
