package site

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// recentWeeks is how far back the pages go that are not of one year: half a year.
const recentWeeks = 26

// yearColumns is how many keys a table of a year follows.
const yearColumns = 5

// Year says what there is of an ISO year.
type Year struct {
	Number int
	Weeks  []string       // of which anything is decided
	Rows   map[string]int // published of a metric; of one without any there is no page

	quantiles []publish.Quantile // of all metrics: some thousand a year
}

// yearLink is a link to a page of another year.
type yearLink struct {
	File string
	Year int
	Here bool
}

// years writes the files and pages of every year and returns what the other pages
// show.
func (w *writer) years(ctx context.Context, source Source) (Content, error) {
	weeks, err := source.Weeks(ctx)
	if err != nil {
		return Content{}, err
	}
	c := Content{Years: yearsOf(weeks)}
	var recent publish.Span
	if len(weeks) > 0 {
		last := weeks[len(weeks)-1]
		recent = publish.Span{First: last - 7*(recentWeeks-1), Last: last}
	}
	for _, week := range weeks {
		if week >= recent.First {
			c.Weeks = append(c.Weeks, week.String())
		}
	}
	for _, m := range metrics.All() {
		t, err := w.yearsOfMetric(ctx, source, m, c.Years, recent.First)
		if err != nil {
			return Content{}, err
		}
		c.Tables = append(c.Tables, t)
	}
	for _, m := range metrics.Means() {
		t, err := w.yearsOfMean(ctx, source, m, c.Years, recent.First)
		if err != nil {
			return Content{}, err
		}
		c.Means = append(c.Means, t)
	}
	for _, year := range c.Years {
		if len(year.quantiles) == 0 {
			continue
		}
		for format, encode := range quantileEncoders {
			w.file(filesOf(quantilesName, year.Number)+format, func(out io.Writer) error { return encode(out, year.quantiles) })
		}
	}
	return c, nil
}

// yearsOf groups weeks by year.
func yearsOf(weeks []period.Period) []Year {
	var list []Year
	for _, week := range weeks {
		if n := len(list); n == 0 || list[n-1].Number != week.Year() {
			list = append(list, Year{Number: week.Year(), Rows: map[string]int{}})
		}
		last := &list[len(list)-1]
		last.Weeks = append(last.Weeks, week.String())
	}
	return list
}

// yearsOfMetric writes what is of one year and returns the recent rows.
func (w *writer) yearsOfMetric(ctx context.Context, source Source, m *metrics.Metric, years []Year, from period.Period) (Table, error) {
	recent := Table{Metric: m}
	var pages []*yearPage
	for i, year := range years {
		first, last := period.YearOf(year.Number)
		t, err := source.Table(ctx, m, publish.Span{First: first, Last: last})
		if err != nil {
			return Table{}, err
		}
		recent.add(t, from)
		if len(t.Rows) == 0 {
			continue
		}
		years[i].Rows[m.Name] = len(t.Rows)
		years[i].quantiles = append(years[i].quantiles, t.Quantiles...)
		for format, encode := range encoders {
			w.file(filesOf(m.Name, year.Number)+format, func(out io.Writer) error { return encode(out, t) })
		}
		pages = append(pages, newYearPage(t, year))
	}
	// They link to each other: which there are is known at the end.
	for _, page := range pages {
		page.Years = yearLinks(years, m.Name, page.Year)
		w.page(path.Join("metric", strconv.Itoa(page.Year), m.Name+".html"), "year", page)
	}
	recent.trim()
	return recent, nil
}

// filesOf is where the downloads of a metric and year are, without their endings.
func filesOf(metric string, year int) string { return fmt.Sprintf("data/%d/%s", year, metric) }

// add takes the weeks from one on.
func (t *Table) add(of Table, from period.Period) {
	first := slices.IndexFunc(of.Releases, func(r publish.Release) bool { return r.Period >= from })
	if first < 0 {
		return
	}
	t.Releases = append(t.Releases, of.Releases[first:]...)
	week := of.Releases[first].Week // weeks are in their order; their names are too
	for _, r := range of.Rows {
		if r.Week >= week {
			t.Rows = append(t.Rows, r)
		}
	}
	for _, q := range of.Quantiles {
		if q.Week >= week {
			t.Quantiles = append(t.Quantiles, q)
		}
	}
}

