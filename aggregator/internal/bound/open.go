package bound

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Report is a key of an open set that one unit reports.
type Report struct {
	Unit uint64
	Key  []string
}

// OpenCells is how many units report each key that anybody reports. Both the
// numbers and the keys are secret: only a threshold over noise may read them.
type OpenCells struct {
	metric *metrics.Metric
	keys   [][]string
	totals []int64
}

// OfOpen counts units by key, each with bounds.keys keys at most. Which keys of
// a unit are kept depends on its own keys alone: a key is known by its own hash,
// because its position among all keys would depend on what others report.
func OfOpen(m *metrics.Metric, p period.Period, reports iter.Seq[Report]) (OpenCells, error) {
	if m.Statistic != metrics.Installations {
		return OpenCells{}, errors.New("bound: only installations have open keys")
	}
	units, texts := map[uint64]map[uint64]uint64{}, map[uint64][]string{}
	for r := range reports {
		id := keyID(r.Key)
		texts[id] = r.Key
		if units[r.Unit] == nil {
			units[r.Unit] = map[uint64]uint64{}
		}
		units[r.Unit][id] = 1
	}
	key, totals := newHashKey(m, p), map[uint64]int64{}
	for unit, sums := range units {
		parts, _ := boundUnit(m, key, unit, sums)
		for _, part := range parts {
			totals[part.cell]++
		}
	}
	c := OpenCells{metric: m}
	// Sorted by text: an order by number would tell.
	byText := func(a, b uint64) int { return slices.Compare(texts[a], texts[b]) }
	for _, id := range slices.SortedFunc(maps.Keys(totals), byText) {
		c.keys, c.totals = append(c.keys, texts[id]), append(c.totals, totals[id])
	}
	return c, nil
}

func keyID(key []string) uint64 {
	var b strings.Builder
	for _, k := range key {
		b.Write(binary.BigEndian.AppendUint64(nil, uint64(len(k))))
		b.WriteString(k)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return binary.LittleEndian.Uint64(sum[:8])
}

// Metric returns what was counted.
func (c OpenCells) Metric() *metrics.Metric { return c.metric }

// Len returns the number of keys. Only noise may read it.
func (c OpenCells) Len() int { return len(c.keys) }

// At returns a key and how many units report it. Only noise may read it.
func (c OpenCells) At(i int) (key []string, units int64) { return c.keys[i], c.totals[i] }

// String keeps keys and totals out of logs and messages.
func (c OpenCells) String() string { return "bound.OpenCells(secret)" }

// GoString keeps them out of %#v.
func (c OpenCells) GoString() string { return c.String() }

// LogValue keeps them out of structured logs.
func (c OpenCells) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON fails: they leave this process only through a threshold.
func (c OpenCells) MarshalJSON() ([]byte, error) {
	return nil, errors.New("bound: keys and totals cannot be encoded")
}
