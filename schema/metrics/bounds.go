package metrics

import "fmt"

const (
	// MaxCap bounds what a unit adds. Two thousand million units can then be added
	// without leaving 2^62, and cap times total stays below 2^62.
	MaxCap = 1 << 31
	// MaxRows is how many rows of a source a unit may have in a period, two a minute day
	// and night; of what has more, nothing counts. It is no person at a slicer, and one
	// sender's rows could fill the database's memory when they are grouped.
	MaxRows = 20_000
	// maxReach bounds keys times cap: up to there float64, in which noise is
	// calculated, knows every integer.
	maxReach = 1 << 53
)

// Problem is what is wrong with one field of a definition.
type Problem struct {
	At   string // the field, such as "bounds"
	Text string
}

// NewBounds completes the bounds of a statistic over that many cells and returns
// everything that is wrong with them. Bounds of an installation follow from its
// keys, those of a vote from the vote.
func NewBounds(s Statistic, asked Bounds, cells int64) (Bounds, []Problem) {
	var problems []Problem
	problem := func(at, format string, args ...any) {
		problems = append(problems, Problem{at, fmt.Sprintf(format, args...)})
	}
	b := asked
	switch s {
	case Histogram, Quantiles:
		if asked != (Bounds{}) {
			problem("bounds", "a vote is bounded already")
		}
		return Bounds{Keys: cells, PerKey: Vote, Total: Vote}, problems
	case Installations:
		if b.PerKey != 0 || b.Total != 0 {
			problem("bounds", "an installation counts once for a key: only bounds.keys can be set")
		}
		b.PerKey, b.Total = 1, b.Keys
	case Events, Sum:
		if b.PerKey < 1 || b.Total < b.PerKey || b.Total > MaxCap {
			problem("bounds", "want 1 <= per_key <= total <= %d", int64(MaxCap))
		}
	default:
		problem("statistic", "statistic %q is not one of installations, events, sum, histogram, quantiles", s)
	}
	if b.Keys < 1 || b.Keys > cells {
		problem("bounds", "bounds.keys is %d, want 1 to %d, the number of cells", b.Keys, cells)
	}
	// Divided, because the product is what may not fit.
	if b.PerKey > 0 && b.Keys > maxReach/b.PerKey {
		problem("bounds", "keys times per_key is above 2^53: noise of that size is not exact")
	}
	return b, problems
}
