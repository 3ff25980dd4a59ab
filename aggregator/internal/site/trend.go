package site

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
)

const (
	trendHeight = 240
	smallHeight = 150 // of one of several beside each other
	// The first week stands right of the numbers of the axis, and the last so far
	// from the border that its dot is not cut.
	firstWeek, lastDot = 14.0, 98.0
	// zoomFrom: where every interval lies above this part of the largest number,
	// the axis does not begin at zero, and the chart says so.
	zoomFrom = 0.5
	// smallCharts is how many keys are followed over the weeks.
	smallCharts = 6
)

// Point is one week of a line. Positions are percentages from the left and above.
type Point struct {
	X, Y, Low, High float64
	Week            string
	Amount          string
	Interval        string
	Doubtful        bool
}

// line is what a chart of weeks has besides what others have.
type line struct {
	Points []Point
	Bands  []string // polygons: the 95 % intervals of weeks that can be compared
	Paths  []string // polylines through them
	Zoomed bool     // the axis does not begin at zero
	Broken bool     // some weeks next to each other cannot be compared
}

// reading is one week of a line, in its unit.
type reading struct {
	week             string
	value, low, high float64
	doubtful         bool
}

// readings makes readings of one key's rows.
func readings(rows []publish.Statistic) []reading {
	var list []reading
	for _, r := range rows {
		scale := float64(r.Scale)
		list = append(list, reading{r.Week, float64(r.Value) / scale, float64(r.Low) / scale, float64(r.High) / scale, r.Status != "ok"})
	}
	return list
}

// drawing is what a chart of weeks is about.
type drawing struct {
	id, title, unit string
	height          int
	say             func(float64) string // writes a number of the unit
	round           float64              // what round numbers are multiples of
	definitions     map[string]string    // by which each week was made
}

// newTrend draws the rows of one key over the weeks, in their order.
func newTrend(id, title, unit string, rows []publish.Statistic, definitions map[string]string, height int) Chart {
	c := drawing{id, title, unit, height, amount, 1, definitions}.draw(readings(rows))
	if change := changeOf(rows, definitions); change != "" {
		c.Desc += " In the last week: " + change + "."
	}
	return c
}

// draw draws a line. Weeks of other definitions, or with a gap between them, are
// not joined: a line would claim a change that nobody measured.
func (d drawing) draw(list []reading) Chart {
	c := Chart{ID: d.id, Title: d.title, Kind: Line, Height: d.height, Unit: d.unit}
	if len(list) == 0 {
		c.Desc = "Nothing is published."
		return c
	}
	low := slices.MinFunc(list, func(a, b reading) int { return cmp.Compare(a.low, b.low) }).low
	high := slices.MaxFunc(list, func(a, b reading) int { return cmp.Compare(a.high, b.high) }).high
	c.Zoomed = low > zoomFrom*high
	bottom := 0.0
	if c.Zoomed {
		bottom = low - (high-low)/4
	}
	vertical := newAxis(bottom, high, fullScale)
	c.Ticks = vertical.ticks(d.round, func(v float64) string { return d.say(v * d.round) })
	first, last := dayOf(list[0].week), dayOf(list[len(list)-1].week)
	var run []Point
	for i, r := range list {
		p := Point{X: 50, Y: 100 - vertical.at(r.value), Low: 100 - vertical.at(r.low), High: 100 - vertical.at(r.high),
			Week: r.week, Amount: d.say(r.value), Interval: d.say(r.low) + " to " + d.say(r.high), Doubtful: r.doubtful}
		if last > first {
			p.X = firstWeek + (lastDot-firstWeek)*(dayOf(r.week)-first)/(last-first)
		}
		if i > 0 && !follows(list[i-1].week, r.week, d.definitions) {
			c.Broken = true
			c.join(run)
			run = nil
		}
		run = append(run, p)
		c.Points = append(c.Points, p)
	}
	c.join(run)
	c.Labels = weekLabels(c.Points)
	c.Desc = describeTrend(c)
	return c
}

// dayOf returns the number of a week's Monday.
func dayOf(week string) float64 {
	p, err := period.Parse(week)
	if err != nil {
		return 0 // the database holds Mondays only
	}
	return float64(p)
}

// follows reports whether b is the week after a and was made as a was.
func follows(a, b string, definitions map[string]string) bool {
	return dayOf(b)-dayOf(a) == 7 && definitions[a] == definitions[b]
}

// join draws a line through weeks that follow each other.
func (l *line) join(run []Point) {
	if len(run) < 2 {
		return
	}
	var path, upper, lower []string
	for _, p := range run {
		path = append(path, fmt.Sprintf("%.2f,%.2f", p.X, p.Y))
		upper = append(upper, fmt.Sprintf("%.2f,%.2f", p.X, p.High))
		lower = append(lower, fmt.Sprintf("%.2f,%.2f", p.X, p.Low))
	}
	slices.Reverse(lower)
	l.Paths = append(l.Paths, strings.Join(path, " "))
	l.Bands = append(l.Bands, strings.Join(append(upper, lower...), " "))
}

