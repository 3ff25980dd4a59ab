// Package ledger decides, once and for ever, who may release a metric of a period.
//
// It guarantees:
//
//   - A Grant MUST exist before data is read, and exists only after its
//     reservation is on the disk. Nothing can be computed without one.
//   - For one (metric, period) there is at most one Grant, ever: among
//     concurrent runs one wins, and a run that died leaves it spent.
//   - The reservations of a period never exceed its budget. The smallest budget
//     that any run worked with counts, so raising it later frees nothing.
//   - A metric whose definition changed after its release is refused.
//
// How: ledger.reservations only grows. Reserving is one insert with a
// deduplication token made of the metric and the period, so that the database
// keeps the first and drops the others; then the rows are read back. The run
// that finds its own name, alone, has won:
//
//	look up ── exists ──▶ Taken (or ErrChanged)
//	   │
//	budget left? ── no ──▶ insert with mu2 = 0 ──▶ Withheld
//	   │
//	insert, token metric|period
//	   │
//	read back ── not mine, alone ──▶ Taken
//	   │
//	sum of the period ── above its budget ──▶ Withheld (spent: two runs raced)
//	   │
//	 Grant
//
// Two rows for one pair can only come from a database that lost its memory of
// tokens, in a power cut or because a replicated table's time for them is over;
// then nobody wins. On replicas, inserts wait for a majority and reads see all of
// them, so that the reading back decides there too.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/internal/period"
)

var (
	// ErrTaken says that the metric of the period was reserved before: it is
	// released, or being released, or a run died and it is spent.
	ErrTaken = errors.New("ledger: reserved before")
	// ErrWithheld says that the budget of the period does not suffice.
	ErrWithheld = errors.New("ledger: the period's budget is spent")
	// ErrChanged says that another definition of the metric was reserved.
	ErrChanged = errors.New("ledger: the metric was reserved with another definition; changed statistics need a new name")
	// ErrUsed says that a Grant was used before.
	ErrUsed = errors.New("ledger: the grant was used before")
	// ErrMismatch says that a Grant is for something else.
	ErrMismatch = errors.New("ledger: the grant is for another metric or period")
)

// slack forgives the rounding of sums of mu2: a few units in the last place,
// about 1e-13 in epsilon.
const slack = 1e-12

// Conn is what the ledger needs of a connection.
type Conn interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
	PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error)
}

// Charge is what a release will spend.
type Charge struct {
	Period           period.Period
	Metric           string
	Definition       string // hash of everything that decides what is computed
	CatalogueVersion uint32
	BudgetMu2        float64 // of the period, for all metrics
	Mu2              float64
	Sensitivity      float64
	Sigma            float64
	ClipSigma        float64 // 0 where nothing is clipped
}

// Reservation is a charge in the ledger.
type Reservation struct {
	Charge
	Run      string
	Reserved time.Time // the day
}

// Grant allows one release of one metric of one period.
type Grant struct {
	reservation Reservation
	used        *atomic.Bool
}

// Reservation returns what was reserved.
func (g Grant) Reservation() Reservation { return g.reservation }

// Covers reports ErrMismatch unless the grant is for this metric and period.
func (g Grant) Covers(p period.Period, metric, definition string) error {
	r := g.reservation
	if g.used == nil || r.Period != p || r.Metric != metric || r.Definition != definition {
		return ErrMismatch
	}
	return nil
}

// Use takes the one draw that a grant allows; the second call fails.
func (g Grant) Use() error {
	if g.used == nil || g.used.Swap(true) {
		return ErrUsed
	}
	return nil
}

// Ledger is the book. It may be used by several goroutines.
type Ledger struct {
	conn Conn
	run  string
	now  func() time.Time
}

// New returns a ledger in which run reserves. The run's name MUST be random:
// whoever finds it in a reservation believes to have won.
func New(conn Conn, run string, now func() time.Time) *Ledger {
	return &Ledger{conn: conn, run: run, now: now}
}

