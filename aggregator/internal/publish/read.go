package publish

import (
	"context"
	"fmt"
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
	Quantile float64 `json:"quantile"`
	Value    float64 `json:"value"`
	Low      float64 `json:"ci95_lo"`
	High     float64 `json:"ci95_hi"`
	Status   string  `json:"status"`
}

// Releases returns every complete release in the order of periods and metrics.
func Releases(ctx context.Context, conn Conn) ([]Release, error) {
	var list []Release
	err := each(ctx, conn, `SELECT toUInt32(period), metric, toString(status), definition_hash, mu2, sigma
		FROM published.releases FINAL ORDER BY period, metric`, nil, func(scan func(...any) error) error {
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

// Statistics returns the published rows of a metric in the order of periods and keys.
func Statistics(ctx context.Context, conn Conn, metric string) ([]Statistic, error) {
	var list []Statistic
	texts, keys := map[string]string{}, map[string][]string{}
	err := each(ctx, conn, `SELECT toUInt32(period), metric, key, value_raw, value, std_err, ci95_lo, ci95_hi, toString(status),
		scale, unit, epsilon, delta, mu2, cap_keys, cap_per_key, cap_total, clip_share, clip_share_std_err
		FROM published.statistics FINAL WHERE metric = ?
		AND period IN (SELECT period FROM published.releases FINAL WHERE metric = ? AND status = 'released')
		ORDER BY period, cell`, []any{metric, metric}, func(scan func(...any) error) error {
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
func Quantiles(ctx context.Context, conn Conn, metric string) ([]Quantile, error) {
	var list []Quantile
	err := each(ctx, conn, `SELECT toUInt32(period), quantile, value, ci95_lo, ci95_hi, toString(status)
		FROM published.quantiles FINAL WHERE metric = ?
		AND period IN (SELECT period FROM published.releases FINAL WHERE metric = ? AND status = 'released')
		ORDER BY period, quantile`, []any{metric, metric}, func(scan func(...any) error) error {
		var q Quantile
		var monday uint32
		if err := scan(&monday, &q.Quantile, &q.Value, &q.Low, &q.High, &q.Status); err != nil {
			return err
		}
		q.Week = period.Period(monday).String()
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
