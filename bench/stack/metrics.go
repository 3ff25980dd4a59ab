package stack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics is what a collector exports: the value of each series by its name with
// its labels, as the text format writes it.
type Metrics map[string]float64

// ReadMetrics reads the metrics of the collector whose admin address is given.
func ReadMetrics(ctx context.Context, admin string) (Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return parseMetrics(response.Body)
}

func parseMetrics(r io.Reader) (Metrics, error) {
	metrics := Metrics{}
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		line := scanner.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, text, found := cutLast(line, " ")
		value, err := strconv.ParseFloat(text, 64)
		if !found || err != nil {
			return nil, fmt.Errorf("stack: %q is not a line of metrics", line)
		}
		metrics[series] = value
	}
	return metrics, scanner.Err()
}

// Sum adds up the series of a metric, whatever their labels.
func (m Metrics) Sum(name string) float64 {
	total := 0.0
	for series, value := range m {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += value
		}
	}
	return total
}

// Accounting is where the events went that a collector received.
type Accounting struct {
	Received int64 `json:"received"`
	Stored   int64 `json:"stored"`
	Rejected int64 `json:"rejected"`
	Shed     int64 `json:"shed"`
	Failed   int64 `json:"failed"`
}

// Accounting reads the collector's own books.
func (m Metrics) Accounting() Accounting {
	sum := func(name string) int64 { return int64(m.Sum("slicemetry_events_" + name + "_total")) }
	return Accounting{Received: sum("received"), Stored: sum("stored"), Rejected: sum("rejected"), Shed: sum("shed"), Failed: sum("failed")}
}

// Balanced reports whether every event received is accounted for.
func (a Accounting) Balanced() bool { return a.Received == a.Stored+a.Rejected+a.Shed+a.Failed }

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
