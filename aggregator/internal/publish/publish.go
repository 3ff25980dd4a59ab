// Package publish stores released tables where analysts read them, and reads
// them back.
//
// It guarantees that a (metric, period) is stored once and then stays as it is:
// whoever reads it a thousand times reads one value. A release that a crash
// interrupted before its rows were stored is lost, and stays so; one whose rows
// were stored is completed from these rows, never drawn again.
//
// How: three inserts, each of one block and so whole or not there at all, each
// durable before the next.
//
//	published.statistics   one row a key; deduplication token metric|period
//	published.quantiles    read from these rows
//	published.releases     the mark that makes it visible in the views
package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
)

// ErrIncomplete says that a release never came to be published: it is under way,
// or its run died and its budget is lost.
var ErrIncomplete = errors.New("publish: drawn, and not published")

// Conn is what publishing needs of a connection.
type Conn interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
	PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error)
}

// The statuses of a release.
const (
	Released = "released"
	Withheld = "withheld_budget"
)

// Write stores a table and marks its release complete. delta is that of the
// promise, for which each row states the metric's epsilon.
func Write(ctx context.Context, conn Conn, table release.Table, delta float64) error {
	if err := writeRows(ctx, conn, table, delta); err != nil {
		return fmt.Errorf("publish: store %s of %s: %w", table.Metric().Name, table.Period(), err)
	}
	// The rows that count are those that are stored.
	return Complete(ctx, conn, table.Design(), table.Reservation())
}

func writeRows(ctx context.Context, conn Conn, table release.Table, delta float64) error {
	m, r, d := table.Metric(), table.Reservation(), table.Design()
	var share, shareError *float64
	if c := table.Clip(); c != nil {
		share, shareError = &c.Share, &c.StdErr
	}
	epsilon, tidy := d.Epsilon(delta), Tidy(table.Rows())
	return insert(ctx, conn, token(r), `INSERT INTO published.statistics (period, metric, cell, key, value_raw, value, std_err,
		ci95_lo, ci95_hi, status, scale, unit, epsilon, delta, mu2, cap_keys, cap_per_key, cap_total, clip_share,
		clip_share_std_err, run)`, func(batch driver.Batch) error {
		for i, row := range table.Rows() {
			if err := batch.Append(r.Period.Start(), m.Name, uint32(row.Cell), row.Key, row.Raw, tidy[i], row.StdErr,
				row.Low, row.High, string(row.Status), m.Scale, m.Unit, epsilon, delta, d.Mu2(), m.Bounds.Keys,
				m.Bounds.PerKey, m.Bounds.Total, share, shareError, r.DrawnBy); err != nil {
				return err
			}
		}
		return nil
	})
}

// Complete marks a release complete whose rows are stored, or returns
// ErrIncomplete. It may be repeated.
func Complete(ctx context.Context, conn Conn, d release.Design, r ledger.Reservation) error {
	rows, err := storedRows(ctx, conn, r)
	if err != nil {
		return fmt.Errorf("publish: read back %s of %s: %w", r.Metric, r.Period, err)
	}
	if len(rows) != d.Metric.Cells() {
		return fmt.Errorf("%w: %s of %s", ErrIncomplete, r.Metric, r.Period)
	}
	if err := writeQuantiles(ctx, conn, r, release.QuantilesOf(d.Metric, rows, r.Sigma)); err != nil {
		return fmt.Errorf("publish: store quantiles of %s of %s: %w", r.Metric, r.Period, err)
	}
	return mark(ctx, conn, d, r, Released, r.DrawnBy, len(rows))
}

// Withhold marks a release as withheld for want of budget.
func Withhold(ctx context.Context, conn Conn, d release.Design, r ledger.Reservation) error {
	return mark(ctx, conn, d, r, Withheld, r.Run, 0)
}

// storedRows reads what the tidying of quantiles needs of the rows of the run that drew.
func storedRows(ctx context.Context, conn Conn, r ledger.Reservation) ([]release.Row, error) {
	rows, err := conn.Query(ctx, `SELECT cell, value_raw FROM published.statistics FINAL
		WHERE metric = ? AND period = toDate(?) AND run = ? ORDER BY cell`, r.Metric, day(r.Period), r.DrawnBy)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []release.Row
	for rows.Next() {
		var cell uint32
		var row release.Row
		if err := rows.Scan(&cell, &row.Raw); err != nil {
			return nil, err
		}
		row.Cell = int(cell)
		list = append(list, row)
	}
	return list, rows.Err()
}

func writeQuantiles(ctx context.Context, conn Conn, r ledger.Reservation, list []release.Quantile) error {
	if len(list) == 0 {
		return nil
	}
	return insert(ctx, conn, "", `INSERT INTO published.quantiles (period, metric, quantile, value, ci95_lo, ci95_hi, status)`, func(batch driver.Batch) error {
		for _, q := range list {
			if err := batch.Append(r.Period.Start(), r.Metric, q.Quantile, q.Value, q.Low, q.High, string(q.Status)); err != nil {
				return err
			}
		}
		return nil
	})
}

func mark(ctx context.Context, conn Conn, d release.Design, r ledger.Reservation, status, run string, cells int) error {
	m := d.Metric
	err := insert(ctx, conn, "", `INSERT INTO published.releases (period, metric, status, title, question, statistic,
		definition_hash, catalogue_version, cells, mu2, sigma, run)`, func(batch driver.Batch) error {
		return batch.Append(r.Period.Start(), m.Name, status, m.Title, m.Question, string(m.Statistic),
			r.Definition, r.CatalogueVersion, uint32(cells), r.Mu2, r.Sigma, run)
	})
	if err != nil {
		return fmt.Errorf("publish: mark %s of %s: %w", r.Metric, r.Period, err)
	}
	return nil
}

// insert sends one block and returns after the disk has it. With a token, a
// second block of the same token is dropped by the database.
func insert(ctx context.Context, conn Conn, token, statement string, fill func(driver.Batch) error) error {
	settings := clickhouse.Settings{"async_insert": 0}
	if token != "" {
		settings["insert_deduplicate"] = 1
		settings["insert_deduplication_token"] = token
	}
	batch, err := conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), statement)
	if err != nil {
		return err
	}
	defer batch.Close()
	if err := fill(batch); err != nil {
		return err
	}
	return batch.Send()
}

func token(r ledger.Reservation) string { return r.Metric + "|" + r.Period.String() }

// day writes a period as the database's Date.
func day(p period.Period) string { return p.Start().Format(time.DateOnly) }
