package site

import (
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
)

// weekly makes rows of one key: a week, a number and its standard error.
func weekly(stdErr float64, weeks []string, values ...int64) []publish.Statistic {
	var rows []publish.Statistic
	for i, v := range values {
		half := int64(1.96 * stdErr)
		rows = append(rows, publish.Statistic{Week: weeks[i], Raw: v, Value: max(0, v), StdErr: stdErr, Low: max(0, v-half), High: max(0, v+half), Status: "ok", Scale: 1})
	}
	return rows
}

var (
	fourWeeks = []string{"2026-W40", "2026-W41", "2026-W42", "2026-W43"}
	same      = map[string]string{"2026-W40": "a", "2026-W41": "a", "2026-W42": "a", "2026-W43": "a"}
)

func TestTrend(t *testing.T) {
	c := newTrend("x", "X", "things", weekly(10, fourWeeks, 100, 110, 90, 120), same, trendHeight)
	if len(c.Points) != 4 || len(c.Paths) != 1 || len(c.Bands) != 1 || c.Broken || !c.Zoomed {
		t.Fatalf("got %+v, want one line of four weeks", c)
	}
	if strings.Count(c.Bands[0], ",") != 8 {
		t.Errorf("the band is %s, want eight corners", c.Bands[0])
	}
	for i, p := range c.Points {
		if !(p.High < p.Y && p.Y < p.Low) || p.High < 0 || p.Low > 100 || i > 0 && p.X <= c.Points[i-1].X {
			t.Errorf("the point %+v is not inside of its interval and the picture", p)
		}
	}
	if !strings.Contains(c.Desc, "does not begin at zero") {
		t.Errorf("the description is %q", c.Desc)
	}
	if low := newTrend("x", "X", "things", weekly(10, fourWeeks, 100, 10, 90, 120), same, trendHeight); low.Zoomed || len(low.Ticks) == 0 {
		t.Errorf("an axis with a small number begins at zero: %+v", low.Ticks)
	}
}

// Weeks that cannot be compared are not joined.
func TestTrendBreaks(t *testing.T) {
	changed := map[string]string{"2026-W40": "a", "2026-W41": "a", "2026-W42": "b", "2026-W43": "b"}
	for name, c := range map[string]Chart{
		"a gap":     newTrend("x", "X", "", weekly(1, []string{"2026-W40", "2026-W41", "2026-W43", "2026-W44"}, 1, 2, 3, 4), map[string]string{}, trendHeight),
		"a change":  newTrend("x", "X", "", weekly(1, fourWeeks, 1, 2, 3, 4), changed, trendHeight),
		"new year":  newTrend("x", "X", "", weekly(1, []string{"2025-W51", "2025-W52", "2026-W02", "2026-W03"}, 1, 2, 3, 4), map[string]string{}, trendHeight),
		"all apart": newTrend("x", "X", "", weekly(1, []string{"2026-W30", "2026-W32", "2026-W34"}, 1, 2, 3), map[string]string{}, trendHeight),
	} {
		want := 2
		if name == "all apart" {
			want = 0
		}
		if len(c.Paths) != want || !c.Broken {
			t.Errorf("%s: %d lines, want %d", name, len(c.Paths), want)
		}
	}
	if c := newTrend("x", "X", "", weekly(1, []string{"2025-W52", "2026-W01"}, 1, 2), map[string]string{}, trendHeight); len(c.Paths) != 1 {
		t.Error("the first week of a year does not follow the last of the year before")
	}
	for n := range 2 {
		if c := newTrend("x", "X", "", weekly(1, fourWeeks, 5)[:n], same, trendHeight); len(c.Points) != n || len(c.Paths) != 0 || c.Desc == "" {
			t.Errorf("of %d weeks: %+v", n, c)
		}
	}
}

// A change is told only where it stands out of the noise of both weeks: with a
// standard error of 10 each that is 1.96 times 14.1, 27.7.
func TestChange(t *testing.T) {
	tests := []struct {
		before, after int64
		want          string
	}{
		{100, 128, "up by 28 ± 28 on the week before"},
		{100, 127, "no change on the week before that stands out of the noise (± 28)"},
		{128, 100, "down by 28 ± 28 on the week before"},
		{-5, 60, "up by 65 ± 28 on the week before"}, // of unbiased numbers
	}
	for _, tt := range tests {
		if got := changeOf(weekly(10, fourWeeks, tt.before, tt.after), same); got != tt.want {
			t.Errorf("from %d to %d: %q, want %q", tt.before, tt.after, got, tt.want)
		}
	}
	if got := changeOf(weekly(10, fourWeeks, 1, 100), map[string]string{"2026-W41": "b"}); got != "" {
		t.Errorf("between definitions: %q, want nothing", got)
	}
	if got := changeOf(weekly(10, []string{"2026-W40", "2026-W42"}, 1, 100), same); got != "" {
		t.Errorf("over a gap: %q, want nothing", got)
	}
}

func TestTicks(t *testing.T) {
	tests := []struct {
		low, high, scale float64
		want             string
	}{
		{0, 100, 1, "50 100"},
		{0, 3439, 1, "1000 2\u202f000 3\u202f000"},
		{0, 5000, 1000, "2 4"},
		{800, 1000, 1, "800 850 900 950 1000"},
		{0, 1, 1, "0.5 1"},
	}
	for _, tt := range tests {
		var got []string
		for _, tick := range newAxis(tt.low, tt.high, fullScale).ticks(tt.scale, amount) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != strings.ReplaceAll(tt.want, "1000", "1\u202f000") {
			t.Errorf("%g to %g: %q, want %q", tt.low, tt.high, got, tt.want)
		}
	}
}

// Durations have even steps.
func TestQuantileTrends(t *testing.T) {
	charts := quantileTrends(*madeUp(t, 10).tables["print_time"])
	if len(charts) != 2 || len(charts[0].Points) != 9 || len(charts[0].Paths) != 2 || !strings.HasPrefix(charts[0].Title, "Print time, median") {
		t.Fatalf("got %+v, want the median and the ninth decile of nine weeks with a gap", charts)
	}
	for _, chart := range charts {
		for _, tick := range chart.Ticks {
			if !strings.HasSuffix(tick.Label, "0") && !strings.HasSuffix(tick.Label, " min") && !strings.HasSuffix(tick.Label, " d") {
				t.Errorf("%s has a line at %s", chart.Title, tick.Label)
			}
		}
	}
	for column, want := range map[string]float64{"print_time_s": 3600, "slicing_time_ms": 60_000, "speed_mm_per_s": 1, "layer_height_um": 1} {
		high := map[string]float64{"print_time_s": 20_000, "slicing_time_ms": 200_000}[column]
		if got := roundUnit(column, high); got != want {
			t.Errorf("%s: %g, want %g", column, got, want)
		}
	}
}
