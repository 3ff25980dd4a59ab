package site

import "github.com/slicemetry/slicemetry/schema/metrics"

// downloads is the page that lists every metric with its files.
type downloads struct {
	frame
	Weeks   []string
	Columns table
	Groups  []downloadGroup
}

type downloadGroup struct {
	Title   string
	Metrics []download
}

type download struct {
	Metric *metrics.Metric
	Keys   string
	Rows   string
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
	{"clip_share", "noisy share of installations that a cap cut; empty where none can"},
}

func newDownloads(c Content) downloads {
	page := downloads{
		frame:   newFrame("data.html", "Data", "Everything published, as CSV, JSON and Parquet"),
		Columns: table{Caption: "The columns of the files", Columns: []column{{"Column", false}, {"What it is", false}}},
	}
	for _, w := range columnWords {
		page.Columns.add(w.name, w.what)
	}
	last := ""
	for _, r := range c.Releases {
		if r.Week != last {
			page.Weeks = append(page.Weeks, r.Week)
			last = r.Week
		}
	}
	for s, title := range []string{"How much", "Machines", "Materials", "Print settings", "Slicers"} {
		group := downloadGroup{Title: title}
		for _, t := range bySubject(c, subject(s), "") {
			group.Metrics = append(group.Metrics, download{t.Metric, keysOf(t.Metric), amount(float64(len(t.Rows)))})
		}
		page.Groups = append(page.Groups, group)
	}
	return page
}
