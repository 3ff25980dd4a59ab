package bound

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Conn is what reading needs of a connection.
type Conn interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// Read bounds a metric in the database. The grant shows that the budget for it
// is spent already.
func Read(ctx context.Context, conn Conn, grant ledger.Grant, m *metrics.Metric) (Cells, error) {
	p := grant.Reservation().Period
	if err := grant.Covers(p, m.Name, m.Hash()); err != nil {
		return Cells{}, fmt.Errorf("bound: read %s of %s: %w", m.Name, p, err)
	}
	totals, err := read(ctx, conn, Query(m, p))
	if err != nil {
		return Cells{}, fmt.Errorf("bound: read %s of %s: %w", m.Name, p, err)
	}
	return newCells(m, p, totals)
}

func read(ctx context.Context, conn Conn, query string) (map[uint64]uint64, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	totals := map[uint64]uint64{}
	for rows.Next() {
		var cell, total uint64
		if err := rows.Scan(&cell, &total); err != nil {
			return nil, err
		}
		totals[cell] = total
	}
	return totals, rows.Err()
}