// weekLabels names the first and the last week, and one between where there is room.
func weekLabels(points []Point) []Mark {
	n := len(points)
	if n == 1 {
		return []Mark{newMark(50, points[0].Week, 0, 1)}
	}
	marks := []Mark{{points[0].X, "start", points[0].Week}, newMark(100, points[n-1].Week, 1, 2)}
	if n > 4 {
		marks = slices.Insert(marks, 1, newMark(points[n/2].X, points[n/2].Week, 1, 3))
	}
	return marks
}

func describeTrend(c Chart) string {
	first, last := c.Points[0], c.Points[len(c.Points)-1]
	text := fmt.Sprintf("%d weeks from %s to %s, with 95 %% intervals. The last is %s", len(c.Points), first.Week, last.Week, last.Amount)
	if c.Unit != "" {
		text += " " + c.Unit
	}
	text += ", between " + last.Interval + "."
	if c.Zoomed {
		text += " The axis does not begin at zero."
	}
	return text
}

// changeOf says in words how the last of a key's rows differs from the week before,
// and nothing where the two cannot be compared. The noise of two weeks is
// independent: the variance of the difference is the sum of both.
func changeOf(rows []publish.Statistic, definitions map[string]string) string {
	if len(rows) < 2 {
		return ""
	}
	a, b := rows[len(rows)-2], rows[len(rows)-1]
	if !follows(a.Week, b.Week, definitions) {
		return ""
	}
	change := float64(b.Raw-a.Raw) / float64(b.Scale)
	error95 := z95 * math.Hypot(a.StdErr, b.StdErr) / float64(b.Scale)
	switch {
	case change > error95:
		return fmt.Sprintf("up by %s ± %s on the week before", amount(change), amount(error95))
	case change < -error95:
		return fmt.Sprintf("down by %s ± %s on the week before", amount(-change), amount(error95))
	}
	return fmt.Sprintf("no change on the week before that stands out of the noise (± %s)", amount(error95))
}

// smallTrends follows the largest keys of the latest week over the weeks. Keys that
// noise drowns are not worth following, nor are single steps of a scale.
func smallTrends(t Table) []Chart {
	if isScale(t.Metric) {
		return nil
	}
	latest := slices.Clone(ofWeek(t.Rows, latestOf(t)))
	slices.SortStableFunc(latest, largestFirst)
	definitions := definitionsOf(t)
	var charts []Chart
	for i, top := range clearest(latest) {
		rows := ofKey(t.Rows, top.Key)
		if len(rows) > 1 {
			charts = append(charts, newTrend(fmt.Sprintf("%s-trend-%d", t.Metric.Name, i), label(t.Metric, top.Key), t.Metric.Unit, rows, definitions, smallHeight))
		}
	}
	return charts
}

// clearest returns the first of rows that noise does not drown: those to follow.
func clearest(rows []publish.Statistic) []publish.Statistic {
	clear := slices.DeleteFunc(slices.Clone(rows), func(r publish.Statistic) bool { return r.Status != "ok" })
	return clear[:min(len(clear), smallCharts)]
}

// trendsOf draws a metric over its weeks: one line, or several small ones.
func trendsOf(t Table) (*Chart, []Chart) {
	if len(t.Metric.Keys) > 0 {
		return nil, append(smallTrends(t), quantileTrends(t)...)
	}
	if len(t.Rows) == 0 {
		return nil, nil
	}
	trend := newTrend(t.Metric.Name+"-trend", t.Metric.Title+", by week", t.Metric.Unit, t.Rows, definitionsOf(t), trendHeight)
	return &trend, nil
}

// quantileTrends follows the median and the ninth decile over the weeks: of a scale
// they say what single steps do not.
func quantileTrends(t Table) []Chart {
	var charts []Chart
	for i, q := range []float64{0.5, 0.9} {
		var list []reading
		for _, r := range t.Quantiles {
			if r.Quantile == q {
				list = append(list, reading{r.Week, r.Value, r.Low, r.High, r.Status != "ok"})
			}
		}
		if len(list) < 2 {
			continue
		}
		column := t.Metric.Keys[0].Column
		charts = append(charts, drawing{
			id: fmt.Sprintf("%s-quantile-%d", t.Metric.Name, i), title: t.Metric.Title + ", " + quantileName(q), height: smallHeight,
			say: func(v float64) string { return number(column, v) }, round: roundUnit(column, list[len(list)-1].high), definitions: definitionsOf(t),
		}.draw(list))
	}
	return charts
}

// ofKey returns the rows of one key in the order of weeks.
func ofKey(rows []publish.Statistic, key []string) []publish.Statistic {
	var list []publish.Statistic
	for _, r := range rows {
		if slices.Equal(r.Key, key) {
			list = append(list, r)
		}
	}
	return list
}

// definitionsOf returns by which definition each week of a metric was released.
func definitionsOf(t Table) map[string]string {
	hashes := map[string]string{}
	for _, r := range t.Releases {
		hashes[r.Week] = r.Definition
	}
	return hashes
}
