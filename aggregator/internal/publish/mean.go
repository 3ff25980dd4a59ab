package publish

import (
	"context"
	"fmt"
	"strings"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Mean is one row of a mean's view. A nil says that the count could be 0.
type Mean struct {
	Week       string   `json:"period"`
	Key        []string `json:"key"`
	Value      *float64 `json:"value"`
	Raw        *float64 `json:"value_raw"`
	StdErr     *float64 `json:"std_err"`
	Low        float64  `json:"ci95_lo"`
	High       float64  `json:"ci95_hi"`
	Status     string   `json:"status"`
	Total      float64  `json:"total"`
	TotalError float64  `json:"total_std_err"`
	Count      float64  `json:"count"`
	CountError float64  `json:"count_std_err"`
}

// Means returns the rows of a mean in the order of periods and keys. They are read
// from its view: what divides, and how, is in the database only.
func Means(ctx context.Context, conn Conn, m *metrics.Mean, in Span) ([]Mean, error) {
	order, keys := []string{"period"}, []string{}
	for _, k := range m.Total.Keys {
		order, keys = append(order, k.Column), append(keys, "toString("+k.Column+")")
	}
	query := fmt.Sprintf(`SELECT toUInt32(period), CAST([%s], 'Array(String)'), value, value_raw, std_err, ci95_lo, ci95_hi, toString(status),
		total, total_std_err, count, count_std_err
		FROM published.%s WHERE period BETWEEN toDate(?) AND toDate(?) ORDER BY %s`, strings.Join(keys, ", "), m.Name, strings.Join(order, ", "))
	var list []Mean
	err := each(ctx, conn, query, []any{day(in.First), day(in.Last)}, func(scan func(...any) error) error {
		var r Mean
		var monday uint32
		if err := scan(&monday, &r.Key, &r.Value, &r.Raw, &r.StdErr, &r.Low, &r.High, &r.Status, &r.Total, &r.TotalError, &r.Count, &r.CountError); err != nil {
			return err
		}
		r.Week = period.Period(monday).String()
		list = append(list, r)
		return nil
	})
	return list, err
}
