package release

import (
	"errors"
	"fmt"
	"math"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
)

// minKeyDelta is the smallest delta for one key. The library's own threshold
// becomes infinite below 1e-16 and then, as an integer, lets everything through;
// the tail used here is exact much further, but nobody could check it.
const minKeyDelta = 1e-13

// ErrThreshold says that a threshold cannot be what it is asked to be.
var ErrThreshold = errors.New("release: want a threshold delta of at least 1e-13 for each key of a unit, and below 1")

// CheckThreshold reports ErrThreshold unless a delta suffices for that many keys
// of one unit.
func CheckThreshold(keys int64, delta float64) error {
	// Written so that NaN fails.
	if keys >= 1 && delta < 1 && delta/float64(keys) >= minKeyDelta {
		return nil
	}
	return fmt.Errorf("%w, got %g for %d keys", ErrThreshold, delta, keys)
}

// Threshold returns the smallest noisy count at which a key is published, so
// that keys that only one unit reports appear with probability delta at most.
//
// Each of the unit's keys counts 1. Its noise is rounded to an integer, so it is
// published if 1 + x >= T-1/2 for x normal: a part Q((T-3/2)/sigma) of delta/keys at
// most (union bound). The usual T - 1 would be for noise that is not rounded, and
// exceeds delta (by 1.64 times at epsilon 1 in the library used here).
func (d Design) Threshold(delta float64) (int64, error) {
	keys := d.Metric.Bounds.Keys
	if err := CheckThreshold(keys, delta); err != nil {
		return 0, err
	}
	return int64(math.Ceil(1.5 + d.Cells.Sigma*upperQuantile(delta/float64(keys)))), nil
}

// upperQuantile returns the smallest z, to a float64, at or above which a standard
// normal law has at most p. It keeps its digits where 1-p is 1.
func upperQuantile(p float64) float64 {
	low, high := -40.0, 40.0
	for range 100 {
		middle := (low + high) / 2
		if math.Erfc(middle/math.Sqrt2)/2 > p {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// Select noises the counts of an open key set and returns the rows of those that
// reach the threshold. The release is (epsilon, delta)-private with the mu of the
// design and, on top, the delta of the selection.
func Select(d Design, cells bound.OpenCells, delta float64, n Noiser) ([]Row, error) {
	threshold, err := d.Threshold(delta)
	if err != nil {
		return nil, err
	}
	rows := []Row{}
	for i := range cells.Len() {
		key, units := cells.At(i)
		raw, err := d.Cells.add(n, units)
		if err != nil {
			return nil, fmt.Errorf("release: noise %s: %w", d.Metric.Name, err)
		}
		if raw < threshold {
			continue
		}
		row := rowOf(d, raw)
		row.Cell, row.Key = len(rows), key
		rows = append(rows, row)
	}
	return rows, nil
}
