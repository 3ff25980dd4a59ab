package bound_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Whatever one unit reports, taking all of it away changes a metric by no more
// than its bounds: exactly, in every one of 40,000 pairs of neighbours.
func TestNeighbours(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	for _, m := range metrics.All() {
		if m.Cells() > 3000 {
			continue // the same code with more cells, and much slower
		}
		for range 1000 {
			others, one := hostile(random, m, 3, 5), hostile(random, m, 1, 60)
			checkNeighbours(t, m, others, one)
		}
	}
}

// hostile draws contributions: few or many cells, small or huge values.
func hostile(random *rand.Rand, m *metrics.Metric, units, rows int) []bound.Contribution {
	var list []bound.Contribution
	for u := range units {
		cells, limit := 1+random.IntN(m.Cells()), []uint64{3, 1 << 20, 1<<64 - 1}[random.IntN(3)]
		for range random.IntN(rows) {
			list = append(list, bound.Contribution{Unit: uint64(units*1000 + u), Cell: random.IntN(cells), Value: random.Uint64N(limit)})
		}
	}
	return list
}

func checkNeighbours(t *testing.T, m *metrics.Metric, others, one []bound.Contribution) {
	t.Helper()
	with, err := bound.Of(m, week, slices.Values(slices.Concat(others, one)))
	if err != nil {
		t.Fatal(err)
	}
	without, err := bound.Of(m, week, slices.Values(others))
	if err != nil {
		t.Fatal(err)
	}
	var keys, most, total int64
	for i := range m.Cells() {
		difference := with.Total(i) - without.Total(i)
		if difference < 0 {
			t.Errorf("%s: more reports, and cell %d shrinks", m.Name, i)
		}
		if difference != 0 {
			keys++
		}
		most, total = max(most, difference), total+difference
	}
	if b := m.Bounds; keys > b.Keys || most > b.PerKey || total > b.Total {
		t.Errorf("%s: one unit changes %d cells, one by %d, all by %d; bounds are %+v", m.Name, keys, most, total, b)
	}
	cut, uncut := with.Clip()
	cutWithout, uncutWithout := without.Clip()
	if c, u := cut-cutWithout, uncut-uncutWithout; c < 0 || u < 0 || c+u > 1 {
		t.Errorf("%s: one unit changes the clip counts by %d and %d", m.Name, c, u)
	}
}

// The order of rows and of other units has no influence.
func TestOrderDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 5))
	for _, name := range []string{"installations_by_machine", "slices_by_machine", "material_by_type", "layer_height"} {
		m, _ := metrics.ByName(name)
		list := hostile(random, m, 20, 50)
		want, err := bound.Of(m, week, slices.Values(list))
		if err != nil {
			t.Fatal(err)
		}
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		got, err := bound.Of(m, week, slices.Values(list))
		if err != nil {
			t.Fatal(err)
		}
		if differs := compare(m, got, want); differs != "" {
			t.Errorf("%s: shuffled, %s", name, differs)
		}
	}
}

// What a unit loses is counted, and nothing else is.
func TestClip(t *testing.T) {
	events := func(name string, counts map[int]int) []bound.Contribution {
		var list []bound.Contribution
		for cell, n := range counts {
			list = append(list, slices.Repeat([]bound.Contribution{{Unit: 9, Cell: cell, Value: 1}}, n)...)
		}
		return list
	}
	tests := []struct {
		name   string
		metric string
		counts map[int]int
		cut    int64
		totals map[int]int64
	}{
		{"below", "slices_by_machine", map[int]int{3: 25, 4: 25}, 0, map[int]int64{3: 25, 4: 25}},
		{"one key above its cap", "slices_by_machine", map[int]int{3: 41}, 1, map[int]int64{3: 40}},
		{"together above the total", "slices_by_machine", map[int]int{3: 40, 4: 35}, 1, map[int]int64{3: 26, 4: 23}},
		{"many rows of one installation", "installations_by_machine", map[int]int{3: 500}, 0, map[int]int64{3: 1}},
		{"a vote is shared", "support_use", map[int]int{0: 1, 1: 2}, 0, map[int]int64{0: 333333, 1: 666666}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := metrics.ByName(tt.metric)
			cells, err := bound.Of(m, week, slices.Values(events(tt.metric, tt.counts)))
			if err != nil {
				t.Fatal(err)
			}
			if cut, _ := cells.Clip(); cut != tt.cut {
				t.Errorf("%d units cut, want %d", cut, tt.cut)
			}
			for cell, want := range tt.totals {
				if got := cells.Total(cell); got != want {
					t.Errorf("cell %d is %d, want %d", cell, got, want)
				}
			}
		})
	}
}
