package site

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// MeanTable is a mean with its rows.
type MeanTable struct {
	Mean *metrics.Mean
	Rows []publish.Mean
}

// meanEncoders are the formats of a mean's downloads, with the columns of its view.
var meanEncoders = map[string]func(io.Writer, MeanTable) error{".csv": encodeMeanCSV, ".json": encodeMeanJSON, ".parquet": encodeMeanParquet}

// yearsOfMean writes the files of every year and returns the recent rows: the last
// week, and of those before it the keys that are followed.
func (w *writer) yearsOfMean(ctx context.Context, source Source, m *metrics.Mean, years []Year, from period.Period) (MeanTable, error) {
	recent := MeanTable{Mean: m}
	for _, year := range years {
		if year.Rows[m.Total.Name] == 0 || year.Rows[m.Count.Name] == 0 {
			continue
		}
		first, last := period.YearOf(year.Number)
		rows, err := source.Mean(ctx, m, publish.Span{First: first, Last: last})
		if err != nil {
			return MeanTable{}, err
		}
		if len(rows) == 0 {
			continue
		}
		year.Rows[m.Name] = len(rows)
		for format, encode := range meanEncoders {
			w.file(filesOf(m.Name, year.Number)+format, func(out io.Writer) error { return encode(out, MeanTable{m, rows}) })
		}
		for _, r := range rows {
			if r.Week >= from.String() {
				recent.Rows = append(recent.Rows, r)
			}
		}
	}
	recent.trim()
	return recent, nil
}

// last returns the rows of the latest week, those of the largest counts first: of
// the largest means most would be lucky quotients of little.
func (t MeanTable) last() (week string, rows []publish.Mean) {
	if len(t.Rows) == 0 {
		return "", nil
	}
	week = t.Rows[len(t.Rows)-1].Week
	for _, r := range t.Rows {
		if r.Week == week {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b publish.Mean) int { return cmp.Compare(b.Count, a.Count) })
	return week, rows
}

