package audit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Whatever one unit reports, all of it together moves the bounded totals by no
// more than the noise is made for, in number of keys, sum, length and largest
// entry: exactly, without statistics, in 100,000 pairs of neighbours with random
// bounds, hostile values, repeated rows and, in a few, 100,000 rows of one unit.
func TestSensitivityOfNeighbours(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	pairs := 0
	for pairs < amount(100_000, 1_000_000) {
		s := randomSpec(t, random)
		for range 100 {
			pairs++
			others := hostileRows(random, "other", random.IntN(4), 6)
			size := 12
			if pairs%20_000 == 0 {
				size = 100_000
			}
			one := hostileRows(random, "hostile", 1, size)
			if text := moved(s, others, one); text != "" {
				t.Fatalf("seed %d, pair %d: %s", seed, pairs, text)
			}
		}
	}
}

// randomSpec has one metric of each kind, with random bounds.
func randomSpec(t *testing.T, random *rand.Rand) *Spec {
	t.Helper()
	bounds := func() string {
		per := 1 + random.Int64N([]int64{3, 1000, 1 << 31}[random.IntN(3)])
		return fmt.Sprintf("{keys: %d, per_key: %d, total: %d}", 1+random.IntN(4), per, min(1<<31, per*(1+random.Int64N(4))))
	}
	return parse(t, specOf(1, 1e-8, metricOf("events", "events", bounds()), metricOf("sums", "sum", bounds()),
		metricOf("people", "installations", fmt.Sprintf("{keys: %d}", 1+random.IntN(4))), metricOf("votes", "histogram", "")))
}

// hostileValues are what a broken or malicious client might send.
var hostileValues = []int64{0, 1, 2, 999, 1 << 31, 1<<31 + 1, 1 << 53, math.MaxInt64, math.MaxInt64 - 1, -1, math.MinInt64}

func hostileRows(random *rand.Rand, unit string, units, rows int) []Row {
	var list []Row
	for u := range units {
		for range 1 + random.IntN(rows) {
			key := string("abcdz"[random.IntN(5)])
			r := Row{Unit: fmt.Sprint(unit, u), Keys: map[string]string{"k": key}, Value: hostileValues[random.IntN(len(hostileValues))]}
			list = append(list, r)
			if random.IntN(4) == 0 {
				list = append(list, r) // the same again
			}
		}
	}
	return list
}

// moved says how one unit moves totals further than it may.
func moved(s *Spec, others, one []Row) string {
	for _, m := range s.metrics {
		with, err := bound.Of(m.Metric, week, m.contributions(slices.Concat(one, others)))
		if err != nil {
			return err.Error()
		}
		without, err := bound.Of(m.Metric, week, m.contributions(others))
		if err != nil {
			return err.Error()
		}
		var keys, most, sum int64
		square := 0.0
		for i := range m.Cells() {
			d := with.Total(i) - without.Total(i)
			if d < 0 {
				return fmt.Sprintf("%s: another's report vanished", m.Name)
			}
			if d != 0 {
				keys++
			}
			most, sum, square = max(most, d), sum+d, square+float64(d)*float64(d)
		}
		b, length := m.Bounds, release.Sensitivity(m.Metric)
		if keys > b.Keys || most > b.PerKey || sum > b.Total || math.Sqrt(square) > length*(1+1e-12) {
			return fmt.Sprintf("%s: %d keys, at most %d, in all %d, length %g; bounds %+v, sensitivity %g", m.Name, keys, most, sum, math.Sqrt(square), b, length)
		}
	}
	return ""
}

// Open keys: one unit changes the counts of at most bounds.keys keys, by one.
func TestSensitivityOfOpenKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	s := parse(t, specOf(1, 1e-8, "  - {name: open, statistic: installations, keys: [{column: k}], threshold_delta: 1e-9, bounds: {keys: 2}}\n"))
	m := s.metrics[0]
	counts := func(rows []Row) map[string]int64 {
		cells, err := bound.OfOpen(m.Metric, week, m.reports(rows))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int64{}
		for i := range cells.Len() {
			key, n := cells.At(i)
			out[join(key)] = n
		}
		return out
	}
	for range 20_000 {
		others, one := hostileRows(random, "other", 3, 6), hostileRows(random, "hostile", 1, 12)
		with, without := counts(slices.Concat(one, others)), counts(others)
		changed := 0
		for key, n := range with {
			switch n - without[key] {
			case 0:
			case 1:
				changed++
			default:
				t.Fatalf("a count moved by %d", n-without[key])
			}
		}
		if changed > 2 || len(without) > len(with) {
			t.Fatalf("%d keys changed", changed)
		}
	}
}

// Of an open metric of another kind there is nothing to count.
func TestOnlyInstallationsAreOpen(t *testing.T) {
	if _, err := bound.OfOpen(&metrics.Metric{Statistic: metrics.Sum}, week, nil); err == nil {
		t.Error("a sum over open keys")
	}
}
