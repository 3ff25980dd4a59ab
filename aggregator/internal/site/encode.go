package site

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
)

// encodeCSV writes a metric's rows with a column for each dimension, numbers in
// the stored integers beside the scale that divides them.
func encodeCSV(t Table) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := []string{"period"}
	for _, k := range t.Metric.Keys {
		header = append(header, k.Column)
	}
	w.Write(append(header, "value_raw", "value", "std_err", "ci95_lo", "ci95_hi", "status", "scale", "unit",
		"epsilon", "delta", "mu2", "cap_keys", "cap_per_key", "cap_total", "clip_share", "clip_share_std_err"))
	for _, r := range t.Rows {
		record := append([]string{r.Week}, r.Key...)
		w.Write(append(record, whole(r.Raw), whole(r.Value), decimal(r.StdErr), whole(r.Low), whole(r.High), r.Status, whole(r.Scale), r.Unit,
			decimal(r.Epsilon), decimal(r.Delta), decimal(r.Mu2), whole(r.CapKeys), whole(r.CapPerKey), whole(r.CapTotal), optional(r.ClipShare), optional(r.ClipShareError)))
	}
	w.Flush()
	return b.Bytes(), w.Error() // which holds the first error of the writes before
}

func whole(v int64) string     { return strconv.FormatInt(v, 10) }
func decimal(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return decimal(*v)
}

// encodeJSON writes a metric with its definition, rows and quantiles.
func encodeJSON(t Table) ([]byte, error) {
	rows, quantiles := t.Rows, t.Quantiles
	if rows == nil {
		rows = []publish.Statistic{}
	}
	text, err := json.MarshalIndent(map[string]any{
		"metric": t.Metric.Name, "title": t.Metric.Title, "question": t.Metric.Question,
		"keys": columns(t), "rows": rows, "quantiles": quantiles,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return append(text, '\n'), nil
}

func columns(t Table) []string {
	names := []string{}
	for _, k := range t.Metric.Keys {
		names = append(names, k.Column)
	}
	return names
}
