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
	Cell  int    // of the metric, from 0
	Value uint64 // of a sum; otherwise a row counts as one
}

// Of bounds contributions in memory. It is the definition that the SQL is held
// to: plain, and without a thought for speed.
func Of(m *metrics.Metric, p period.Period, contributions iter.Seq[Contribution]) (Cells, error) {
	units := map[uint64]map[uint64]uint64{}
	for c := range contributions {
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
	var parts []part
	for cell, sum := range sums {
		limit := rowCap(m)
		cut = cut || sum > limit && m.Statistic != metrics.Installations
		parts = append(parts, part{cell, min(sum, limit)})
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
	limit := uint64(m.Bounds.Total)
	if whole <= limit && !m.OneVote() {
		return parts, cut
	}
	for i := range parts {
		parts[i].value = parts[i].value * limit / whole
	}
	return parts, true
}

// rowCap is what a unit's rows with one key count for before they are scaled.
func rowCap(m *metrics.Metric) uint64 {
	if m.OneVote() {
		return maxVoteRows
	}
	return uint64(m.Bounds.PerKey)
}
