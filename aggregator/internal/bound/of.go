package bound

import (
	"cmp"
	"iter"
	"slices"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Contribution is what one row of a unit adds to a cell.
type Contribution struct {
	Unit  uint64
	Cell  int    // of the metric, from 0; below 0 where the row has no key of it
	Value uint64 // of a sum; otherwise a row counts as one
}

// Of bounds contributions in memory, one for each row of the metric's source. It
// is the definition that the SQL is held to: plain, and without a thought for
// speed.
func Of(m *metrics.Metric, p period.Period, contributions iter.Seq[Contribution]) (Cells, error) {
	units, rows := map[uint64]map[uint64]uint64{}, map[uint64]int{}
	for c := range contributions {
		rows[c.Unit]++
		value := uint64(1)
		if m.Statistic == metrics.Sum {
			value = min(c.Value, uint64(m.Bounds.PerKey)+1)
		}
		if value == 0 || c.Cell < 0 || c.Cell >= m.Cells() {
			continue
		}
		if units[c.Unit] == nil {
			units[c.Unit] = map[uint64]uint64{}
		}
		units[c.Unit][uint64(c.Cell)+1] += value
	}
	key := newHashKey(m, p)
	totals := map[uint64]uint64{}
	for unit, sums := range units {
		parts, cut := boundUnit(m, key, unit, sums)
		if rows[unit] > metrics.MaxRows {
			parts, cut = nil, true
		}
		for _, part := range parts {
			totals[part.cell] += part.value
		}
		if m.Clips() && cut {
			totals[cutCell]++
		} else if m.Clips() {
			totals[uncutCell]++
		}
	}
	return newCells(m, p, totals)
}

// part is what a unit adds to a cell, which counts from 1 as in the SQL.
type part struct{ cell, value uint64 }

// boundUnit returns what remains of one unit's sums, and whether anything was lost.
func boundUnit(m *metrics.Metric, key hashKey, unit uint64, sums map[uint64]uint64) ([]part, bool) {
	cut := false
	limit := uint64(m.Bounds.PerKey)
	var parts []part
	for cell, sum := range sums {
		if !m.OneVote() {
			cut = cut || sum > limit && m.Statistic != metrics.Installations
			sum = min(sum, limit)
		}
		parts = append(parts, part{cell, sum})
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(key.rank(unit, a.cell), key.rank(unit, b.cell)), cmp.Compare(a.cell, b.cell))
	})
	if len(parts) > int(m.Bounds.Keys) {
		parts, cut = parts[:m.Bounds.Keys], true
	}
	whole := uint64(0)
	for _, p := range parts {
		whole += p.value
	}
	total := uint64(m.Bounds.Total)
	switch {
	case m.OneVote():
		for i := range parts {
			parts[i].value *= total / whole
		}
	case whole > total:
		cut = true
		for i := range parts {
			parts[i].value = parts[i].value * total / whole
		}
	}
	return parts, cut
}