// Reserve spends a charge and returns the grant, or ErrTaken, ErrWithheld or
// ErrChanged. When it returns another error the charge may be spent all the same.
func (l *Ledger) Reserve(ctx context.Context, c Charge) (Grant, error) {
	before, err := l.Period(ctx, c.Period)
	if err != nil {
		return Grant{}, err
	}
	if err := taken(before, c); err != nil {
		return Grant{}, err
	}
	over := exceeds(append(before, Reservation{Charge: c}))
	if over {
		c.Mu2 = 0 // claims the pair without spending what is not there
	}
	mine := Reservation{Charge: c, Run: l.run, Reserved: l.now()}
	if err := l.insert(ctx, mine); err != nil {
		return Grant{}, fmt.Errorf("ledger: reserve %s of %s: %w", c.Metric, c.Period, err)
	}
	after, err := l.Period(ctx, c.Period)
	if err != nil {
		return Grant{}, err
	}
	switch {
	case !won(after, mine):
		return Grant{}, ErrTaken
	case over || exceeds(after):
		return Grant{}, ErrWithheld
	}
	return Grant{mine, new(atomic.Bool)}, nil
}

// taken reports whether a charge's pair is in the ledger.
func taken(list []Reservation, c Charge) error {
	for _, r := range list {
		if r.Metric != c.Metric {
			continue
		}
		if r.Definition != c.Definition {
			return ErrChanged
		}
		return ErrTaken
	}
	return nil
}

// won reports whether a reservation is the only one of its pair.
func won(list []Reservation, mine Reservation) bool {
	found := false
	for _, r := range list {
		if r.Metric != mine.Metric {
			continue
		}
		if r.Run != mine.Run || found {
			return false
		}
		found = true
	}
	return found
}

// exceeds reports whether a period's reservations are more than its budget.
func exceeds(list []Reservation) bool {
	spent, budget := Spent(list)
	return spent > budget*(1+slack)
}

// Spent adds up the reservations of one period, and says which budget counts.
func Spent(list []Reservation) (mu2, budgetMu2 float64) {
	for i, r := range list {
		mu2 += r.Mu2
		if i == 0 || r.BudgetMu2 < budgetMu2 {
			budgetMu2 = r.BudgetMu2
		}
	}
	return mu2, budgetMu2
}

func (l *Ledger) insert(ctx context.Context, r Reservation) error {
	// The token, not the content, is what the database compares.
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token": r.Metric + "|" + r.Period.String(),
		"insert_deduplicate":         1,
		"async_insert":               0, // returns after the disk has it
		// Of replicas, a majority has it, one insert after the other. A table without
		// replicas ignores both.
		"insert_quorum": "auto", "insert_quorum_parallel": 0,
	}))
	batch, err := l.conn.PrepareBatch(ctx, `INSERT INTO ledger.reservations (period, metric, run, definition_hash,
		catalogue_version, budget_mu2, mu2, sensitivity, sigma, clip_sigma, reserved)`)
	if err != nil {
		return err
	}
	defer batch.Close()
	if err := batch.Append(r.Period.Start(), r.Metric, r.Run, r.Definition, r.CatalogueVersion, r.BudgetMu2, r.Mu2,
		r.Sensitivity, r.Sigma, r.ClipSigma, r.Reserved.UTC()); err != nil {
		return err
	}
	return batch.Send()
}

// A Date is read as its number of days: a time would depend on the server's zone.
const selection = `SELECT toUInt32(period), metric, run, definition_hash, catalogue_version, budget_mu2, mu2, sensitivity, sigma,
	clip_sigma, reserved FROM ledger.reservations`

// Period returns the reservations of a period in the order of metrics.
func (l *Ledger) Period(ctx context.Context, p period.Period) ([]Reservation, error) {
	return l.read(ctx, selection+` WHERE period = toDate(?) ORDER BY metric, run`, p.Start().Format(time.DateOnly))
}

// All returns every reservation in the order of periods and metrics.
func (l *Ledger) All(ctx context.Context) ([]Reservation, error) {
	return l.read(ctx, selection+` ORDER BY period, metric, run`)
}

func (l *Ledger) read(ctx context.Context, query string, args ...any) ([]Reservation, error) {
	// A replica that lags behind would show a pair as free, or as won.
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"select_sequential_consistency": 1}))
	rows, err := l.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read reservations: %w", err)
	}
	defer rows.Close()
	var list []Reservation
	for rows.Next() {
		var r Reservation
		var monday uint32
		if err := rows.Scan(&monday, &r.Metric, &r.Run, &r.Definition, &r.CatalogueVersion, &r.BudgetMu2, &r.Mu2,
			&r.Sensitivity, &r.Sigma, &r.ClipSigma, &r.Reserved); err != nil {
			return nil, fmt.Errorf("ledger: read a reservation: %w", err)
		}
		r.Period = period.Period(monday)
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: read reservations: %w", err)
	}
	return list, nil
}
