package site

import (
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// overview is the first page: how much, and a few charts.
type overview struct {
	frame
	Week      string
	Weeks     int
	Figures   []figure
	Trends    []Chart
	Cards     []card
	Means     []*metrics.Mean
	Drowned   string
	Published string
	Guarantee plan.Guarantee
}

// figure is one number at the top of the page.
type figure struct{ Name, Title, Amount, Interval, Change string }

// headline is what the first page shows, where it is published: numbers, lines and
// charts.
var (
	headlineFigures = []string{"installations", "slices", "slicing_failed", "slicing_runs"}
	headlineTrends  = []string{"installations", "slices"}
	headlineCharts  = []string{"installations_by_machine", "material_by_type", "layer_height", "infill_pattern", "print_time", "installations_by_application"}
)

// headlineBars keeps the first page short.
const headlineBars = 8

func newOverview(c Content) *overview {
	page := &overview{frame: newFrame("index.html", "What slicers report", "Statistics about 3D printing, published with differential privacy"),
		Week: latest(c), Guarantee: c.Plan.Guarantees[0], Means: meansOf(c, counts)}
	for _, name := range headlineFigures {
		if t, ok := tableOf(c, name); ok && len(ofWeek(t.Rows, page.Week)) > 0 {
			row := ofWeek(t.Rows, page.Week)[0]
			page.Figures = append(page.Figures, figure{name, t.Metric.Title, scaled(row, row.Value), interval(row), changeOf(t.Rows, definitionsOf(t))})
		}
	}
	for _, name := range headlineTrends {
		if t, ok := tableOf(c, name); ok && len(t.Rows) > 0 {
			page.Weeks = max(page.Weeks, len(t.Rows))
			page.Trends = append(page.Trends, newTrend(name+"-trend", t.Metric.Title+", by week", t.Metric.Unit, t.Rows, definitionsOf(t), trendHeight))
		}
	}
	for _, name := range headlineCharts {
		if t, ok := tableOf(c, name); ok && len(ofWeek(t.Rows, page.Week)) > 0 {
			page.Cards = append(page.Cards, newCard(t, page.Week, headlineBars))
		}
	}
	drowned, published := 0, 0
	for _, t := range c.Tables {
		for _, r := range ofWeek(t.Rows, page.Week) {
			published++
			if r.Status != "ok" {
				drowned++
			}
		}
	}
	if published > 0 {
		page.Drowned, page.Published = amount(float64(drowned)), amount(float64(published))
	}
	return page
}
