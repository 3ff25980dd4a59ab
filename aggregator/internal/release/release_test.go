package release

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var week = period.Of(time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC))

func metric(t *testing.T, name string) *metrics.Metric {
	t.Helper()
	m, ok := metrics.ByName(name)
	if !ok {
		t.Fatalf("there is no metric %s", name)
	}
	return m
}

func design(t *testing.T, name string, mu2 float64) Design {
	t.Helper()
	d, err := NewDesign(metric(t, name), mu2)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func cellsOf(t *testing.T, m *metrics.Metric, contributions ...bound.Contribution) bound.Cells {
	t.Helper()
	c, err := bound.Of(m, week, slices.Values(contributions))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// constant is noise that the tests of the arithmetic around it know.
type constant int64

func (c constant) AddNoiseInt64(x, _, _ int64, _, _ float64) (int64, error) { return x + int64(c), nil }

// broken fails.
type broken struct{}

func (broken) AddNoiseInt64(int64, int64, int64, float64, float64) (int64, error) {
	return 0, errors.New("no entropy")
}

func TestSensitivity(t *testing.T) {
	tests := []struct {
		name   string
		bounds metrics.Bounds
		want   float64
	}{
		{"one count", metrics.Bounds{Keys: 1, PerKey: 1, Total: 1}, 1},
		{"two installations", metrics.Bounds{Keys: 2, PerKey: 1, Total: 2}, math.Sqrt2},
		{"keys bind", metrics.Bounds{Keys: 2, PerKey: 3, Total: 100}, 3 * math.Sqrt2},
		{"total binds", metrics.Bounds{Keys: 5, PerKey: 10, Total: 10}, 10},
		{"both bind", metrics.Bounds{Keys: 4, PerKey: 10, Total: 20}, math.Sqrt(200)},
		{"a vote", metrics.Bounds{Keys: 49, PerKey: 1000, Total: 1000}, 1000},
	}
	for _, tt := range tests {
		if got := Sensitivity(&metrics.Metric{Bounds: tt.bounds}); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
}

// No vector that the bounds allow is longer than Sensitivity says, and one is
// nearly as long.
func TestSensitivityIsTight(t *testing.T) {
	for _, m := range metrics.All() {
		b, left := m.Bounds, m.Bounds.Total
		square := 0.0
		for range b.Keys { // filling up one key after the other gives the longest
			v := min(b.PerKey, left)
			square, left = square+float64(v)*float64(v), left-v
		}
		length, bound := math.Sqrt(square), Sensitivity(m)
		if length > bound*(1+1e-12) || length < 0.8*bound {
			t.Errorf("%s: a unit can change it by %g, sensitivity is %g", m.Name, length, bound)
		}
	}
}

// Every metric's noise spends at most its share and wastes no more than a part in
// a hundred of it; all together keep the promise.
func TestDesignsFitTheBudget(t *testing.T) {
	mu, err := gdp.Week.Mu()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, m := range metrics.All() {
		share := mu * mu * float64(m.Share) / metrics.Whole
		d, err := NewDesign(m, share)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Mu2(); got > share || got < 0.99*share {
			t.Errorf("%s spends %g, its share is %g", m.Name, got, share)
		}
		if m.Clips() != (d.Clip.Sigma > 0) {
			t.Errorf("%s: clips %v, clip sigma %g", m.Name, m.Clips(), d.Clip.Sigma)
		}
		sum += d.Mu2()
	}
	if epsilon := gdp.Epsilon(math.Sqrt(sum), gdp.Week.Delta); epsilon > gdp.Week.Epsilon {
		t.Errorf("all metrics together are (%g, %g), promised is %v", epsilon, gdp.Week.Delta, gdp.Week)
	}
}

func TestNoDesign(t *testing.T) {
	huge := &metrics.Metric{Name: "huge", Statistic: metrics.Sum, Bounds: metrics.Bounds{Keys: 1, PerKey: 1 << 60, Total: 1 << 60}}
	for name, try := range map[string]func() (Design, error){
		"nothing": func() (Design, error) { return NewDesign(metric(t, "slices"), 0) },
		"less":    func() (Design, error) { return NewDesign(metric(t, "slices"), -1) },
		"NaN":     func() (Design, error) { return NewDesign(metric(t, "slices"), math.NaN()) },
		"too far": func() (Design, error) { return NewDesign(metric(t, "slices"), 1e-40) },
		"huge":    func() (Design, error) { return NewDesign(huge, 0.1) },
	} {
		if _, err := try(); !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v, want ErrBudget", name, err)
		}
	}
}

func TestRows(t *testing.T) {
	d := design(t, "slices", 0.5)
	m := d.Metric
	half := int64(math.Ceil(z95*d.Cells.Sigma - 0.5))
	forty := slices.Repeat([]bound.Contribution{{Unit: 1}}, 40)
	tests := []struct {
		name  string
		noise int64
		want  Row
	}{
		{"far above 0", 5000, Row{Raw: 5040, Value: 5040, Low: 5040 - half, High: 5040 + half, Status: OK}},
		{"within its error", 10, Row{Raw: 50, Value: 50, Low: 0, High: 50 + half, Status: LowConfidence}},
		{"below 0", -5000, Row{Raw: -4960, Value: 0, Low: 0, High: 0, Status: LowConfidence}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, _, err := Noise(d, cellsOf(t, m, forty...), constant(tt.noise))
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			got := rows[0]
			if got.Raw != tt.want.Raw || got.Value != tt.want.Value || got.Low != tt.want.Low || got.High != tt.want.High || got.Status != tt.want.Status {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Whether anybody reports a key or not, the table has the same rows in the same
// order: only numbers tell.
func TestRowsArePublic(t *testing.T) {
	d := design(t, "installations_by_machine", 0.01)
	full, _, err := Noise(d, cellsOf(t, d.Metric, bound.Contribution{Unit: 1, Cell: 7}), Gaussian())
	if err != nil {
		t.Fatal(err)
	}
	empty, _, err := Noise(d, cellsOf(t, d.Metric), Gaussian())
	if err != nil {
		t.Fatal(err)
	}
	if len(full) != d.Metric.Cells() || len(full) != len(empty) {
		t.Fatalf("%d and %d rows, want %d", len(full), len(empty), d.Metric.Cells())
	}
	for i := range full {
		if full[i].Cell != i || !slices.Equal(full[i].Key, empty[i].Key) || full[i].StdErr != empty[i].StdErr {
			t.Errorf("row %d: %v and %v", i, full[i], empty[i])
		}
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		name       string
		cut, uncut int64
		want       float64
		tolerance  float64
	}{
		{"a quarter", 2500, 7500, 0.25, 0.01},
		{"none", 0, 100_000, 0, 0.0011},
		{"noise below 0", -30, 10_000, 0, 0.02},
		{"nobody", 3, -4, 0, 1},
	} {
		got := newClip(100, tt.cut, tt.uncut)
		if math.Abs(got.Share-tt.want) > 1e-9 || got.StdErr > tt.tolerance || got.StdErr <= 0 {
			t.Errorf("%s: %+v, want %g with an error up to %g", tt.name, *got, tt.want, tt.tolerance)
		}
	}
}

func TestNoiseFails(t *testing.T) {
	d := design(t, "slices", 0.5)
	if rows, _, err := Noise(d, cellsOf(t, d.Metric), broken{}); err == nil || rows != nil {
		t.Errorf("%v, %v, want no rows and an error", rows, err)
	}
}

// A draw is for one metric and one period, and for one time.
func TestNew(t *testing.T) {
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	book := ledger.New(conn, "test", time.Now)
	drawn := func(d Design, p period.Period, mu2 float64) ledger.Draw {
		answers, err := book.Reserve(context.Background(), p, ledger.Charge{Period: p, Metric: d.Metric.Name, Definition: d.Metric.Hash(), BudgetMu2: 1, Mu2: mu2})
		if err != nil {
			t.Fatal(err)
		}
		draw, err := book.Draw(context.Background(), answers[0].Grant)
		if err != nil {
			t.Fatal(err)
		}
		return draw
	}
	d := design(t, "slices", 0.01)
	cells := cellsOf(t, d.Metric, bound.Contribution{Unit: 1})
	draw := drawn(d, week, d.Mu2())
	table, err := New(draw, d, cells)
	if err != nil {
		t.Fatal(err)
	}
	if table.Period() != week || table.Metric() != d.Metric || len(table.Rows()) != 1 || table.Clip() == nil {
		t.Errorf("got %+v", table)
	}
	if _, err := New(draw, d, cells); !errors.Is(err, ledger.ErrUsed) {
		t.Errorf("the same draw again: %v, want ErrUsed", err)
	}
	if _, err := New(drawn(d, week.Next(), d.Mu2()), d, cells); !errors.Is(err, ledger.ErrMismatch) {
		t.Errorf("another period's draw: %v, want ErrMismatch", err)
	}
	if _, err := New(drawn(design(t, "installations", 0.01), week, 0.01), d, cells); !errors.Is(err, ledger.ErrMismatch) {
		t.Errorf("another metric's draw: %v, want ErrMismatch", err)
	}
	other := design(t, "installations_by_machine", 0.01)
	if _, err := New(drawn(other, week, 1e-9), other, cellsOf(t, other.Metric)); err == nil {
		t.Error("a design that spends more than was reserved made a table")
	}
}
