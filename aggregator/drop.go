package aggregator

import (
	"context"
	"fmt"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/internal/period"
)

// rawTables hold rows by period. raw.origins empties itself.
var rawTables = []string{"raw.slices", "raw.counters", "raw.erasures"}

// removeErased removes the rows of those who asked for it, which no reader sees
// any more, from the disk. The statements hold no value: they name raw.erasures,
// whose own rows stay, because a batch that was under way may still arrive.
var removeErased = []string{
	"ALTER TABLE raw.slices DELETE WHERE unit IN (SELECT unit FROM raw.erasures) SETTINGS mutations_sync = 1",
	"ALTER TABLE raw.counters DELETE WHERE unit IN (SELECT unit FROM raw.erasures) SETTINGS mutations_sync = 1",
}

// setAside are the tables of which ClickHouse sets parts aside that a power cut broke.
// Nobody reads those, and no drop of a period, erasure or age removes them.
var setAside = append([]string{"raw.origins"}, rawTables...)

// Dropped is what became of the raw rows of a period.
type Dropped struct {
	Week    string `json:"period"`
	Dropped bool   `json:"dropped"`
	Reason  string `json:"reason"`
}

// The reasons.
const (
	reasonExpired   = "30 days after the week are over"
	reasonPublished = "published, and the margin is over"
	reasonMargin    = "published, within the margin"
	reasonWaiting   = "not published yet"
)

// Drop removes the raw rows that are done with: those that users asked to have
// erased, those of periods that are published and past the margin, those that are due
// whatever happened, and what ClickHouse has set aside of any.
func Drop(ctx context.Context, conn Conn, c Config) ([]Dropped, error) {
	split, err := c.plan()
	if err != nil {
		return nil, err
	}
	book := ledger.New(conn, "", c.now)
	periods, err := rawPeriods(ctx, conn)
	if err != nil {
		return nil, err
	}
	gone, err := book.Dropped(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range removeErased {
		if err := conn.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("aggregator: remove erased rows: %w", err)
		}
	}
	for _, table := range setAside {
		if err := conn.Exec(ctx, "ALTER TABLE "+table+" DROP DETACHED PARTITION ALL SETTINGS allow_drop_detached = 1"); err != nil {
			return nil, fmt.Errorf("aggregator: remove what was set aside of %s: %w", table, err)
		}
	}
	report := []Dropped{}
	for _, p := range periods {
		reason, due, err := dropReason(ctx, conn, c, split, p)
		if err != nil {
			return report, fmt.Errorf("aggregator: drop %s: %w", p, err)
		}
		due = due || gone[p] // noted before a crash, or rows that came too late
		if due {
			if err := dropPeriod(ctx, conn, book, p); err != nil {
				return report, fmt.Errorf("aggregator: drop %s: %w", p, err)
			}
		}
		report = append(report, Dropped{p.String(), due, reason})
		c.progress("%s  dropped %-5t  %s", p, due, reason)
	}
	return report, nil
}

// dropReason decides over a period.
func dropReason(ctx context.Context, conn Conn, c Config, split plan.Plan, p period.Period) (reason string, due bool, err error) {
	if p.Expired(c.now().Add(dropEarly)) {
		return reasonExpired, true, nil
	}
	complete, err := releases(ctx, conn, p)
	if err != nil {
		return "", false, err
	}
	list, err := ledger.New(conn, "", c.now).Period(ctx, p)
	if err != nil {
		return "", false, err
	}
	var last time.Time
	spent := map[string]bool{}
	for _, r := range list {
		spent[r.Metric] = r.DrawnBy != "" || r.Mu2 == 0
		if r.Reserved.After(last) {
			last = r.Reserved
		}
	}
	overdue := !c.now().Before(last.Add(c.margin()))
	for _, d := range split.Designs {
		// Past the margin a draw without a release is of a run that died. What was not
		// drawn can still be released.
		_, done := complete[d.Metric.Name]
		if !done && !(overdue && spent[d.Metric.Name]) {
			return reasonWaiting, false, nil
		}
	}
	if !overdue {
		return reasonMargin, false, nil
	}
	return reasonPublished, true, nil
}

// dropPeriod notes the drop before the first row goes, so that no run can take
// what is left for the whole.
func dropPeriod(ctx context.Context, conn Conn, book *ledger.Ledger, p period.Period) error {
	if err := book.NoteDrop(ctx, p); err != nil {
		return err
	}
	for _, table := range rawTables {
		if err := conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION '%s'", table, p.Start().Format(time.DateOnly))); err != nil {
			return err
		}
	}
	return nil
}

// rawPeriods returns the periods of which there are rows, in order.
func rawPeriods(ctx context.Context, conn Conn) ([]period.Period, error) {
	rows, err := conn.Query(ctx, `SELECT DISTINCT toUInt32(period) AS p FROM
		(SELECT period FROM raw.slices UNION ALL SELECT period FROM raw.counters UNION ALL SELECT period FROM raw.erasures)
		ORDER BY p`)
	if err != nil {
		return nil, fmt.Errorf("aggregator: list raw periods: %w", err)
	}
	defer rows.Close()
	var list []period.Period
	for rows.Next() {
		var monday uint32
		if err := rows.Scan(&monday); err != nil {
			return nil, fmt.Errorf("aggregator: list raw periods: %w", err)
		}
		list = append(list, period.Period(monday))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("aggregator: list raw periods: %w", err)
	}
	return list, nil
}
