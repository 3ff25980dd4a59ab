package site

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/rules"
)

const (
	// tableRows is what a page lists; the downloads have every row.
	tableRows = 60
	// weekColumns is how many weeks a page compares.
	weekColumns = 6
)

// frame is what every page has.
type frame struct {
	Title string
	Root  string // the way to the top: "" or "../"
}

type index struct {
	frame
	Week      string
	Figures   []figure
	Charts    []indexChart
	Groups    []group
	Withheld  []string
	Guarantee plan.Guarantee
}

// figure is one number at the top of the page.
type figure struct{ Title, Amount, Interval string }

type indexChart struct {
	Name, Title, Question string
	Chart                 Chart
}

type group struct {
	Title   string
	Metrics []*metrics.Metric
}

// headline is what the first page shows: numbers, then charts.
var (
	headlineFigures = []string{"installations", "slices", "slicing_failed"}
	headlineCharts  = []string{"installations_by_machine", "material_by_type", "layer_height", "infill_pattern", "print_time", "installations_by_application"}
)

// headlineBars keeps the first page short.
const headlineBars = 8

func newIndex(c Content) index {
	page := index{frame: frame{Title: "What slicers report"}, Week: latest(c), Guarantee: c.Plan.Guarantees[0], Groups: groups()}
	for _, name := range headlineFigures {
		if t, rows := tableOf(c, name, page.Week); len(rows) > 0 {
			page.Figures = append(page.Figures, figure{t.Metric.Title, scaled(rows[0], rows[0].Value), scaled(rows[0], rows[0].Low) + " to " + scaled(rows[0], rows[0].High)})
		}
	}
	for _, name := range headlineCharts {
		if t, rows := tableOf(c, name, page.Week); len(rows) > 0 {
			page.Charts = append(page.Charts, indexChart{name, t.Metric.Title, t.Metric.Question, newChart(t.Metric, page.Week, rows, headlineBars)})
		}
	}
	for _, r := range c.Releases {
		if r.Status == publish.Withheld {
			page.Withheld = append(page.Withheld, r.Metric+" of "+r.Week)
		}
	}
	return page
}

// latest returns the last week of which anything is released.
func latest(c Content) string {
	week := ""
	for _, r := range c.Releases {
		if r.Status == publish.Released {
			week = r.Week // releases come in the order of periods
		}
	}
	return week
}

// tableOf returns a metric and its rows of a week.
func tableOf(c Content, name, week string) (Table, []publish.Statistic) {
	for _, t := range c.Tables {
		if t.Metric.Name == name {
			return t, ofWeek(t.Rows, week)
		}
	}
	return Table{}, nil
}

func ofWeek(rows []publish.Statistic, week string) []publish.Statistic {
	var list []publish.Statistic
	for _, r := range rows {
		if r.Week == week {
			list = append(list, r)
		}
	}
	return list
}

// groups sorts the metrics by what they are about.
func groups() []group {
	list := []group{{Title: "How much"}, {Title: "Machines"}, {Title: "Materials"}, {Title: "Settings"}, {Title: "Slicers"}}
	for _, m := range metrics.All() {
		i := groupOf(m)
		list[i].Metrics = append(list[i].Metrics, m)
	}
	for _, g := range list {
		slices.SortFunc(g.Metrics, func(a, b *metrics.Metric) int { return cmp.Compare(a.Title, b.Title) })
	}
	return list
}

// groupOf decides by the category of the first field that a metric reads.
func groupOf(m *metrics.Metric) int {
	for _, f := range rules.Fields() {
		if f.Path != m.Fields()[0] {
			continue
		}
		switch f.Category() {
		case "slice counts":
			return 0
		case "machine":
			return 1
		case "material":
			return 2
		case "print settings":
			return 3
		}
	}
	return 4
}

type metricPage struct {
	frame
	Metric    *metrics.Metric
	Plan      plan.Metric
	Chart     Chart
	Keys      string
	Rows      []tableRow
	Left      int
	Weeks     []string
	History   []historyRow
	Quantiles []quantileRow
	Clip      string
	Bounds    string
}

type tableRow struct {
	Bar
	Raw, Status string
}

type historyRow struct {
	Label string
	Cells []string
}

type quantileRow struct{ Name, Value, Interval, Status string }

