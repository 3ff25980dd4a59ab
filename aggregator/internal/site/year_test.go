package site

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/internal/period"
)

// The largest page of a metric, of a year, and of any other kind, in octets.
const (
	maxMetricPage = 192 << 10
	maxOtherPage  = 256 << 10
)

// longLived are the metrics of which ten years are made up: one of every kind, but not
// the largest tables, which are the same with more rows.
var longLived = []string{"installations", "slices", "installations_by_machine", "print_time", "layer_height", "prime_tower_use", "support_use"}

// After ten years pages are as large as after one, no more than a year of a metric is
// read at a time, and every year is linked to and links to the others.
func TestTenYears(t *testing.T) {
	const weeks = 520
	chosen := func(metric string, ago int) bool { return ago < 2 || slices.Contains(longLived, metric) }
	dir := t.TempDir()
	if keep := os.Getenv("SLICEMETRY_SITE"); keep != "" { // to look at it
		dir = filepath.Join(keep, t.Name())
	}
	content := madeUpOf(t, weeks, chosen)
	write(t, dir, content)
	after := sizes(t, dir)
	if days := content.most.Last - content.most.First; days > 52*7 {
		t.Errorf("%d weeks were read at once, want at most 53", days/7+1)
	}
	other := t.TempDir()
	write(t, other, madeUpOf(t, 52, chosen))
	before := sizes(t, other)
	for name, size := range after {
		limit := maxOtherPage
		if strings.HasPrefix(name, "metric/") {
			limit = maxMetricPage
		}
		if path.Ext(name) == ".html" && size > limit {
			t.Errorf("%s has %d octets, want at most %d", name, size, limit)
		}
		// The fleet has grown by then, so that more lines stand out of the noise.
		if was, ok := before[name]; ok && path.Ext(name) == ".html" && !strings.Contains(name, "/20") && size > 2*was {
			t.Errorf("%s has %d octets after ten years, %d after one", name, size, was)
		}
	}
	first, last := (lastWeek - 7*(weeks-1)).Year(), lastWeek.Year()
	for year := first; year <= last; year++ {
		if after[fmt.Sprintf("data/%d/mean_outputs.csv", year)] == 0 {
			t.Errorf("there are no means of %d", year)
		}
		for _, name := range longLived {
			page := read(t, dir, fmt.Sprintf("metric/%d/%s.html", year, name))
			for other := first; other <= last; other++ {
				link := fmt.Sprintf(`href="../../metric/%d/%s.html"`, other, name)
				if strings.Contains(page, link) == (other == year) {
					t.Errorf("%d of %s: links to %d is %t", year, name, other, other != year)
				}
			}
			for _, format := range []string{".csv", ".json", ".parquet"} {
				if after[fmt.Sprintf("data/%d/%s%s", year, name, format)] == 0 {
					t.Errorf("there is no %s%s of %d", name, format, year)
				}
			}
		}
		if year < last {
			checkLinks(t, dir, fmt.Sprintf("data/%d.html", year))
		}
	}
	for _, name := range []string{"index.html", "data.html", "missing.html", "metric/slices.html", "metric/wall_count.html", "metric/2020/slices.html", "mean/mean_outputs.html"} {
		checkLinks(t, dir, name)
	}
	checkWeeks(t, dir, content)
}

// checkWeeks: the files of all years together have every row, once.
func checkWeeks(t *testing.T, dir string, content *stored) {
	t.Helper()
	for _, name := range longLived {
		files, err := filepath.Glob(filepath.Join(dir, "data", "*", name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				week, _, _ := strings.Cut(line, ",")
				if p, err := period.Parse(week); err == nil {
					seen[week]++
					if year := filepath.Base(filepath.Dir(file)); year != fmt.Sprint(p.Year()) {
						t.Fatalf("%s is in the files of %s", week, year)
					}
				}
			}
		}
		want := map[string]int{}
		for _, r := range content.tables[name].Rows {
			want[r.Week]++
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("%s: the files have %d weeks, want %d, or other rows of them", name, len(seen), len(want))
		}
	}
}

// A metric of which nothing was published for long is not called new.
func TestOldMetric(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, madeUpOf(t, 60, func(metric string, ago int) bool { return metric == "slices" || metric == "layer_height" && ago > 30 }))
	page := read(t, dir, "metric/layer_height.html")
	if !strings.Contains(page, "in the last half year") || !strings.Contains(page, "metric/2026/layer_height.html") {
		t.Error("the page does not say that it was published before, and where")
	}
	if !strings.Contains(read(t, dir, "metric/adhesion.html"), "Nothing is published of it yet") {
		t.Error("the page of a metric that never was published does not say so")
	}
	year := read(t, dir, "metric/2026/layer_height.html")
	if !strings.Contains(year, "2026-W46") || strings.Contains(year, "<td>2026-W46") {
		t.Error("the page of the year does not say that the last weeks are not published")
	}
}

var linkPattern = regexp.MustCompile(`(?:href|src)="([^"#]+)`)

func checkLinks(t *testing.T, dir, name string) {
	t.Helper()
	for _, match := range linkPattern.FindAllStringSubmatch(read(t, dir, name), -1) {
		if strings.HasPrefix(match[1], "mailto:") || match[1] == example.Complaints {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, path.Dir(name), match[1])); err != nil {
			t.Errorf("%s links to %s, which is not there", name, match[1])
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

// sizes returns the octets of every file of a site.
func sizes(t *testing.T, dir string) map[string]int {
	t.Helper()
	list := map[string]int{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list[name] = int(info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
