// Package bound reads what units reported and makes it bounded totals, the only
// form in which the rest of the aggregator ever sees data.
//
// It guarantees that adding or removing everything of one unit changes the
// totals of a metric by at most its declared bounds, whatever the rows hold:
//
//	in at most bounds.keys cells,
//	by at most bounds.per_key in each, and
//	by at most bounds.total in all of them together,
//
// and the clip count by one in one of its two cells. The same rows give the same
// totals, always; no unit's rows influence what is kept of another's.
//
// How: one query for all metrics of a source and a range of units, inside
// ClickHouse, over the folded rows (FINAL):
//
//	rows of the period
//	  -> per row    for each metric the code of its key in the public set, or 0
//	  -> per unit   the distinct codes; the first bounds.keys of a metric in the
//	                order of SipHash(key of metric and period; unit, cell)
//	                sums by code, each cut at per_key
//	                if they exceed total: scaled down in proportion, rounded down
//	                (a vote: each row's code counts 1/rows of it, rounded down)
//	                and one mark a metric: cut or not cut
//	  -> per code   sum over units
//
// Everything is an unsigned integer. A keyed hash chooses the keys, because a
// random draw could be repeated until it suits and the first keys in any natural
// order would favour some keys. Nothing limits the table as a whole: if one
// unit's report could displace another's, the bounds above would not hold. A unit
// of more than metrics.MaxRows rows counts for nothing; that depends on its own rows
// alone, too.
//
// Of does the same in Go, over values in memory. Tests hold the two together.
package bound

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// maxTotal is far from where integers wrap. Bounds are at most 2^31, so that it
// takes 2^31 units to come here and four times as many to wrap.
const maxTotal = 1 << 62

// The keys of a metric's marks in the totals, outside of any metric's cells.
const (
	cutCell   = 1<<64 - 1
	uncutCell = 1<<64 - 2
)

// ErrOverflow says that a total is beyond what any real fleet reports.
var ErrOverflow = errors.New("bound: a total exceeds 2^62")

// Cells is the bounded totals of a metric in a period, exact and therefore
// secret: it prints as a mark and cannot be encoded.
type Cells struct {
	metric *metrics.Metric
	period period.Period
	totals []int64 // one a cell of the metric
	cut    int64   // units that a bound cut
	uncut  int64   // units that kept everything
}

// newCells is the only constructor.
func newCells(m *metrics.Metric, p period.Period, totals map[uint64]uint64) (Cells, error) {
	c := Cells{metric: m, period: p, totals: make([]int64, m.Cells())}
	for cell, total := range totals {
		if total >= maxTotal {
			return Cells{}, fmt.Errorf("%w: %s", ErrOverflow, m.Name)
		}
		switch {
		case cell == cutCell:
			c.cut = int64(total)
		case cell == uncutCell:
			c.uncut = int64(total)
		case cell >= 1 && cell <= uint64(len(c.totals)):
			c.totals[cell-1] = int64(total)
		default:
			return Cells{}, fmt.Errorf("bound: %s: the query returned cell %d of %d", m.Name, cell, len(c.totals))
		}
	}
	return c, nil
}

// Metric returns what was computed.
func (c Cells) Metric() *metrics.Metric { return c.metric }

// Period returns the period.
func (c Cells) Period() period.Period { return c.period }

// Total returns the exact bounded total of a cell. Only noise may read it.
func (c Cells) Total(cell int) int64 { return c.totals[cell] }

// Clip returns how many units a bound cut and how many it did not. Both are 0 of
// a metric that cannot clip. Only noise may read it.
func (c Cells) Clip() (cut, uncut int64) { return c.cut, c.uncut }

// String keeps totals out of logs and messages.
func (c Cells) String() string { return "bound.Cells(secret)" }

// GoString keeps totals out of %#v.
func (c Cells) GoString() string { return c.String() }

// LogValue keeps totals out of structured logs.
func (c Cells) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON fails: exact totals leave this process only with noise.
func (c Cells) MarshalJSON() ([]byte, error) {
	return nil, errors.New("bound: exact totals cannot be encoded")
}