// followed are the keys that are drawn over the weeks.
func (t MeanTable) followed() [][]string {
	var keys [][]string
	_, rows := t.last()
	for _, r := range rows {
		if r.Status == "ok" && len(keys) < smallCharts {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func (t *MeanTable) trim() {
	keep := map[string]bool{}
	for _, key := range t.followed() {
		keep[joined(key)] = true
	}
	week, _ := t.last()
	t.Rows = slices.DeleteFunc(t.Rows, func(r publish.Mean) bool { return r.Week != week && !keep[joined(r.Key)] })
}

// readings returns the weeks of a key of which something is known.
func (t MeanTable) readings(key []string) []reading {
	var list []reading
	for _, r := range t.Rows {
		if r.Value != nil && slices.Equal(r.Key, key) {
			list = append(list, reading{r.Week, *r.Value, r.Low, r.High, r.Status != "ok"})
		}
	}
	return list
}

// label names a row for people.
func (t MeanTable) label(key []string) string {
	if len(key) == 0 {
		return t.Mean.Title
	}
	return label(t.Mean.Total, key)
}

// meanPage is one mean.
type meanPage struct {
	frame
	Mean      *metrics.Mean
	Plan      plan.Mean
	Chart     Chart
	Trends    []Chart
	Numbers   table
	Left      int
	Files     string // of the latest year
	FilesYear int
}

func newMeanPage(c Content, t MeanTable) *meanPage {
	m := t.Mean
	page := &meanPage{frame: newFrame(fileOf(m.Total), m.Title, m.Question), Mean: m}
	page.Root = "../"
	for _, p := range c.Plan.Means {
		if p.Name == m.Name {
			page.Plan = p
		}
	}
	for _, year := range c.Years {
		if year.Rows[m.Name] > 0 {
			page.FilesYear, page.Files = year.Number, filesOf(m.Name, year.Number)
		}
	}
	week, rows := t.last()
	if len(rows) == 0 {
		return page
	}
	page.Chart = newMeanChart(t, week, rows)
	page.Chart.Left = len(rows) - len(page.Chart.Bars)
	page.Trends = meanTrends(c, t)
	page.Numbers = table{Caption: m.Title + ", week " + week, Columns: []column{{"Value", false}, {m.Unit, true}, {"95 % interval", true}, {m.Count.Title, true}, {"status", false}}}
	for _, r := range rows[:min(len(rows), tableRows)] {
		value := "not known"
		if r.Value != nil {
			value = amount(*r.Value)
		}
		page.Numbers.Rows = append(page.Numbers.Rows, tableRow{Doubtful: r.Status != "ok", Cells: []string{
			t.label(r.Key), value, amount(r.Low) + " to " + amount(r.High), amount(r.Count) + " ± " + amount(z95*r.CountError), words(r.Status),
		}})
	}
	page.Left = len(rows) - len(page.Numbers.Rows)
	return page
}

// newMeanChart draws those of a week's means of which something is known, in the
// order of rows. The scale ends where the clear ones do.
func newMeanChart(t MeanTable, week string, rows []publish.Mean) Chart {
	m := t.Mean
	c := Chart{ID: m.Name, Title: m.Title + ", week " + week, Kind: Bars, Week: week, Unit: m.Unit, Height: barHeight, Desc: "Nothing is known."}
	known := slices.DeleteFunc(slices.Clone(rows), func(r publish.Mean) bool { return r.Value == nil })
	if len(known) == 0 {
		return c
	}
	known = known[:min(len(known), chartBars)]
	longest := 0.0
	for _, r := range known {
		if r.Status == "ok" {
			longest = max(longest, r.High)
		}
	}
	if longest == 0 {
		longest = m.Maximum
	}
	scale := newAxis(0, longest, fullScale)
	for i, r := range known {
		name := t.label(r.Key)
		c.Bars = append(c.Bars, Bar{Label: name, Short: shorten(name), Amount: amount(*r.Value), Interval: amount(r.Low) + " to " + amount(r.High),
			Margin: amount((r.High - r.Low) / 2), Length: scale.at(*r.Value), Low: scale.at(r.Low), High: scale.at(r.High), Doubtful: r.Status != "ok", Row: i * barHeight})
	}
	c.Height = len(c.Bars) * barHeight
	c.Desc = fmt.Sprintf("%d means in %s with 95 %% intervals, those of the most %s first. The first is %s with %s, between %s.",
		len(c.Bars), m.Unit, m.Count.Unit, c.Bars[0].Label, c.Bars[0].Amount, c.Bars[0].Interval)
	return c
}

// meanTrends follows the means of the largest counts. Weeks are comparable where
// both statistics were made by the same definitions.
func meanTrends(c Content, t MeanTable) []Chart {
	total, _ := tableOf(c, t.Mean.Total.Name)
	count, _ := tableOf(c, t.Mean.Count.Name)
	definitions, of := definitionsOf(total), definitionsOf(count)
	for week := range definitions {
		definitions[week] += " by " + of[week]
	}
	var charts []Chart
	for i, key := range t.followed() {
		if list := t.readings(key); len(list) > 1 {
			charts = append(charts, drawing{id: fmt.Sprintf("%s-trend-%d", t.Mean.Name, i), title: t.label(key), unit: t.Mean.Unit, height: smallHeight,
				say: amount, round: 1, definitions: definitions}.draw(list))
		}
	}
	return charts
}

// meansOf returns the means whose totals are about a subject.
func meansOf(c Content, s subject) []*metrics.Mean {
	var list []*metrics.Mean
	for _, t := range c.Means {
		if subjectOf(t.Mean.Total) == s {
			list = append(list, t.Mean)
		}
	}
	return list
}

func encodeMeanCSV(out io.Writer, t MeanTable) error {
	w := csv.NewWriter(out)
	header := []string{"period"}
	for _, k := range t.Mean.Total.Keys {
		header = append(header, k.Column)
	}
	w.Write(append(header, "value", "value_raw", "std_err", "ci95_lo", "ci95_hi", "status", "total", "total_std_err", "count", "count_std_err"))
	maybe := func(v *float64) string {
		if v == nil {
			return ""
		}
		return exact(*v)
	}
	for _, r := range t.Rows {
		w.Write(append(append([]string{r.Week}, r.Key...), maybe(r.Value), maybe(r.Raw), maybe(r.StdErr), exact(r.Low), exact(r.High), r.Status,
			exact(r.Total), exact(r.TotalError), exact(r.Count), exact(r.CountError)))
	}
	w.Flush()
	return w.Error() // which holds the first error of the writes before
}

func encodeMeanJSON(out io.Writer, t MeanTable) error {
	keys := []string{}
	for _, k := range t.Mean.Total.Keys {
		keys = append(keys, k.Column)
	}
	err := json.NewEncoder(out).Encode(map[string]any{"mean": t.Mean.Name, "title": t.Mean.Title, "question": t.Mean.Question, "unit": t.Mean.Unit,
		"total": t.Mean.Total.Name, "count": t.Mean.Count.Name, "keys": keys, "rows": t.Rows})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

// meanFile is the page of a mean.
func meanFile(m *metrics.Mean) string { return path.Join("mean", m.Name+".html") }