// trim keeps the last week whole, and of the weeks before it the keys that pages
// follow.
func (t *Table) trim() {
	week := latestOf(*t)
	last := slices.Clone(ofWeek(t.Rows, week))
	slices.SortStableFunc(last, largestFirst)
	followed := map[string]bool{}
	for i, r := range last {
		if i < historyRows {
			followed[joined(r.Key)] = true
		}
	}
	for _, r := range clearest(last) {
		followed[joined(r.Key)] = true
	}
	var rows []publish.Statistic
	for _, r := range t.Rows {
		if r.Week == week || followed[joined(r.Key)] {
			rows = append(rows, r)
		}
	}
	t.Rows = rows
}

// yearLinks links the years in which a metric is published, the latest first.
func yearLinks(years []Year, metric string, here int) []yearLink {
	var links []yearLink
	for _, y := range slices.Backward(years) {
		if y.Rows[metric] > 0 {
			links = append(links, yearLink{fmt.Sprintf("metric/%d/%s.html", y.Number, metric), y.Number, y.Number == here})
		}
	}
	return links
}

// yearPage is one metric in one year.
type yearPage struct {
	frame
	Metric   *metrics.Metric
	Year     int
	Years    []yearLink
	Files    string
	Trend    *Chart
	Trends   []Chart
	Followed bool // they are of single keys
	Weeks    table
	// Quantiles are the files of the year's quantiles, if the metric has any.
	Quantiles string
	Absent    string
	Withheld  string
}

func newYearPage(t Table, year Year) *yearPage {
	m := t.Metric
	page := &yearPage{
		frame:  newFrame(fileOf(m), fmt.Sprintf("%s, %d", m.Title, year.Number), fmt.Sprintf("%s The weeks of %d.", m.Question, year.Number)),
		Metric: m, Year: year.Number, Files: filesOf(m.Name, year.Number), Weeks: yearTable(t, year),
		Absent: absentWeeks(year.Weeks, t.Releases), Withheld: withheldWeeks(t.Releases),
	}
	page.Root = "../../"
	page.Trend, page.Trends = trendsOf(t)
	page.Followed = !isScale(m)
	if len(t.Quantiles) > 0 {
		page.Quantiles = filesOf(quantilesName, year.Number)
	}
	return page
}

// yearTable has a row for each week: of a metric without keys everything that is
// published, of another its quantiles or the largest keys of the last week.
func yearTable(t Table, year Year) table {
	m := t.Metric
	if len(m.Keys) == 0 {
		list := numbersTable(m, fmt.Sprintf("%s, the weeks of %d", m.Title, year.Number), t.Rows)
		list.Columns[0].Name = "Week"
		for i := range list.Rows {
			list.Rows[i].Cells[0] = t.Rows[i].Week
		}
		return list
	}
	list := table{Caption: fmt.Sprintf("%s, the weeks of %d", m.Title, year.Number), Columns: []column{{"Week", false}}}
	at := map[string]int{} // the row of a week
	for _, r := range t.Rows {
		if _, ok := at[r.Week]; !ok {
			at[r.Week] = len(list.Rows)
			list.add(r.Week)
		}
	}
	for _, q := range []float64{0.5, 0.9} {
		list.addQuantiles(t, q, at)
	}
	if len(list.Columns) > 1 {
		return list
	}
	list.Caption += ", in " + m.Unit
	largest := slices.Clone(ofWeek(t.Rows, latestOf(t)))
	slices.SortStableFunc(largest, largestFirst)
	for _, top := range largest[:min(len(largest), yearColumns)] {
		list.Columns = append(list.Columns, column{label(m, top.Key), true})
		for _, r := range ofKey(t.Rows, top.Key) {
			row := &list.Rows[at[r.Week]]
			row.Cells = append(row.Cells, scaled(r, r.Value)+" ± "+margin(r))
		}
		list.fill()
	}
	return list
}

// addQuantiles adds a column for a quantile, if the metric has one.
func (t *table) addQuantiles(of Table, quantile float64, at map[string]int) {
	found := false
	for _, q := range of.Quantiles {
		if i, ok := at[q.Week]; ok && q.Quantile == quantile {
			found = true
			column := of.Metric.Keys[0].Column
			t.Rows[i].Cells = append(t.Rows[i].Cells, number(column, q.Value)+" ("+number(column, q.Low)+" to "+number(column, q.High)+")")
		}
	}
	if found {
		t.Columns = append(t.Columns, column{quantileName(quantile), true})
		t.fill()
	}
}

// fill makes every row as long as there are columns.
func (t *table) fill() {
	for i := range t.Rows {
		for len(t.Rows[i].Cells) < len(t.Columns) {
			t.Rows[i].Cells = append(t.Rows[i].Cells, "")
		}
	}
}

// joined is a key as one text.
func joined(key []string) string { return strings.Join(key, "\x00") }
