// Package site writes what is published as static pages for people: charts with
// error bars, tables, downloads, the data dictionary and the privacy statement.
//
// It guarantees that the pages hold nothing but released statistics and public
// facts, say who answers for them, load nothing from anywhere else, run no script, and can be read on a
// telephone and in the dark. A page that fails leaves the pages before it as
// they were.
//
//	index.html             how much, lines over the weeks, a few charts
//	machines.html ...      each subject: a chart and a table of every metric
//	metric/<name>.html     one metric: chart, table, last weeks, how it was made
//	mean/<name>.html       one quotient of two metrics
//	metric/<year>/<name>.html              its weeks in one year
//	data/<year>/<name>.csv .json .parquet  every released row of that year
//	data/<year>/quantiles.csv .json .parquet  the quantiles of all metrics
//	data.html data/<year>.html             the downloads, and what their columns are
//	missing.html           what is withheld, drowned, cut or folded, and why
//	dictionary.html        every field that may be collected, with its rule
//	privacy.html           what is promised, and what is not
//	style.css icon.svg
//
// A site of many years is as quick to open as one of the first: pages show the last
// half year, or one year, and link to the others. Nor does writing it take more
// memory: what it holds at a time is one metric's year, and of all metrics the last
// week and the lines that lead to it.
package site

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"

	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// The permissions of a site: everybody may read it.
const (
	fileMode   = 0o644
	folderMode = 0o755
)

//go:embed page/*.html page/style.css page/icon.svg
var files embed.FS

// Source reads what is published.
type Source interface {
	// Weeks returns the periods of which anything is decided, in their order.
	Weeks(ctx context.Context) ([]period.Period, error)
	// Table returns what is published of a metric in a span of weeks.
	Table(ctx context.Context, m *metrics.Metric, in publish.Span) (Table, error)
	// Mean returns the rows of a mean in a span of weeks.
	Mean(ctx context.Context, m *metrics.Mean, in publish.Span) ([]publish.Mean, error)
}

// Table is what is published of one metric, in the order of periods.
type Table struct {
	Metric    *metrics.Metric
	Rows      []publish.Statistic
	Quantiles []publish.Quantile
	Releases  []publish.Release
}

// Content is what the pages show that are not of one year.
type Content struct {
	Plan     plan.Outlook
	Operator operator.Operator
	Weeks    []string // the last ones of which anything is decided
	Tables   []Table  // of these weeks, as far as a page needs them, in the order of metrics' names
	Means    []MeanTable
	Years    []Year // the oldest first
}

// Write writes the site into dir, which it makes where there is none: first what is
// of one year, then the pages that lead there.
func Write(ctx context.Context, dir string, outlook plan.Outlook, who operator.Operator, source Source) error {
	w := &writer{dir: dir, operator: who}
	w.copy("style.css")
	w.copy("icon.svg")
	c, err := w.years(ctx, source)
	if err != nil {
		return fmt.Errorf("site: %w", errors.Join(append(w.problems, err)...))
	}
	c.Plan, c.Operator = outlook, who
	for _, t := range c.Tables {
		w.page(filepath.Join("metric", t.Metric.Name+".html"), "metric", newMetricPage(c, t))
	}
	for _, t := range c.Means {
		w.page(meanFile(t.Mean), "mean", newMeanPage(c, t))
	}
	for i := range c.Years {
		page := newDownloads(c, i)
		w.page(page.file, "downloads", page)
	}
	if len(c.Years) == 0 {
		w.page("data.html", "downloads", newDownloads(c, 0))
	}
	w.page("missing.html", "missing", newMissing(c))
	w.page("privacy.html", "privacy", newPrivacy(c))
	w.page("dictionary.html", "dictionary", newDictionary())
	for _, page := range newTopics(c) {
		w.page(page.Here, "topic", page)
	}
	w.page("index.html", "overview", newOverview(c))
	return errors.Join(w.problems...)
}

// writer writes files one by one and remembers what went wrong.
type writer struct {
	dir      string
	operator operator.Operator
	problems []error
}

func (w *writer) copy(name string) {
	w.file(name, func(out io.Writer) error {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	})
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"address": newAddress,
	"percent": percent,
	"delta":   delta,
	"pos":     position,
}).ParseFS(files, "page/*.html"))

// page writes a page, under the name of who answers for it.
func (w *writer) page(name, page string, data framed) {
	data.sign(w.operator)
	w.file(name, func(out io.Writer) error { return templates.ExecuteTemplate(out, page, data) })
}

// file writes a file beside its place and moves it there, so that a reader sees
// the old one or the new one, whole.
func (w *writer) file(name string, content func(io.Writer) error) {
	if err := w.put(filepath.Join(w.dir, name), content); err != nil {
		w.problems = append(w.problems, fmt.Errorf("site: %s: %w", name, err))
	}
}

func (w *writer) put(path string, content func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	beside := path + ".new"
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	if err := errors.Join(content(out), out.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return os.Rename(beside, path)
}
