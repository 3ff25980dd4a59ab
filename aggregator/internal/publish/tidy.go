package publish

import (
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/release"
)

// Tidy returns the numbers that people read, one for each row: never negative, and
// together as much as the unbiased ones wherever that is possible. It is arithmetic
// on what is released and spends nothing; the unbiased numbers stay beside them.
//
// Cutting negative noise off leaves the positive: the parts of a table of small
// numbers would add up to far more than there is. So what noise drowns (rows of low
// confidence) is reduced by one amount, until these rows add up to the sum of their
// unbiased numbers; it is the point nearest to them among those that are not
// negative and have that sum (Duchi et al., 2008, section 3; "Norm-Sub" of Wang et
// al., 2020). Two things differ from that: a row of high confidence stays as it is,
// since sharing out the tail's noise would bias exactly the numbers that are known
// well; and no row leaves its own 95 % interval, also if the total then stays a bit
// too high.
func Tidy(rows []release.Row) []int64 {
	values := make([]int64, len(rows))
	var drowned []int
	var total, largest int64
	for i, r := range rows {
		values[i] = max(0, r.Raw)
		if r.Status == release.LowConfidence {
			drowned = append(drowned, i)
			total += r.Raw
			largest = max(largest, r.Raw)
		}
	}
	total = max(0, total)
	reduced := func(i int, by int64) int64 { return max(rows[i].Low, values[i]-by, 0) }
	sum := func(by int64) (s int64) {
		for _, i := range drowned {
			s += reduced(i, by)
		}
		return s
	}
	by := smallest(largest, func(by int64) bool { return sum(by) <= total })
	left := total - sum(by)
	// The last step reduces several rows by one and may overshoot: the first of
	// them, in the order of the keys, get it back.
	result := slices.Clone(values)
	for _, i := range drowned {
		result[i] = reduced(i, by)
		if left > 0 && by > 0 && reduced(i, by-1) > result[i] {
			result[i]++
			left--
		}
	}
	return result
}

// smallest returns the smallest of 0..most for which a condition that stays true
// is true, or most.
func smallest(most int64, condition func(int64) bool) int64 {
	low, high := int64(0), most
	for low < high {
		middle := low + (high-low)/2
		if condition(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
