package aggregator

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// The pages of two weeks: every link leads somewhere, nothing is loaded from
// elsewhere, no script runs, and the downloads hold every row.
func TestSite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(1, 1)), week, 200)...)
	if _, err := Publish(ctx, conn, testConfig(), week.Previous(), week); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "www")
	// An analyst's rights suffice, and writing again replaces what is there.
	analyst := dbtest.Connect(t, s, migrations.Analyst)
	for range 2 {
		if err := Site(ctx, analyst, testConfig(), who, dir); err != nil {
			t.Fatal(err)
		}
	}
	pages := readAll(t, dir)
	checkPages(t, pages)
	for _, m := range metrics.All() {
		checkDownloads(t, pages, m)
	}
	for _, want := range []string{"2026-W46", "Installations by machine", "differentially private"} {
		if !strings.Contains(pages["index.html"], want) {
			t.Errorf("%q is not on the first page", want)
		}
	}
	for _, f := range rules.Fields() {
		if !strings.Contains(pages["dictionary.html"], `id="`+f.Path+`"`) {
			t.Errorf("%s is not in the dictionary", f.Path)
		}
	}
	for _, want := range []string{"52 weeks", "does not cover", "withdraw", "2.35"} {
		if !strings.Contains(pages["privacy.html"], want) {
			t.Errorf("%q is not in the privacy statement", want)
		}
	}
}