func newMetricPage(c Content, t Table) metricPage {
	m, week := t.Metric, latestOf(t)
	rows := ofWeek(t.Rows, week)
	page := metricPage{
		frame: frame{Title: m.Title, Root: "../"}, Metric: m, Keys: strings.Join(columns(t), ", "),
		Chart: newChart(m, week, rows, chartBars), Bounds: describeBounds(m),
	}
	for _, p := range c.Plan.Metrics {
		if p.Name == m.Name {
			page.Plan = p
		}
	}
	if !page.Chart.Columns {
		slices.SortStableFunc(rows, func(a, b publish.Statistic) int { return cmp.Compare(b.Value, a.Value) })
	}
	for _, r := range rows[:min(len(rows), tableRows)] {
		page.Rows = append(page.Rows, tableRow{newBar(m, r, 1), scaled(r, r.Raw), strings.ReplaceAll(r.Status, "_", " ")})
	}
	page.Left = len(rows) - len(page.Rows)
	page.Weeks, page.History = history(t, rows)
	page.Quantiles = quantiles(t, week)
	if len(rows) > 0 && rows[0].ClipShare != nil {
		page.Clip = fmt.Sprintf("%s ± %s", percent(*rows[0].ClipShare), percent(1.96**rows[0].ClipShareError))
	}
	return page
}

func latestOf(t Table) string {
	if len(t.Rows) == 0 {
		return ""
	}
	return t.Rows[len(t.Rows)-1].Week
}

// history compares the largest cells of the latest week over the last weeks.
func history(t Table, latest []publish.Statistic) (weeks []string, list []historyRow) {
	for _, r := range t.Rows {
		if len(weeks) == 0 || weeks[len(weeks)-1] != r.Week {
			weeks = append(weeks, r.Week)
		}
	}
	weeks = weeks[max(0, len(weeks)-weekColumns):]
	largest := slices.Clone(latest)
	slices.SortStableFunc(largest, func(a, b publish.Statistic) int { return cmp.Compare(b.Value, a.Value) })
	for _, top := range largest[:min(len(largest), 10)] {
		row := historyRow{Label: label(t.Metric, top.Key), Cells: make([]string, len(weeks))}
		for _, r := range t.Rows {
			if i := slices.Index(weeks, r.Week); i >= 0 && slices.Equal(r.Key, top.Key) {
				row.Cells[i] = scaled(r, r.Value) + " ± " + amount(1.96*r.StdErr/float64(r.Scale))
			}
		}
		list = append(list, row)
	}
	return weeks, list
}

func quantiles(t Table, week string) []quantileRow {
	var list []quantileRow
	for _, q := range t.Quantiles {
		if q.Week == week {
			column := t.Metric.Keys[0].Column
			list = append(list, quantileRow{
				quantileName(q.Quantile), number(column, q.Value),
				number(column, q.Low) + " to " + number(column, q.High), strings.ReplaceAll(q.Status, "_", " "),
			})
		}
	}
	return list
}

func quantileName(q float64) string {
	if q == 0.5 {
		return "median"
	}
	return fmt.Sprintf("%g %%", 100*q)
}

// describeBounds says in words what one installation can add.
func describeBounds(m *metrics.Metric) string {
	switch {
	case m.OneVote():
		return "Each installation has one vote a week. It is split over the values it used, in proportion to how often."
	case m.Statistic == metrics.Installations && m.Bounds.Keys == 1:
		return "Each installation counts once a week."
	case m.Statistic == metrics.Installations:
		return fmt.Sprintf("Each installation counts for at most %d keys a week, once for each.", m.Bounds.Keys)
	case len(m.Keys) == 0:
		return fmt.Sprintf("Each installation counts for at most %s %s a week.", amount(float64(m.Bounds.Total)/float64(m.Scale)), m.Unit)
	}
	return fmt.Sprintf("Each installation counts for at most %d keys a week, with at most %s %s for one and %s %s in all.", m.Bounds.Keys,
		amount(float64(m.Bounds.PerKey)/float64(m.Scale)), m.Unit, amount(float64(m.Bounds.Total)/float64(m.Scale)), m.Unit)
}

type privacy struct {
	frame
	Plan plan.Outlook
}

func newPrivacy(c Content) privacy { return privacy{frame{Title: "Privacy"}, c.Plan} }

type dictionary struct {
	frame
	Fields []rules.Field
}

func newDictionary() dictionary {
	return dictionary{frame{Title: "What may be collected"}, rules.Fields()}
}
