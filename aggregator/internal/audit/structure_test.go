package audit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// shape is everything of a trial but its noisy numbers.
func shape(rows []Out) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %v %g %t\n", r.Metric, r.Keys, r.StdErr, r.Clip != nil)
	}
	return b.String()
}

// Between neighbours everything but digits is the same: which rows, in which
// order, with which error bars. So it is between any two trials.
func TestStructure(t *testing.T) {
	for _, sc := range scenarios() {
		if strings.Contains(sc.spec, "threshold_delta") {
			continue // the keys that appear are the result
		}
		with, without, _ := sc.neighbours(t, production, 50)
		want := shape(with[0])
		for i := range with {
			if shape(with[i]) != want || shape(without[i]) != want {
				t.Fatalf("%s: trial %d has another shape:\n%s\n%s\nwant\n%s", sc.name, i, shape(with[i]), shape(without[i]), want)
			}
		}
	}
}

// silent adds no noise: only then equal totals are equal rows.
type silent struct{}

func (silent) AddNoiseInt64(x, _, _ int64, _, _ float64) (int64, error) { return x, nil }

func exactly(t *testing.T, s *Spec, rows []Row) string {
	t.Helper()
	var b strings.Builder
	if err := run(s, rows, 1, silent{}, func(o Out) error {
		_, err := fmt.Fprintf(&b, "%v %v %d\n", o.Metric, o.Keys, o.Raw)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What may not matter does not: the order of rows, what is above the caps, keys
// outside of the set, negative values; and what matters does.
func TestMetamorphic(t *testing.T) {
	s := parse(t, specOf(5, 1e-8, metricOf("count", "events", "{keys: 2, per_key: 3, total: 6}"), metricOf("grams", "sum", "{keys: 4, per_key: 100, total: 400}"), metricOf("votes", "histogram", "")))
	rows := slices.Concat(crowd(), repeat(5, "busy", "a", 100))
	base := exactly(t, s, rows)
	reversed := slices.Clone(rows)
	slices.Reverse(reversed)
	// Once above a cap, more of the same changes nothing. A vote divides by 5 and by
	// 50 without a rest.
	same := map[string][]Row{
		"reversed":       reversed,
		"above the caps": slices.Concat(rows, repeat(45, "busy", "a", math.MaxInt64)),
		"unknown keys":   slices.Concat(rows, repeat(5, "new", "zzz", 1)),
		"no key":         append(slices.Clone(rows), Row{Unit: "new", Value: 5}),
	}
	for name, other := range same {
		if got := exactly(t, s, other); got != base {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, base)
		}
	}
	sums := parse(t, specOf(5, 1e-8, metricOf("grams", "sum", "{keys: 4, per_key: 100, total: 400}")))
	if exactly(t, sums, slices.Concat(rows, repeat(5, "new", "a", -100))) != exactly(t, sums, rows) {
		t.Error("negative values change a sum")
	}
	if exactly(t, s, slices.Concat(rows, repeat(1, "new", "d", 1))) == base {
		t.Error("a new unit changes nothing: the test is blind")
	}
}

// An interval is not there for a key that is not: of selected keys a row appears
// whole or not at all.
func TestSuppressedKeysAreSilent(t *testing.T) {
	s := parse(t, specOf(1, 1e-8, "  - {name: open, statistic: installations, keys: [{column: k}], threshold_delta: 1e-9, bounds: {keys: 1}}\n"))
	trials, err := production(s, repeat(1, "only", "a secret", 1), 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range trials { // by chance once in 5 million
		if len(rows) != 0 {
			t.Errorf("a key of one unit is published: %v", rows)
		}
	}
}

// Keys that one unit alone reports appear with probability delta at most, and
// nearly that: tested where delta is large enough to be seen. Failure by chance:
// 1e-6 a case and side.
func TestThresholdKeepsItsDelta(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		epsilon float64
		keys    int
		delta   float64
	}{{0.3, 1, 0.01}, {0.3, 4, 0.04}, {3, 2, 0.04}} {
		s := parse(t, specOf(tt.epsilon, 0.05, fmt.Sprintf("  - {name: open, statistic: installations, keys: [{column: k}], threshold_delta: %g, bounds: {keys: %d}}\n", tt.delta, tt.keys)))
		var rows []Row
		for _, key := range []string{"p", "q", "r", "s"} {
			rows = append(rows, Row{Unit: "alone", Keys: map[string]string{"k": key}})
		}
		trials := amount(30_000, 400_000)
		list, err := production(s, rows, trials)
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		for _, rows := range list {
			if len(rows) > 0 {
				shown++
			}
		}
		low, high := lower(shown, trials, 1e-6), upper(shown, trials, 1e-6)
		t.Logf("epsilon %g, %d keys: shown with probability %.4f to %.4f of %g", tt.epsilon, tt.keys, low, high, tt.delta)
		if low > tt.delta {
			t.Errorf("epsilon %g, %d keys: shown with probability %.4f or more, delta is %g", tt.epsilon, tt.keys, low, tt.delta)
		}
		if tt.epsilon < 1 && high < tt.delta/3 {
			t.Errorf("epsilon %g, %d keys: shown with probability %.5f or less, delta is %g: the threshold is too high", tt.epsilon, tt.keys, high, tt.delta)
		}
	}
}
