package site

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

const (
	// tableRows is what a page lists; the downloads have every row.
	tableRows = 60
	// weekColumns is how many weeks a page compares.
	weekColumns = 6
	// historyRows is of how many keys.
	historyRows = 10
)

// metricPage is one metric: chart, table, weeks, how it is made.
type metricPage struct {
	frame
	Metric    *metrics.Metric
	Plan      plan.Metric
	Chart     Chart
	Trend     *Chart
	Trends    []Chart
	Numbers   table
	Left      int
	History   table
	Quantiles table
	Clip      string
	Bounds    string
	Years     []yearLink
	Files     string // of the latest year
	FilesYear int
	// QuantileFiles are those of all quantiles of that year, if the metric has any.
	QuantileFiles string
}

func newMetricPage(c Content, t Table) *metricPage {
	m, week := t.Metric, latestOf(t)
	rows := ofWeek(t.Rows, week)
	page := &metricPage{
		frame: newFrame(fileOf(m), m.Title, m.Question), Metric: m,
		Chart: newChart(m, week, rows, chartBars), Bounds: describeBounds(m), Quantiles: quantilesTable(t, week),
	}
	page.Root = "../"
	page.Years = yearLinks(c.Years, m.Name, 0)
	if len(page.Years) > 0 {
		page.FilesYear = page.Years[0].Year
		page.Files = filesOf(m.Name, page.FilesYear)
		if len(page.Quantiles.Rows) > 0 {
			page.QuantileFiles = filesOf(quantilesName, page.FilesYear)
		}
	}
	for _, p := range c.Plan.Metrics {
		if p.Name == m.Name {
			page.Plan = p
		}
	}
	page.Trend, page.Trends = trendsOf(t)
	listed := rows
	if page.Chart.Kind != Columns {
		listed = slices.Clone(rows)
		slices.SortStableFunc(listed, largestFirst)
	}
	listed = listed[:min(len(listed), tableRows)]
	page.Numbers = numbersTable(m, m.Title+", week "+week, listed)
	page.Left = len(rows) - len(listed)
	page.History = historyTable(t, rows)
	if len(rows) > 0 && rows[0].ClipShare != nil && *rows[0].ClipShareError < 1 {
		page.Clip = fmt.Sprintf("%s ± %s", percent(*rows[0].ClipShare), percent(z95**rows[0].ClipShareError))
	}
	return page
}

// fileOf returns the page that a metric's page is below.
func fileOf(m *metrics.Metric) string {
	for _, kind := range topics {
		if kind.subject == subjectOf(m) {
			return kind.file
		}
	}
	return "index.html"
}

// historyTable compares the largest cells of the latest week over the last weeks.
func historyTable(t Table, latest []publish.Statistic) table {
	var weeks []string
	for _, r := range t.Rows {
		if len(weeks) == 0 || weeks[len(weeks)-1] != r.Week {
			weeks = append(weeks, r.Week)
		}
	}
	weeks = weeks[max(0, len(weeks)-weekColumns):]
	list := table{Caption: t.Metric.Title + ", week by week, in " + t.Metric.Unit, Columns: []column{{"Value", false}}}
	for _, w := range weeks {
		list.Columns = append(list.Columns, column{w, true})
	}
	largest := slices.Clone(latest)
	slices.SortStableFunc(largest, largestFirst)
	for _, top := range largest[:min(len(largest), historyRows)] {
		cells := make([]string, 1+len(weeks))
		cells[0] = label(t.Metric, top.Key)
		for _, r := range ofKey(t.Rows, top.Key) {
			if i := slices.Index(weeks, r.Week); i >= 0 {
				cells[1+i] = scaled(r, r.Value) + " ± " + margin(r)
			}
		}
		list.add(cells...)
	}
	return list
}

func quantilesTable(t Table, week string) table {
	list := table{Caption: t.Metric.Title + ", quantiles of week " + week, Columns: []column{{"Below", false}, {"Value", true}, {"95 % interval", true}, {"status", false}}}
	for _, q := range t.Quantiles {
		if q.Week == week {
			column := t.Metric.Keys[0].Column
			list.Rows = append(list.Rows, tableRow{Doubtful: q.Status != "ok", Cells: []string{
				quantileName(q.Quantile), number(column, q.Value), number(column, q.Low) + " to " + number(column, q.High), words(q.Status),
			}})
		}
	}
	return list
}

func quantileName(q float64) string {
	if q == 0.5 {
		return "median (50 %)"
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

// keysOf names the columns of a metric's keys.
func keysOf(m *metrics.Metric) string {
	if len(m.Keys) == 0 {
		return "none"
	}
	names := []string{}
	for _, k := range m.Keys {
		names = append(names, words(k.Column))
	}
	return strings.Join(names, ", ")
}
