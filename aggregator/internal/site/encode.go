package site

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
)

// encoders are the formats of the downloads. They write row by row: after a year the
// largest metric has half a million of them.
var encoders = map[string]func(io.Writer, Table) error{".csv": encodeCSV, ".json": encodeJSON, ".parquet": encodeParquet}

// encodeCSV writes a metric's rows with a column for each dimension, numbers in
// the stored integers beside the scale that divides them.
func encodeCSV(out io.Writer, t Table) error {
	w := csv.NewWriter(out)
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
	return w.Error() // which holds the first error of the writes before
}

func whole(v int64) string     { return strconv.FormatInt(v, 10) }
func decimal(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
func exact(v float64) string   { return strconv.FormatFloat(v, 'g', -1, 64) }

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return decimal(*v)
}

// encodeJSON writes a metric with its definition, quantiles and rows, one a line.
func encodeJSON(out io.Writer, t Table) error {
	quantiles := t.Quantiles
	if quantiles == nil {
		quantiles = []publish.Quantile{}
	}
	definition, err := json.Marshal(map[string]any{
		"metric": t.Metric.Name, "title": t.Metric.Title, "question": t.Metric.Question, "keys": columns(t), "quantiles": quantiles,
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	// The rows go inside of the object, before its end.
	if _, err := fmt.Fprintf(out, "%s,\"rows\":[", definition[:len(definition)-1]); err != nil {
		return err
	}
	for i, r := range t.Rows {
		row, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		if _, err := fmt.Fprintf(out, "%s%s", separator, row); err != nil {
			return err
		}
	}
	_, err = io.WriteString(out, "\n]}\n")
	return err
}

func columns(t Table) []string {
	names := []string{}
	for _, k := range t.Metric.Keys {
		names = append(names, k.Column)
	}
	return names
}