// Before anything is published the site says so.
func TestSiteOfNothing(t *testing.T) {
	t.Parallel()
	s := migrationtest.Start(t)
	dir := t.TempDir()
	if err := Site(context.Background(), dbtest.Connect(t, s, migrations.Analyst), testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	pages := readAll(t, dir)
	checkPages(t, pages)
	if !strings.Contains(pages["index.html"], "Nothing is published yet") {
		t.Error("the first page does not say that nothing is published")
	}
}

// A site of ten years in the database: each year's files hold its weeks, and the
// pages of the latest week are no larger for it.
func TestSiteOfTenYears(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	writer := dbtest.Connect(t, s, localdb.Administrator)
	const weeks = 520
	for _, statement := range []string{
		`INSERT INTO published.statistics (period, metric, cell, key, value_raw, value, std_err, ci95_lo, ci95_hi, scale, unit)
			SELECT toDate('2026-11-09') - 7 * intDiv(number, 3), 'slices_by_machine', number % 3, [['custom', 'ultimaker_s5', 'creality_ender3'][number % 3 + 1]],
				1000 + number, 1000 + number, 20, 960 + number, 1040 + number, 1, 'outputs' FROM numbers(3 * $1)`,
		`INSERT INTO published.releases (period, metric, status, definition_hash)
			SELECT toDate('2026-11-09') - 7 * number, 'slices_by_machine', 'released', 'one' FROM numbers($1)`,
	} {
		if err := writer.Exec(ctx, statement, weeks); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := Site(ctx, dbtest.Connect(t, s, migrations.Analyst), testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	pages := readAll(t, dir)
	checkPages(t, pages)
	lines := 0
	for year := 2016; year <= 2026; year++ {
		first, last := period.YearOf(year)
		text := pages[fmt.Sprintf("data/%d/slices_by_machine.csv", year)]
		for week, want := range map[period.Period]bool{first.Previous(): false, last: year < 2026, last.Next(): false} {
			if strings.Contains(text, week.String()) != want {
				t.Errorf("the file of %d has %s: %t, want %t", year, week, !want, want)
			}
		}
		lines += strings.Count(text, "\n") - 1
		if page := pages[fmt.Sprintf("metric/%d/slices_by_machine.html", year)]; len(page) < 1000 || len(page) > 200_000 {
			t.Errorf("the page of %d has %d octets", year, len(page))
		}
	}
	if lines != 3*weeks {
		t.Errorf("the files have %d rows, want %d", lines, 3*weeks)
	}
	if page := pages["metric/slices_by_machine.html"]; len(page) > 100_000 || strings.Contains(page, "2025-W") {
		t.Errorf("the page of the metric has %d octets, or weeks that are not of the last half year", len(page))
	}
}

func TestSiteCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := migrationtest.Start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Site(context.Background(), dbtest.Connect(t, s, migrations.Analyst), testConfig(), who, filepath.Join(file, "www"))
	if err == nil || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("got %v, want the page that could not be written", err)
	}
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		relative, _ := filepath.Rel(dir, name)
		pages[filepath.ToSlash(relative)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var links = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// who answers for the statistics of these tests.
var who = Operator{Name: "Example Printing <Ltd.>", PrivacyContact: "privacy@example.org", Complaints: "https://example.org/complaints", AnswerDays: 45}

// complaints is the one link that leads away from a site.
const complaints = `<a href="https://example.org/complaints">https://example.org/complaints</a>`

// Every page names who answers for it, and the statement how to complain; without
// that no page is written.
func TestSiteNamesTheOperator(t *testing.T) {
	t.Parallel()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Analyst)
	for name, change := range map[string]func(*Operator){
		"operator":        func(o *Operator) { o.Name = " " },
		"privacy_contact": func(o *Operator) { o.PrivacyContact = "" },
		"complaints":      func(o *Operator) { o.Complaints = "" },
		"answer_days":     func(o *Operator) { o.AnswerDays = 0 },
	} {
		nobody, dir := who, filepath.Join(t.TempDir(), "www")
		change(&nobody)
		if err := Site(context.Background(), conn, testConfig(), nobody, dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v, want a refusal that names it", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("without %s: something was written", name)
		}
	}
	dir := t.TempDir()
	if err := Site(context.Background(), conn, testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	pages := readAll(t, dir)
	checkPages(t, pages)
	html := 0
	for name, text := range pages {
		if path.Ext(name) != ".html" {
			continue
		}
		html++
		footer := text[strings.LastIndex(text, "<footer>"):]
		for _, want := range []string{"Published by Example Printing &lt;Ltd.&gt;.", `<a href="mailto:privacy@example.org">privacy@example.org</a>`} {
			if !strings.Contains(footer, want) {
				t.Errorf("the footer of %s does not say %q", name, want)
			}
		}
	}
	if html < 9+len(metrics.All()) {
		t.Errorf("%d pages", html)
	}
	for _, want := range []string{"Example Printing &lt;Ltd.&gt;", complaints + ", answered within 45 days"} {
		if statement, _, _ := strings.Cut(pages["privacy.html"], "<footer>"); !strings.Contains(statement, want) {
			t.Errorf("the statement does not say %q", want)
		}
	}
}

func checkPages(t *testing.T, pages map[string]string) {
	t.Helper()
	for name, text := range pages {
		text = strings.ReplaceAll(text, complaints, "")
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s was left behind", name)
		}
		if path.Ext(name) == ".css" && strings.Contains(text, "url(") {
			t.Errorf("%s loads something", name)
		}
		if path.Ext(name) != ".html" {
			continue
		}
		for _, forbidden := range []string{"<script", "javascript:", "http://", "https://", " style=", "ZgotmplZ", "NaN", "Inf%"} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s contains %q", name, forbidden)
			}
		}
		for _, match := range links.FindAllStringSubmatch(strings.ReplaceAll(text, `href="mailto:privacy@example.org"`, ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			to := path.Join(path.Dir(name), target)
			if target == "" {
				to = name
			}
			there, ok := pages[to]
			if !ok || anchor != "" && !strings.Contains(there, `id="`+anchor+`"`) {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			}
		}
	}
}

func checkDownloads(t *testing.T, pages map[string]string, m *metrics.Metric) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(pages["data/2026/"+m.Name+".csv"])).ReadAll()
	if err != nil || len(records) != 1+2*m.Cells() {
		t.Errorf("%s: %d lines of CSV, %v, want %d", m.Name, len(records), err, 1+2*m.Cells())
	}
	var decoded struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(pages["data/2026/"+m.Name+".json"]), &decoded); err != nil || len(decoded.Rows) != 2*m.Cells() {
		t.Errorf("%s: %d rows of JSON, %v, want %d", m.Name, len(decoded.Rows), err, 2*m.Cells())
	}
}
