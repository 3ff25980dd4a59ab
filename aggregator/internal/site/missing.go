package site

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// missing is the page that says what the others do not show, and why.
type missing struct {
	frame
	Week     string
	Withheld table
	Absent   table
	Doubtful table
	Outside  table
}

func newMissing(c Content) *missing {
	page := &missing{
		frame:    newFrame("missing.html", "What is missing, and why", "Numbers that are withheld, drowned by noise, cut by caps or folded into others"),
		Week:     latest(c),
		Withheld: table{Caption: "Withheld for want of budget", Columns: []column{{"Metric", false}, {"Weeks", false}}},
		Absent:   table{Caption: "Not published, although other metrics of the week are", Columns: []column{{"Metric", false}, {"Weeks", false}}},
		Doubtful: table{Caption: "What noise drowns and what caps cut, week " + latest(c), Columns: []column{
			{"Metric", false}, {"numbers", true}, {"of low confidence", true}, {"noise, ±", true}, {"unit", false}, {"installations cut by a cap", true}}},
		Outside: table{Caption: "Reported values outside of the public names", Columns: []column{{"Metric", false}, {"Key", false}, {"Names published", true}, {"Others", false}}},
	}
	for _, t := range c.Tables {
		if weeks := withheldWeeks(t.Releases); weeks != "" {
			page.Withheld.Rows = append(page.Withheld.Rows, tableRow{Cells: []string{t.Metric.Title, weeks}, Link: linkOf(t.Metric)})
		}
		if weeks := absentWeeks(c.Weeks, t.Releases); weeks != "" {
			page.Absent.Rows = append(page.Absent.Rows, tableRow{Cells: []string{t.Metric.Title, weeks}, Link: linkOf(t.Metric)})
		}
		if rows := ofWeek(t.Rows, page.Week); len(rows) > 0 {
			page.Doubtful.Rows = append(page.Doubtful.Rows, doubtfulRow(t.Metric, rows))
		}
		for _, k := range t.Metric.Keys {
			page.Outside.Rows = append(page.Outside.Rows, tableRow{
				Cells: []string{t.Metric.Title, words(k.Column), amount(float64(len(k.Values))), othersOf(k)}, Link: linkOf(t.Metric)})
		}
	}
	return page
}

func linkOf(m *metrics.Metric) string { return "metric/" + m.Name + ".html" }

// absentWeeks lists those of the weeks about which nothing is decided of a metric.
func absentWeeks(weeks []string, releases []publish.Release) string {
	absent := slices.DeleteFunc(slices.Clone(weeks), func(week string) bool {
		return slices.ContainsFunc(releases, func(r publish.Release) bool { return r.Week == week })
	})
	return strings.Join(absent, ", ")
}

// withheldWeeks lists the weeks of which the budget did not suffice for a metric.
func withheldWeeks(releases []publish.Release) string {
	var list []string
	for _, r := range releases {
		if r.Status == publish.Withheld {
			list = append(list, r.Week)
		}
	}
	return strings.Join(list, ", ")
}

func doubtfulRow(m *metrics.Metric, rows []publish.Statistic) tableRow {
	drowned := 0
	for _, r := range rows {
		if r.Status != "ok" {
			drowned++
		}
	}
	cut := "no cap can cut"
	if share := rows[0].ClipShare; share != nil {
		cut = "too few to say"
		if *rows[0].ClipShareError < 1 {
			cut = fmt.Sprintf("%s ± %s", percent(*share), percent(z95**rows[0].ClipShareError))
		}
	}
	return tableRow{Link: linkOf(m), Doubtful: drowned == len(rows), Cells: []string{
		m.Title, amount(float64(len(rows))), fmt.Sprintf("%s (%s)", amount(float64(drowned)), percent(float64(drowned)/float64(len(rows)))), margin(rows[0]), m.Unit, cut,
	}}
}

// othersOf says what becomes of a value that is not among the public ones.
func othersOf(k metrics.Key) string {
	switch {
	case k.Numeric:
		return "rounded to the grid, on the device"
	case k.Otherwise != "":
		return "counted as “" + value(k.Column, k.Otherwise) + "”"
	}
	return "left out"
}
