package site

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// meanRows are a clear mean of a small count, one of a large count, and one of which
// nothing is known.
func meanRows() []publish.Mean {
	some := func(v float64) *float64 { return &v }
	return []publish.Mean{
		{Week: "2026-W45", Key: []string{"custom"}, Value: some(2), Raw: some(2), StdErr: some(.1), Low: 1.8, High: 2.2, Status: "ok", Total: 2000, TotalError: 5, Count: 1000, CountError: 5},
		{Week: "2026-W46", Key: []string{"ultimaker_s5"}, Value: some(9), Raw: some(9), StdErr: some(.5), Low: 8, High: 10, Status: "ok", Total: 900, TotalError: 5, Count: 100, CountError: 5},
		{Week: "2026-W46", Key: []string{"custom"}, Value: some(2.1), Raw: some(2.1), StdErr: some(.1), Low: 1.9, High: 2.3, Status: "ok", Total: 2100, TotalError: 5, Count: 1000, CountError: 5},
		{Week: "2026-W46", Key: []string{"creality_ender3"}, Raw: some(-7), Low: 0, High: 278, Status: "low_confidence", Total: -7, TotalError: 5, Count: 1, CountError: 5},
	}
}

func meanByMachine(t *testing.T) *metrics.Mean {
	t.Helper()
	for _, m := range metrics.Means() {
		if m.Name == "mean_print_time_by_machine" {
			return m
		}
	}
	t.Fatal("there is no such mean")
	return nil
}

// Means are in the order of their counts, and where nothing is known that is said:
// no bar and no number.
func TestMeanPage(t *testing.T) {
	page := newMeanPage(Content{}, MeanTable{meanByMachine(t), meanRows()})
	var bars []string
	for _, b := range page.Chart.Bars {
		bars = append(bars, b.Amount)
	}
	if got := strings.Join(bars, ", "); got != "2.1, 9" {
		t.Errorf("the bars are %s", got)
	}
	if nothing := newMeanChart(MeanTable{Mean: meanByMachine(t)}, "2026-W46", meanRows()[3:]); len(nothing.Bars) != 0 || nothing.Desc != "Nothing is known." || page.Chart.Left != 1 {
		t.Errorf("of what is not known there is %+v, and %d are left out", nothing, page.Chart.Left)
	}
	if first := page.Chart.Bars[0]; first.Length < 20 || first.Low >= first.Length || first.High <= first.Length {
		t.Errorf("the first bar is %+v", first)
	}
	if row := page.Numbers.Rows[2]; row.Cells[1] != "not known" || row.Cells[2] != "0 to 278" {
		t.Errorf("the row of which nothing is known is %q", row.Cells)
	}
	if len(page.Trends) != 1 || len(page.Trends[0].Points) != 2 {
		t.Errorf("got %d lines over the weeks, want one of two weeks", len(page.Trends))
	}
}

func TestMeanCSV(t *testing.T) {
	var out bytes.Buffer
	if err := encodeMeanCSV(&out, MeanTable{meanByMachine(t), meanRows()}); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(records) != 5 {
		t.Fatalf("%d lines, %v", len(records), err)
	}
	if got := strings.Join(records[4], "|"); got != "2026-W46|creality_ender3||-7||0|278|low_confidence|-7|5|1|5" {
		t.Errorf("where nothing is known the line is %s", got)
	}
}
