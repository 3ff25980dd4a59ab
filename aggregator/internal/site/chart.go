package site

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

const (
	// chartBars is what fits on a screen; the table has the rest.
	chartBars = 15
	// fullScale keeps the end of the longest error bar inside of the picture.
	fullScale = 99.0
	// labelRunes is how much of a name fits beside its number on a telephone.
	labelRunes = 30
)

// The heights of charts in pixels. Widths are percentages, so that a chart is as
// wide as its reader's window and its letters keep their size.
const (
	barHeight     = 42  // name and number above, bar below
	columnsHeight = 260 // with a line of labels above and below
	marginTop     = 22
	marginBottom  = 24
)

// Kind is how a chart is drawn.
type Kind string

// The kinds.
const (
	Bars    Kind = "bars"    // names, the longest first
	Columns Kind = "columns" // numbers in their order, side by side
	Line    Kind = "line"    // weeks
)

// Bar is one cell in a chart. Positions are percentages.
type Bar struct {
	Label    string
	Short    string // Label as far as it fits
	Amount   string
	Interval string
	Margin   string  // half of the interval
	Row      int     // of a bar: pixels above it
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

// LabelLine, BarTop, Centre, CapTop and CapBottom are heights in pixels of what a
// row of a bar chart consists of.
func (b Bar) LabelLine() int { return b.Row + 14 }

// BarTop is the upper edge of the bar.
func (b Bar) BarTop() int { return b.Row + 21 }

// Centre is the height of the error bar.
func (b Bar) Centre() int { return b.Row + 27 }

// CapTop is the upper end of the error bar's ends.
func (b Bar) CapTop() int { return b.Row + 23 }

// CapBottom is the lower end of the error bar's ends.
func (b Bar) CapBottom() int { return b.Row + 31 }

// Chart is a drawing with the words for those who do not see it.
type Chart struct {
	ID     string // unique on its page
	Title  string
	Desc   string
	Kind   Kind
	Height int
	Bars   []Bar
	Ticks  []Tick
	Labels []Mark
	Week   string
	Unit   string
	Left   int // cells that the chart leaves out
	line
}

// Plot is the height of the area inside of the margins.
func (c Chart) Plot() int { return c.Height - marginTop - marginBottom }

// LabelsLine is the height of the labels below.
func (c Chart) LabelsLine() int { return c.Height - 6 }

// newChart draws a week's rows: ordered keys as columns, names as the longest
// bars first. More than limit names are left out.
func newChart(m *metrics.Metric, week string, rows []publish.Statistic, limit int) Chart {
	c := Chart{ID: m.Name, Title: m.Title + ", week " + week, Kind: Bars, Week: week, Unit: m.Unit}
	shown := slices.Clone(rows)
	if isScale(m) {
		c.Kind = Columns
		shown = trim(shown)
	} else {
		slices.SortStableFunc(shown, largestFirst)
		shown = shown[:min(len(shown), limit)]
	}
	c.Left = len(rows) - len(shown)
	longest := int64(1)
	for _, r := range shown {
		longest = max(longest, r.High)
	}
	scale := newAxis(0, float64(longest), fullScale)
	if c.Kind == Columns && len(shown) > 0 {
		c.Ticks = scale.ticks(float64(shown[0].Scale), amount)
	}
	for i, r := range shown {
		b := newBar(m, r, scale)
		b.Row = i * barHeight
		b.Width = 100 / float64(len(shown))
		b.Position = b.Width * float64(i)
		c.Bars = append(c.Bars, b)
	}
	c.Height = max(1, len(c.Bars)) * barHeight
	if c.Kind == Columns {
		c.Height = columnsHeight
		c.Labels = columnLabels(c.Bars)
	}
	c.Desc = describeBars(c)
	return c
}

// isScale reports whether a metric's keys are the steps of a scale.
func isScale(m *metrics.Metric) bool { return len(m.Keys) == 1 && m.Keys[0].Numeric && m.Cells() > 6 }

// largestFirst orders rows for reading. Equal ones, of which there are many once
// noise is reduced to nothing, keep the order of their keys.
func largestFirst(a, b publish.Statistic) int { return cmp.Compare(b.Value, a.Value) }

func newBar(m *metrics.Metric, r publish.Statistic, scale axis) Bar {
	name := label(m, r.Key)
	return Bar{
		Label: name, Short: shorten(name), Amount: scaled(r, r.Value), Interval: interval(r), Margin: margin(r),
		Length: scale.place(r.Value), Low: scale.place(r.Low), High: scale.place(r.High), Doubtful: r.Status != "ok",
	}
}

func shorten(name string) string {
	if runes := []rune(name); len(runes) > labelRunes {
		return string(runes[:labelRunes-1]) + "…"
	}
	return name
}

// describeBars says in a sentence or two what the chart shows.
func describeBars(c Chart) string {
	if len(c.Bars) == 0 {
		return "Nothing is published."
	}
	largest := slices.MaxFunc(c.Bars, func(a, b Bar) int { return cmp.Compare(a.Length, b.Length) })
	text := fmt.Sprintf("%d numbers in %s with 95 %% intervals. The largest is %s with %s, between %s.",
		len(c.Bars), c.Unit, largest.Label, largest.Amount, largest.Interval)
	if c.Kind == Columns {
		text += fmt.Sprintf(" The scale goes from %s to %s.", c.Bars[0].Label, c.Bars[len(c.Bars)-1].Label)
	}
	return text
}

// columnLabels names some of the columns, as many as fit on a telephone.
func columnLabels(bars []Bar) []Mark {
	const most = 5
	n := min(most, len(bars))
	var marks []Mark
	for i := range n {
		at := 0
		if n > 1 {
			at = i * (len(bars) - 1) / (n - 1)
		}
		marks = append(marks, newMark(bars[at].Middle(), bars[at].Label, i, n))
	}
	return marks
}

// scaled writes a stored number in its unit.
func scaled(r publish.Statistic, v int64) string { return amount(float64(v) / float64(r.Scale)) }

// interval writes a 95 % interval.
func interval(r publish.Statistic) string { return scaled(r, r.Low) + " to " + scaled(r, r.High) }

// margin writes half of a 95 % interval.
func margin(r publish.Statistic) string { return amount(z95 * r.StdErr / float64(r.Scale)) }

// z95 is the 97.5 % quantile of the standard normal law.
const z95 = 1.959963984540054

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
