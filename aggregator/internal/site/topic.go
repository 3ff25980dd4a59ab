package site

import (
	"slices"

	"github.com/slicemetry/slicemetry/schema/metrics"
)

// topic is a page about one subject: a chart and a table of each of its metrics.
type topic struct {
	frame
	Lead       string
	Week       string
	TrendTitle string
	Trends     []Chart
	Cards      []card
	Means      []*metrics.Mean
	Silent     []string // titles of metrics of which nothing is published yet
}

// card is one metric on a page.
type card struct {
	Name, Title, Question string
	Chart                 Chart
	Table                 table
	Left                  int
}

// cardRows is what the table on a card lists; the metric's page has more.
const cardRows = 12

func newCard(t Table, week string, bars int) card {
	rows := ofWeek(t.Rows, week)
	k := card{Name: t.Metric.Name, Title: t.Metric.Title, Question: t.Metric.Question, Chart: newChart(t.Metric, week, rows, bars)}
	if k.Chart.Kind == Bars {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, largestFirst)
	} else {
		rows = trim(rows)
	}
	k.Table = numbersTable(t.Metric, t.Metric.Title+", week "+week, rows[:min(len(rows), cardRows)])
	k.Left = len(ofWeek(t.Rows, week)) - len(k.Table.Rows)
	return k
}

// topics are the pages by subject. The first metric is the one that is followed
// over the weeks.
var topics = []struct {
	subject           subject
	file, title, lead string
	first             string
}{
	{machines, "machines.html", "Machines", "Which printers work is prepared for.", "installations_by_machine"},
	{materials, "materials.html", "Materials", "What is printed with, and how much of it.", "material_by_type"},
	{settings, "settings.html", "Print settings", "How people print: layers, walls, infill, support, temperatures, speed.", "infill_pattern"},
	{slicers, "slicers.html", "Slicers", "Which programs report, on which systems, and how large their jobs are.", "installations_by_application"},
}

func newTopics(c Content) []*topic {
	var pages []*topic
	for _, kind := range topics {
		page := &topic{frame: newFrame(kind.file, kind.title, kind.lead), Lead: kind.lead, Week: latest(c), Means: meansOf(c, kind.subject)}
		for _, t := range bySubject(c, kind.subject, kind.first) {
			if len(ofWeek(t.Rows, page.Week)) == 0 {
				page.Silent = append(page.Silent, t.Metric.Title)
				continue
			}
			page.Cards = append(page.Cards, newCard(t, page.Week, chartBars))
			if t.Metric.Name == kind.first {
				page.TrendTitle, page.Trends = t.Metric.Title, smallTrends(t)
			}
		}
		pages = append(pages, page)
	}
	return pages
}
