package bound

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// rangeRows is about how many rows one query groups: a range of units at a time
// keeps the database's memory where it is, however large the week.
const rangeRows = 1 << 20

// Conn is what reading needs of a connection.
type Conn interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// Item is a metric to read, with the grant that shows that the budget for it is
// reserved.
type Item struct {
	Grant  ledger.Grant
	Metric *metrics.Metric
}

// Read bounds metrics of one period in the database and returns the cells of
// each. After every query it tells progress, unless that is nil, how many are
// done of how many.
func Read(ctx context.Context, conn Conn, p period.Period, items []Item, progress func(done, of int)) ([]Cells, error) {
	var problems []error
	bySource := map[metrics.Source][]*metrics.Metric{}
	for _, item := range items {
		m := item.Metric
		if err := item.Grant.Covers(p, m.Name, m.Hash()); err != nil {
			problems = append(problems, fmt.Errorf("bound: read %s of %s: %w", m.Name, p, err))
		}
		bySource[m.Source] = append(bySource[m.Source], m)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	r := &reader{conn: conn, cells: map[*metrics.Metric]Cells{}}
	for _, source := range metrics.Sources {
		if list := bySource[source]; list != nil {
			if err := r.plan(ctx, newScan(source, p, list)); err != nil {
				return nil, fmt.Errorf("bound: read %s of %s: %w", source, p, err)
			}
		}
	}
	if err := r.read(ctx, progress); err != nil {
		return nil, fmt.Errorf("bound: read %s: %w", p, err)
	}
	cells := make([]Cells, len(items))
	for i, item := range items {
		cells[i] = r.cells[item.Metric]
	}
	return cells, nil
}

// reader is one call of Read.
type reader struct {
	conn  Conn
	scans []scan
	units [][]unitRange // of each scan
	cells map[*metrics.Metric]Cells
}

// plan adds a scan, in ranges that suit the number of its rows.
func (r *reader) plan(ctx context.Context, s scan) error {
	rows, err := r.conn.Query(ctx, fmt.Sprintf("SELECT count() FROM %s %s WHERE period = toDate('%s')",
		table(s.source), arrayJoin(s.source), s.period.Start().Format(time.DateOnly)))
	if err != nil {
		return err
	}
	defer rows.Close()
	var count uint64
	for rows.Next() {
		if err := rows.Scan(&count); err != nil {
			return err
		}
	}
	r.scans, r.units = append(r.scans, s), append(r.units, allUnits.split(1+count/rangeRows))
	return rows.Err()
}

func (r *reader) read(ctx context.Context, progress func(done, of int)) error {
	done, of := 0, 0
	for _, units := range r.units {
		of += len(units)
	}
	for i, s := range r.scans {
		totals := make([]uint64, s.codes+1)
		for _, units := range r.units[i] {
			if err := r.add(ctx, s, units, totals); err != nil {
				return err
			}
			if done++; progress != nil {
				progress(done, of)
			}
		}
		for j, m := range s.list {
			cells, err := s.cells(j, totals)
			if err != nil {
				return err
			}
			r.cells[m] = cells
		}
	}
	return nil
}

// add adds the totals of a range of units.
func (r *reader) add(ctx context.Context, s scan, units unitRange, totals []uint64) error {
	rows, err := r.conn.Query(ctx, s.query(units))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var code uint64
		var total uint64
		if err := rows.Scan(&code, &total); err != nil {
			return err
		}
		if code >= uint64(len(totals)) {
			return fmt.Errorf("the query returned code %d of %d", code, s.codes)
		}
		if totals[code] += total; code != 0 && totals[code] >= maxTotal {
			return ErrOverflow
		}
	}
	return rows.Err()
}

// cells takes the totals of metric i from those of its scan.
func (s scan) cells(i int, totals []uint64) (Cells, error) {
	m, cells := s.list[i], map[uint64]uint64{}
	for cell := range uint64(m.Cells()) {
		cells[cell+1] = totals[s.base[i]+cell+1]
	}
	if m.Clips() {
		cells[cutCell], cells[uncutCell] = totals[s.cutCode(i)], totals[s.uncutCode(i)]
	}
	return newCells(m, s.period, cells)
}
