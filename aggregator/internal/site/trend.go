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
	trendWeeks  = 26  // half a year
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

// newTrend draws the rows of one key over the weeks, in their order. Weeks of
// other definitions, or with a gap between them, are not joined: a line would
// claim a change that nobody measured.
func newTrend(id, title, unit string, rows []publish.Statistic, definitions map[string]string, height int) Chart {
	rows = rows[max(0, len(rows)-trendWeeks):]
	c := Chart{ID: id, Title: title, Kind: Line, Height: height, Unit: unit}
	if len(rows) == 0 {
		c.Desc = "Nothing is published."
		return c
	}
	low, high := slices.MinFunc(rows, byLow).Low, slices.MaxFunc(rows, byHigh).High
	c.Zoomed = float64(low) > zoomFrom*float64(high)
	bottom := 0.0
	if c.Zoomed {
		bottom = float64(low) - float64(high-low)/4
	}
	vertical := newAxis(bottom, float64(high), fullScale)
	c.Ticks = vertical.ticks(float64(rows[0].Scale))
	first, last := dayOf(rows[0]), dayOf(rows[len(rows)-1])
	var run []Point
	for i, r := range rows {
		p := Point{X: 50, Y: 100 - vertical.place(r.Value), Low: 100 - vertical.place(r.Low), High: 100 - vertical.place(r.High),
			Week: r.Week, Amount: scaled(r, r.Value), Interval: interval(r), Doubtful: r.Status != "ok"}
		if last > first {
			p.X = firstWeek + (lastDot-firstWeek)*(dayOf(r)-first)/(last-first)
		}
		if i > 0 && !follows(rows[i-1], r, definitions) {
			c.Broken = true
			c.join(run)
			run = nil
		}
		run = append(run, p)
		c.Points = append(c.Points, p)
	}
	c.join(run)
	c.Labels = weekLabels(c.Points)
	c.Desc = describeTrend(c, rows, definitions)
	return c
}

func byLow(a, b publish.Statistic) int  { return cmp.Compare(a.Low, b.Low) }
func byHigh(a, b publish.Statistic) int { return cmp.Compare(a.High, b.High) }

// dayOf returns the number of a row's week's Monday.
func dayOf(r publish.Statistic) float64 {
	p, err := period.Parse(r.Week)
	if err != nil {
		return 0 // the database holds Mondays only
	}
	return float64(p)
}

// follows reports whether b is the week after a and means the same.
func follows(a, b publish.Statistic, definitions map[string]string) bool {
	return dayOf(b)-dayOf(a) == 7 && definitions[a.Week] == definitions[b.Week]
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

func describeTrend(c Chart, rows []publish.Statistic, definitions map[string]string) string {
	last := rows[len(rows)-1]
	text := fmt.Sprintf("%d weeks from %s to %s in %s, with 95 %% intervals. The last is %s, between %s", len(rows), rows[0].Week, last.Week, c.Unit, scaled(last, last.Value), interval(last))
	if change := changeOf(rows, definitions); change != "" {
		text += "; " + change
	}
	text += "."
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
	if !follows(a, b, definitions) {
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
func smallTrends(c Content, t Table) []Chart {
	if isScale(t.Metric) {
		return nil
	}
	latest := slices.Clone(ofWeek(t.Rows, latestOf(t)))
	slices.SortStableFunc(latest, largestFirst)
	latest = slices.DeleteFunc(latest, func(r publish.Statistic) bool { return r.Status != "ok" })
	definitions := definitionsOf(c, t.Metric.Name)
	var charts []Chart
	for i, top := range latest[:min(len(latest), smallCharts)] {
		rows := ofKey(t.Rows, top.Key)
		if len(rows) > 1 {
			charts = append(charts, newTrend(fmt.Sprintf("%s-trend-%d", t.Metric.Name, i), label(t.Metric, top.Key), t.Metric.Unit, rows, definitions, smallHeight))
		}
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
func definitionsOf(c Content, metric string) map[string]string {
	hashes := map[string]string{}
	for _, r := range c.Releases {
		if r.Metric == metric {
			hashes[r.Week] = r.Definition
		}
	}
	return hashes
}
