package ledger

import (
	"context"
	"fmt"

	"github.com/slicemetry/slicemetry/internal/period"
)

// NoteDrop notes, durably, that the rows of a period are about to go. It MUST
// return before the first of them does.
func (l *Ledger) NoteDrop(ctx context.Context, p period.Period) error {
	if err := l.add(ctx, "", `INSERT INTO ledger.drops (period, dropped)`, p.Start(), l.now().UTC()); err != nil {
		return fmt.Errorf("ledger: note the drop of %s: %w", p, err)
	}
	return nil
}

// Dropped returns the periods whose rows are gone or going.
func (l *Ledger) Dropped(ctx context.Context) (map[period.Period]bool, error) {
	rows, err := l.conn.Query(consistent(ctx), `SELECT DISTINCT toUInt32(period) FROM ledger.drops`)
	if err != nil {
		return nil, fmt.Errorf("ledger: read drops: %w", err)
	}
	defer rows.Close()
	dropped := map[period.Period]bool{}
	for rows.Next() {
		var monday uint32
		if err := rows.Scan(&monday); err != nil {
			return nil, fmt.Errorf("ledger: read a drop: %w", err)
		}
		dropped[period.Period(monday)] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: read drops: %w", err)
	}
	return dropped, nil
}
