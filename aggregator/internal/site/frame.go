package site

import (
	"cmp"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// frame is what every page has.
type frame struct {
	Title string
	About string // for search engines and lists of bookmarks
	Root  string // the way to the top: "" or "../"
	Here  string // the file of the page, or of the one above it
	Pages []pageLink
	// Operator answers for what the page says.
	Operator operator.Operator
}

// framed is a page.
type framed interface{ sign(operator.Operator) }

func (f *frame) sign(by operator.Operator) { f.Operator = by }

// address is a way to reach somebody: a link where the text is an address that a
// browser knows, words otherwise.
type address struct{ Text, Link string }

func newAddress(text string) address {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, " \t\n") {
		return address{Text: text}
	}
	if u, err := url.Parse(text); err == nil && u.Scheme == "https" && u.Host != "" {
		return address{text, text}
	}
	if mail, err := netmail.ParseAddress(text); err == nil && mail.Address == text {
		return address{text, "mailto:" + text}
	}
	return address{Text: text}
}

// pageLink is a page that every page links to.
type pageLink struct{ File, Title string }

var pageLinks = []pageLink{
	{"machines.html", "Machines"}, {"materials.html", "Materials"}, {"settings.html", "Print settings"}, {"slicers.html", "Slicers"},
	{"data.html", "Data"}, {"missing.html", "What is missing"}, {"dictionary.html", "What is collected"}, {"privacy.html", "Privacy"},
}

func newFrame(file, title, about string) frame {
	return frame{Title: title, About: about, Here: file, Pages: pageLinks}
}

// table is rows of text under a caption. The first cell of a row names it.
type table struct {
	Caption string
	Columns []column
	Rows    []tableRow
}

type column struct {
	Name   string
	Number bool
}

type tableRow struct {
	Cells    []string
	Link     string // of the first cell
	Doubtful bool
}

func (t *table) add(cells ...string) { t.Rows = append(t.Rows, tableRow{Cells: cells}) }

// numbersTable lists rows of a week as they are published.
func numbersTable(m *metrics.Metric, caption string, rows []publish.Statistic) table {
	name := "Value"
	if len(m.Keys) == 0 {
		name = "What"
	}
	t := table{Caption: caption, Columns: []column{{name, false}, {m.Unit, true}, {"95 % interval", true}, {"unbiased", true}, {"standard error", true}, {"status", false}}}
	for _, r := range rows {
		t.Rows = append(t.Rows, tableRow{
			Cells:    []string{label(m, r.Key), scaled(r, r.Value), interval(r), scaled(r, r.Raw), amount(r.StdErr / float64(r.Scale)), words(r.Status)},
			Doubtful: r.Status != "ok",
		})
	}
	return t
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// latest returns the last week of which anything is released.
func latest(c Content) string {
	week := ""
	for _, t := range c.Tables {
		for _, r := range t.Releases {
			if r.Status == publish.Released {
				week = max(week, r.Week) // their names are in the order of weeks
			}
		}
	}
	return week
}

// tableOf returns a metric's table, if there is such a metric.
func tableOf(c Content, name string) (Table, bool) {
	for _, t := range c.Tables {
		if t.Metric.Name == name {
			return t, true
		}
	}
	return Table{}, false
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

func latestOf(t Table) string {
	if len(t.Rows) == 0 {
		return ""
	}
	return t.Rows[len(t.Rows)-1].Week
}

// subject is what a metric is about.
type subject int

// The subjects, in the order of the pages.
const (
	counts subject = iota
	machines
	materials
	settings
	slicers
	subjects
)

// subjectOf decides by the category of the first field that a metric reads.
func subjectOf(m *metrics.Metric) subject {
	for _, f := range rules.Fields() {
		if f.Path != m.Fields()[0] {
			continue
		}
		switch f.Category() {
		case "slice counts":
			return counts
		case "machine":
			return machines
		case "material":
			return materials
		case "print settings":
			return settings
		}
	}
	return slicers
}

// bySubject returns the tables of a subject in the order of their titles, the one
// named first.
func bySubject(c Content, s subject, first string) []Table {
	var list []Table
	for _, t := range c.Tables {
		if subjectOf(t.Metric) == s {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b Table) int {
		switch first {
		case a.Metric.Name:
			return -1
		case b.Metric.Name:
			return 1
		}
		return cmp.Compare(a.Metric.Title, b.Metric.Title)
	})
	return list
}
