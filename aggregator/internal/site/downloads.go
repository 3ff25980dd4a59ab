package site

import (
	"fmt"
	"slices"
)

// downloads is the page that lists every metric with its files of one year.
type downloads struct {
	frame
	file    string
	Year    int // 0: nothing is published
	Years   []yearLink
	Weeks   int
	Columns table
	Groups  []downloadGroup
	// Quantiles are the files of the year's quantiles, and how many rows they have.
	Quantiles    string
	QuantileRows string
}

type downloadGroup struct {
	Title   string
	Metrics []download
}

type download struct {
	Title string
	Page  string
	Keys  string
	Rows  string
	Files string
}

// columnWords says what the columns of the files are, which those of the views say
// of themselves in the database.
var columnWords = []struct{ name, what string }{
	{"period", "the week: its name in CSV and JSON, its Monday in Parquet"},
	{"the keys", "one column for each; the names are public and all of them are there, also those that nobody used"},
	{"value", "tidied: never negative; numbers that noise drowns are reduced until all add up to the unbiased total. Read this"},
	{"value_raw", "unbiased, may be negative. Add up and average this"},
	{"std_err", "standard deviation of the noise. Of a sum or difference: the root of the sum of the squares"},
	{"ci95_lo, ci95_hi", "ends of the 95 % interval"},
	{"status", "low_confidence: the interval is wider than the value"},
	{"scale, unit", "in CSV and JSON numbers are stored integers: divide them by scale. In Parquet that is done"},
	{"epsilon, delta, mu2", "what the metric spends of the week's budget"},
	{"cap_keys, cap_per_key, cap_total", "what one installation counts for at most"},
	{"quantile", "in the files of quantiles: the part of installations below value, which is in the unit that the metric’s key column ends with"},
	{"total, count", "in the files of means: the two unbiased numbers, whose quotient is value_raw, each with its standard error. Add these up, not the means; numbers are in their units"},
	{"clip_share", "noisy share of installations that a cap cut; empty where none can"},
}

// dataPage is the page of a year's downloads: that of the latest is the page "Data".
func dataPage(years []Year, i int) (file, root string) {
	if i >= len(years)-1 {
		return "data.html", ""
	}
	return fmt.Sprintf("data/%d.html", years[i].Number), "../"
}

// newDownloads makes the page of the i-th year, or one that lists nothing.
func newDownloads(c Content, i int) *downloads {
	page := &downloads{
		frame:   newFrame("data.html", "Data", "Everything published, as CSV, JSON and Parquet"),
		Columns: table{Caption: "The columns of the files", Columns: []column{{"Column", false}, {"What it is", false}}},
	}
	for _, w := range columnWords {
		page.Columns.add(w.name, w.what)
	}
	page.file, page.Root = dataPage(c.Years, i)
	if i >= len(c.Years) {
		return page
	}
	year := c.Years[i]
	page.Year, page.Weeks = year.Number, len(year.Weeks)
	page.Title = fmt.Sprintf("Data of %d", year.Number)
	if n := len(year.quantiles); n > 0 {
		page.Quantiles, page.QuantileRows = filesOf(quantilesName, year.Number), amount(float64(n))
	}
	for j, y := range slices.Backward(c.Years) {
		file, _ := dataPage(c.Years, j)
		page.Years = append(page.Years, yearLink{file, y.Number, i == j})
	}
	for s, title := range []string{"How much", "Machines", "Materials", "Print settings", "Slicers"} {
		group := downloadGroup{Title: title}
		for _, t := range bySubject(c, subject(s), "") {
			if n := year.Rows[t.Metric.Name]; n > 0 {
				group.Metrics = append(group.Metrics, download{t.Metric.Title, linkOf(t.Metric), keysOf(t.Metric), amount(float64(n)), filesOf(t.Metric.Name, year.Number)})
			}
		}
		page.Groups = append(page.Groups, group)
	}
	means := downloadGroup{Title: "Means"}
	for _, t := range c.Means {
		if n := year.Rows[t.Mean.Name]; n > 0 {
			means.Metrics = append(means.Metrics, download{t.Mean.Title, meanFile(t.Mean), keysOf(t.Mean.Total), amount(float64(n)), filesOf(t.Mean.Name, year.Number)})
		}
	}
	page.Groups = append(page.Groups, means)
	return page
}
