package site

import (
	"cmp"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

const (
	// chartBars is what fits on a screen; the table has the rest.
	chartBars = 15
	// fullScale keeps the end of the longest error bar inside of the picture.
	fullScale = 99.0
)

// Bar is one cell in a chart. Positions are percentages of its width.
type Bar struct {
	Label    string
	Amount   string
	Interval string
	Position float64 // of a column: where it begins
	Width    float64 // of a column
	Length   float64 // of the bar
	Low      float64 // ends of the error bar
	High     float64
	Doubtful bool // the interval is wider than the value
}

// Top is Length measured from the top.
func (b Bar) Top() float64 { return 100 - b.Length }

// LowTop is Low measured from the top.
func (b Bar) LowTop() float64 { return 100 - b.Low }

// HighTop is High measured from the top.
func (b Bar) HighTop() float64 { return 100 - b.High }

// Middle is where the error bar of a column stands.
func (b Bar) Middle() float64 { return b.Position + b.Width/2 }

// Chart is the bars of one week.
type Chart struct {
	Week    string
	Unit    string
	Columns bool // bars stand side by side, because their keys are ordered
	Bars    []Bar
	First   string // labels under the columns
	Centre  string
	Last    string
	Left    int // cells that the chart leaves out
}

// newChart draws a week's rows: ordered keys as columns, names as the longest
// bars first. More than limit names are left out.
func newChart(m *metrics.Metric, week string, rows []publish.Statistic, limit int) Chart {
	c := Chart{Week: week, Unit: m.Unit, Columns: len(m.Keys) == 1 && m.Keys[0].Numeric && m.Cells() > 6}
	shown := slices.Clone(rows)
	if c.Columns {
		shown = trim(shown)
	} else {
		slices.SortStableFunc(shown, func(a, b publish.Statistic) int { return cmp.Compare(b.Value, a.Value) })
		shown = shown[:min(len(shown), limit)]
	}
	c.Left = len(rows) - len(shown)
	longest := int64(1)
	for _, r := range shown {
		longest = max(longest, r.High)
	}
	for i, r := range shown {
		b := newBar(m, r, float64(longest))
		b.Width = 100 / float64(len(shown))
		b.Position = b.Width * float64(i)
		c.Bars = append(c.Bars, b)
	}
	if n := len(c.Bars); c.Columns && n > 0 {
		c.First, c.Centre, c.Last = c.Bars[0].Label, c.Bars[n/2].Label, c.Bars[n-1].Label
	}
	return c
}

func newBar(m *metrics.Metric, r publish.Statistic, longest float64) Bar {
	place := func(v int64) float64 { return min(100, max(0, fullScale*float64(v)/longest)) }
	return Bar{
		Label: label(m, r.Key), Amount: scaled(r, r.Value), Interval: scaled(r, r.Low) + " to " + scaled(r, r.High),
		Length: place(r.Value), Low: place(r.Low), High: place(r.High), Doubtful: r.Status != "ok",
	}
}

// scaled writes a stored number in its unit.
func scaled(r publish.Statistic, v int64) string { return amount(float64(v) / float64(r.Scale)) }

// trim cuts the ends of an ordered distribution where nothing is known but noise.
func trim(rows []publish.Statistic) []publish.Statistic {
	known := func(r publish.Statistic) bool { return r.Status == "ok" }
	first := slices.IndexFunc(rows, known)
	if first < 0 {
		return rows
	}
	last := len(rows) - 1
	for !known(rows[last]) {
		last--
	}
	return rows[max(0, first-1):min(len(rows), last+2)]
}
