package site

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
)

// quantilesName is that of the files which hold the quantiles of all metrics, as the
// table published.quantiles does. No metric is called so.
const quantilesName = "quantiles"

// quantileEncoders are the formats of a year's quantiles. Values are in the unit of
// the metric's key column in all of them: there is no scale.
var quantileEncoders = map[string]func(io.Writer, []publish.Quantile) error{
	".csv": encodeQuantilesCSV, ".json": encodeQuantilesJSON, ".parquet": encodeQuantilesParquet,
}

func encodeQuantilesCSV(out io.Writer, list []publish.Quantile) error {
	w := csv.NewWriter(out)
	w.Write([]string{"period", "metric", "quantile", "value", "ci95_lo", "ci95_hi", "status"})
	for _, q := range list {
		w.Write([]string{q.Week, q.Metric, exact(q.Quantile), exact(q.Value), exact(q.Low), exact(q.High), q.Status})
	}
	w.Flush()
	return w.Error() // which holds the first error of the writes before
}

// encodeQuantilesJSON writes an object of rows, as those of a metric are.
func encodeQuantilesJSON(out io.Writer, list []publish.Quantile) error {
	if err := json.NewEncoder(out).Encode(map[string]any{"rows": list}); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

// quantileRow has the columns of published.quantiles.
type quantileRow struct {
	Period   int32   `parquet:"period,date"`
	Metric   string  `parquet:"metric,dict"`
	Quantile float64 `parquet:"quantile"`
	Value    float64 `parquet:"value"`
	Low      float64 `parquet:"ci95_lo"`
	High     float64 `parquet:"ci95_hi"`
	Status   string  `parquet:"status,dict"`
}

func encodeQuantilesParquet(out io.Writer, list []publish.Quantile) error {
	rows := make([]quantileRow, len(list))
	for i, q := range list {
		week, err := period.Parse(q.Week)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		rows[i] = quantileRow{int32(week), q.Metric, q.Quantile, q.Value, q.Low, q.High, q.Status}
	}
	w := parquet.NewGenericWriter[quantileRow](out, parquet.Compression(&zstd.Codec{}), parquet.CreatedBy("slicemetry", "", ""),
		parquet.KeyValueMetadata("title", "Quantiles with one vote an installation"))
	if _, err := w.Write(rows); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}
