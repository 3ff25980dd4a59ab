package publish

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/slicemetry/slicemetry/internal/period"
)

// Release is a complete release.
type Release struct {
	Period     period.Period `json:"-"`
	Week       string        `json:"period"`
	Metric     string        `json:"metric"`
	Status     string        `json:"status"`
	Definition string        `json:"definition_hash"`
	Mu2        float64       `json:"mu2"`
	Sigma      float64       `json:"sigma"`
}

// Statistic is one published row.
type Statistic struct {
	Week           string   `json:"period"`
	Metric         string   `json:"metric"`
	Key            []string `json:"key"`
	Raw            int64    `json:"value_raw"`
	Value          int64    `json:"value"`
	StdErr         float64  `json:"std_err"`
	Low            int64    `json:"ci95_lo"`
	High           int64    `json:"ci95_hi"`
	Status         string   `json:"status"`
	Scale          int64    `json:"scale"`
	Unit           string   `json:"unit"`
	Epsilon        float64  `json:"epsilon"`
	Delta          float64  `json:"delta"`
	Mu2            float64  `json:"mu2"`
	CapKeys        int64    `json:"cap_keys"`
	CapPerKey      int64    `json:"cap_per_key"`
	CapTotal       int64    `json:"cap_total"`
	ClipShare      *float64 `json:"clip_share"`
	ClipShareError *float64 `json:"clip_share_std_err"`
}

// Quantile is one published quantile.
type Quantile struct {
	Week     string  `json:"period"`
	Metric   string  `json:"metric"`
	Quantile float64 `json:"quantile"`
	Value    float64 `json:"value"`
	Low      float64 `json:"ci95_lo"`
	High     float64 `json:"ci95_hi"`
	Status   string  `json:"status"`
}

// Span is a range of weeks, both ends included.
type Span struct{ First, Last period.Period }

// Always is every week that the database's Date can hold.
var Always = Span{Last: math.MaxUint16}

// Releases returns every complete release in the order of periods and metrics.
func Releases(ctx context.Context, conn Conn) ([]Release, error) {
	return releases(ctx, conn, "")
}

// ReleasesOf returns the complete releases of a metric in the order of periods.
func ReleasesOf(ctx context.Context, conn Conn, metric string, in Span) ([]Release, error) {
	return releases(ctx, conn, "WHERE metric = ? AND period BETWEEN toDate(?) AND toDate(?)", metric, day(in.First), day(in.Last))
}

func releases(ctx context.Context, conn Conn, where string, args ...any) ([]Release, error) {
	var list []Release
	err := each(ctx, conn, `SELECT toUInt32(period), metric, toString(status), definition_hash, mu2, sigma
		FROM published.releases FINAL `+where+` ORDER BY period, metric`, args, func(scan func(...any) error) error {
		var r Release
		var monday uint32
		if err := scan(&monday, &r.Metric, &r.Status, &r.Definition, &r.Mu2, &r.Sigma); err != nil {
			return err
		}
		r.Period = period.Period(monday)
		r.Week = r.Period.String()
		list = append(list, r)
		return nil
	})
	return list, err
}

// Weeks returns the periods of which anything is decided, in their order.
func Weeks(ctx context.Context, conn Conn) ([]period.Period, error) {
	var list []period.Period
	err := each(ctx, conn, `SELECT DISTINCT toUInt32(period) FROM published.releases FINAL ORDER BY 1`, nil, func(scan func(...any) error) error {
		var monday uint32
		if err := scan(&monday); err != nil {
			return err
		}
		list = append(list, period.Period(monday))
		return nil
	})
	return list, err
}

// Statistics returns the published rows of a metric in the order of periods and keys.
// A year of the largest metrics is as much as one wants to hold at a time.
func Statistics(ctx context.Context, conn Conn, metric string, in Span) ([]Statistic, error) {
	var list []Statistic
	texts, keys := map[string]string{}, map[string][]string{}
	err := each(ctx, conn, `SELECT toUInt32(period), metric, key, value_raw, value, std_err, ci95_lo, ci95_hi, toString(status),
		scale, unit, epsilon, delta, mu2, cap_keys, cap_per_key, cap_total, clip_share, clip_share_std_err
		FROM published.statistics FINAL WHERE metric = ? AND period BETWEEN toDate(?) AND toDate(?)
		AND period IN (SELECT period FROM published.releases FINAL WHERE metric = ? AND status = 'released')
		ORDER BY period, cell`, []any{metric, day(in.First), day(in.Last), metric}, func(scan func(...any) error) error {
		var s Statistic
		var monday uint32
		if err := scan(&monday, &s.Metric, &s.Key, &s.Raw, &s.Value, &s.StdErr, &s.Low, &s.High, &s.Status, &s.Scale, &s.Unit,
			&s.Epsilon, &s.Delta, &s.Mu2, &s.CapKeys, &s.CapPerKey, &s.CapTotal, &s.ClipShare, &s.ClipShareError); err != nil {
			return err
		}
		// Of half a million rows a few thousand keys are different, and few other
		// texts: rows share them.
		s.Week, s.Metric = share(texts, period.Period(monday).String()), metric
		s.Status, s.Unit = share(texts, s.Status), share(texts, s.Unit)
		joined := strings.Join(s.Key, "\x00")
		if _, ok := keys[joined]; !ok {
			keys[joined] = s.Key
		}
		s.Key = keys[joined]
		list = append(list, s)
		return nil
	})
	return list, err
}

// share returns the first text that is equal to one.
func share(texts map[string]string, text string) string {
	if _, ok := texts[text]; !ok {
		texts[text] = text
	}
	return texts[text]
}

// Quantiles returns the published quantiles of a metric in the order of periods.
func Quantiles(ctx context.Context, conn Conn, metric string, in Span) ([]Quantile, error) {
	var list []Quantile
	err := each(ctx, conn, `SELECT toUInt32(period), quantile, value, ci95_lo, ci95_hi, toString(status)
		FROM published.quantiles FINAL WHERE metric = ? AND period BETWEEN toDate(?) AND toDate(?)
		AND period IN (SELECT period FROM published.releases FINAL WHERE metric = ? AND status = 'released')
		ORDER BY period, quantile`, []any{metric, day(in.First), day(in.Last), metric}, func(scan func(...any) error) error {
		var q Quantile
		var monday uint32
		if err := scan(&monday, &q.Quantile, &q.Value, &q.Low, &q.High, &q.Status); err != nil {
			return err
		}
		q.Week, q.Metric = period.Period(monday).String(), metric
		list = append(list, q)
		return nil
	})
	return list, err
}

// each runs a query and hands its rows on.
func each(ctx context.Context, conn Conn, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("publish: read: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("publish: read a row: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("publish: read: %w", err)
	}
	return nil
}
