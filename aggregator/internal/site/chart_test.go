package site

import (
	"fmt"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// rowsOf makes a row of every value given, in the metric's order of keys.
func rowsOf(m *metrics.Metric, values ...int64) []publish.Statistic {
	rows := make([]publish.Statistic, m.Cells())
	for i := range rows {
		rows[i] = publish.Statistic{Key: m.Key(i), Scale: 1, Status: "low_confidence"}
		if i < len(values) && values[i] > 0 {
			rows[i].Value, rows[i].Low, rows[i].High, rows[i].Status = values[i], values[i]-10, values[i]+10, "ok"
		}
	}
	return rows
}

func TestChartOfNames(t *testing.T) {
	m, _ := metrics.ByName("installations_by_machine")
	c := newChart(m, "2026-W46", rowsOf(m, 30, 90, 60), 2)
	if c.Kind != Bars || len(c.Bars) != 2 || c.Left != m.Cells()-2 {
		t.Fatalf("got %+v, want the two longest of %d bars", c, m.Cells())
	}
	if c.Bars[0].Amount != "90" || c.Bars[1].Amount != "60" || c.Bars[0].Interval != "80 to 100" {
		t.Errorf("got %+v", c.Bars)
	}
	if b := c.Bars[0]; b.High > 100 || b.Low >= b.Length || b.Length >= b.High {
		t.Errorf("the bar %+v is not inside of its interval and its picture", b)
	}
}

func TestChartOfNumbers(t *testing.T) {
	m, _ := metrics.ByName("layer_height")
	c := newChart(m, "2026-W46", rowsOf(m, 0, 0, 0, 50, 0, 70), 1)
	if c.Kind != Columns || fmt.Sprintf("%d %s %s", len(c.Bars), c.Labels[0].Text, c.Labels[len(c.Labels)-1].Text) != "5 0.08 mm 0.16 mm" {
		t.Errorf("got %d columns with labels %v, want those that are known and one more at each end", len(c.Bars), c.Labels)
	}
	if last := c.Bars[4]; last.Position+last.Width < 99.9 || last.Position+last.Width > 100.1 {
		t.Errorf("the last column is at %g and %g wide", last.Position, last.Width)
	}
}

// Where nothing is known the whole scale is shown, and nothing divides by nothing.
func TestChartOfNothing(t *testing.T) {
	m, _ := metrics.ByName("layer_height")
	if c := newChart(m, "2026-W46", rowsOf(m), 1); len(c.Bars) != m.Cells() || c.Bars[0].Length != 0 {
		t.Errorf("got %d bars, the first %+v", len(c.Bars), c.Bars[0])
	}
	if c := newChart(m, "", nil, 1); len(c.Bars) != 0 {
		t.Errorf("of no rows: %+v", c)
	}
}
