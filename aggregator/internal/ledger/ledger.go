// Package ledger decides, once and for ever, what may be released of a period.
//
// It guarantees:
//
//   - A Grant MUST exist before data is read, and exists only after its
//     reservation is on the disk. Nothing can be computed without one.
//   - A Draw MUST exist before noise is drawn, and for one (metric, period) there
//     is at most one Draw, ever: among concurrent runs one wins, and a run that
//     died after it leaves it spent.
//   - What is granted of a period never exceeds its budget. The smallest budget
//     that any run reserved with counts, so raising it later frees nothing.
//   - A metric whose definition changed after its release is refused.
//
// How: ledger.reservations and ledger.draws only grow. An entry is one insert with
// a deduplication token made of the metric and the period, so that the database
// keeps the first and drops the others; then the rows are read back:
//
//	look up ── drawn, or reserved by another plan ──▶ Taken (or ErrChanged)
//	   │    ╲
//	   │     reserved, not drawn: its run died before, or is at it ──▶ Grant
//	budget left? ── no ──▶ insert with mu2 = 0 ──▶ Withheld
//	   │
//	insert reservation, token metric|period
//	   │
//	read back ── two of the pair ──▶ Taken
//	   │
//	sum of the period ── above its budget ──▶ Withheld (spent: two runs raced)
//	   │
//	 Grant: rows may be read, by any run, any number of times
//	   │
//	insert draw, token metric|period
//	   │
//	read back ── not mine, alone ──▶ Taken
//	   │
//	 Draw: noise may be drawn, once
//
// Reading is not what costs: exact totals that nobody sees tell nobody anything.
// So a crash while a week is read, which takes the time, costs nothing either.
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
	"slices"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/internal/period"
)

var (
	// ErrTaken says that the metric of the period was drawn before, or reserved by
	// another plan: it is released, or being released, or a run died and it is spent.
	ErrTaken = errors.New("ledger: drawn or reserved before")
	// ErrWithheld says that the budget of the period does not suffice.
	ErrWithheld = errors.New("ledger: the period's budget is spent")
	// ErrChanged says that another definition of the metric was reserved.
	ErrChanged = errors.New("ledger: the metric was reserved with another definition; changed statistics need a new name")
	// ErrUsed says that a Draw was used before.
	ErrUsed = errors.New("ledger: the draw was used before")
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
	DrawnBy  string    // the run that drew, or may have, as an earlier build says no more
}

// Grant allows a metric of a period to be read.
type Grant struct {
	reservation Reservation
}

// Reservation returns what was reserved.
func (g Grant) Reservation() Reservation { return g.reservation }

// Covers reports ErrMismatch unless the grant is for this metric and period.
func (g Grant) Covers(p period.Period, metric, definition string) error {
	r := g.reservation
	if r.Run == "" || r.Period != p || r.Metric != metric || r.Definition != definition {
		return ErrMismatch
	}
	return nil
}

// Draw allows noise to be drawn for a metric of a period, once.
type Draw struct {
	Grant
	used *atomic.Bool
}

// Use takes the draw; the second call fails.
func (d Draw) Use() error {
	if d.used == nil || d.used.Swap(true) {
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

// Answer is what became of a charge: a grant, or ErrTaken, ErrWithheld or
// ErrChanged.
type Answer struct {
	Grant Grant
	Err   error
}

// Reserve spends charges of one period and answers each, in their order. What is
// reserved and not drawn is granted again, to whoever would charge the same. When
// it returns an error of its own the charges may be spent all the same.
func (l *Ledger) Reserve(ctx context.Context, p period.Period, charges ...Charge) ([]Answer, error) {
	list, err := l.Period(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, c := range charges {
		if c.Period != p {
			return nil, fmt.Errorf("%w: a charge of %s among those of %s", ErrMismatch, c.Period, p)
		}
		if slices.ContainsFunc(list, func(r Reservation) bool { return r.Metric == c.Metric }) {
			continue
		}
		if exceeds(append(list, Reservation{Charge: c}), c.BudgetMu2) {
			c.Mu2 = 0 // claims the pair without spending what is not there
		}
		if err := l.insert(ctx, Reservation{Charge: c, Run: l.run, Reserved: l.now()}); err != nil {
			return nil, fmt.Errorf("ledger: reserve %s of %s: %w", c.Metric, p, err)
		}
		// Read each time: another run may be spending, too.
		if list, err = l.Period(ctx, p); err != nil {
			return nil, err
		}
	}
	answers := make([]Answer, len(charges))
	for i, c := range charges {
		answers[i] = answer(list, c)
	}
	return answers, nil
}

// answer grants a charge if the book allows it.
func answer(list []Reservation, c Charge) Answer {
	r, err := standing(list, c)
	switch {
	case err != nil:
		return Answer{Err: err}
	case r.Mu2 == 0 || exceeds(list, c.BudgetMu2):
		return Answer{Err: ErrWithheld}
	}
	return Answer{Grant: Grant{r}}
}

// standing returns the one reservation of a charge's pair, which must be of the
// same charge and not drawn.
func standing(list []Reservation, c Charge) (Reservation, error) {
	var found []Reservation
	for _, r := range list {
		if r.Metric == c.Metric {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return Reservation{}, ErrTaken // by a token whose row a crash of the database lost
	case found[0].Definition != c.Definition:
		return Reservation{}, ErrChanged
	case len(found) > 1 || found[0].DrawnBy != "":
		return Reservation{}, ErrTaken
	}
	same := found[0].Charge
	same.BudgetMu2 = c.BudgetMu2 // of all runs the smallest counts
	if same.Mu2 != 0 && same != c {
		return Reservation{}, ErrTaken
	}
	return found[0], nil
}

// Draw takes the one draw of a grant, or returns ErrTaken. When it returns
// another error the draw may be taken all the same.
func (l *Ledger) Draw(ctx context.Context, g Grant) (Draw, error) {
	r := g.reservation
	if err := g.Covers(r.Period, r.Metric, r.Definition); err != nil {
		return Draw{}, err
	}
	if err := l.insertDraw(ctx, r); err != nil {
		return Draw{}, fmt.Errorf("ledger: draw %s of %s: %w", r.Metric, r.Period, err)
	}
	list, err := l.read(ctx, ` WHERE period = toDate(?) AND metric = ?`, r.Period.Start().Format(time.DateOnly), r.Metric)
	if err != nil {
		return Draw{}, err
	}
	if len(list) != 1 || list[0].DrawnBy != l.run {
		return Draw{}, ErrTaken
	}
	return Draw{Grant{list[0]}, new(atomic.Bool)}, nil
}

// exceeds reports whether a period's reservations are more than the least of the
// budgets that they and the caller know.
func exceeds(list []Reservation, budget float64) bool {
	spent, least := Spent(list)
	return spent > min(least, budget)*(1+slack)
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
	return l.add(ctx, r.token(), `INSERT INTO ledger.reservations (period, metric, run, definition_hash,
		catalogue_version, budget_mu2, mu2, sensitivity, sigma, clip_sigma, reserved, draws_apart)`,
		r.Period.Start(), r.Metric, r.Run, r.Definition, r.CatalogueVersion, r.BudgetMu2, r.Mu2,
		r.Sensitivity, r.Sigma, r.ClipSigma, r.Reserved.UTC(), uint8(1))
}

func (l *Ledger) insertDraw(ctx context.Context, r Reservation) error {
	return l.add(ctx, r.token(), `INSERT INTO ledger.draws (period, metric, run, drawn)`,
		r.Period.Start(), r.Metric, l.run, l.now().UTC())
}

// token is what makes the first insert for a pair into a table the only one.
func (r Reservation) token() string { return r.Metric + "|" + r.Period.String() }

// add inserts a row and returns after the disk has it; of replicas, after a majority
// has it, one insert after the other. A table without replicas ignores the quorum.
// Of inserts with one token, which and not the content is what the database
// compares, only the first counts; none is no token.
func (l *Ledger) add(ctx context.Context, token, statement string, values ...any) error {
	settings := clickhouse.Settings{"async_insert": 0, "insert_quorum": "auto", "insert_quorum_parallel": 0}
	if token != "" {
		settings["insert_deduplicate"], settings["insert_deduplication_token"] = 1, token
	}
	batch, err := l.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), statement)
	if err != nil {
		return err
	}
	defer batch.Close()
	if err := batch.Append(values...); err != nil {
		return err
	}
	return batch.Send()
}

// A Date is read as its number of days: a time would depend on the server's zone.
const selection = `SELECT toUInt32(period), metric, run, definition_hash, catalogue_version, budget_mu2, mu2, sensitivity, sigma,
	clip_sigma, reserved, if(draws_apart = 1, drawn_by, run) FROM ledger.reservations LEFT JOIN
	(SELECT period, metric, arrayStringConcat(arraySort(groupArray(run)), ' ') AS drawn_by FROM ledger.draws GROUP BY period, metric) AS d
	USING (period, metric)`

// Period returns the reservations of a period in the order of metrics.
func (l *Ledger) Period(ctx context.Context, p period.Period) ([]Reservation, error) {
	return l.read(ctx, ` WHERE period = toDate(?) ORDER BY metric, run`, p.Start().Format(time.DateOnly))
}

// All returns every reservation in the order of periods and metrics.
func (l *Ledger) All(ctx context.Context) ([]Reservation, error) {
	return l.read(ctx, ` ORDER BY period, metric, run`)
}

func (l *Ledger) read(ctx context.Context, which string, args ...any) ([]Reservation, error) {
	rows, err := l.conn.Query(consistent(ctx), selection+which, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read reservations: %w", err)
	}
	defer rows.Close()
	var list []Reservation
	for rows.Next() {
		var r Reservation
		var monday uint32
		if err := rows.Scan(&monday, &r.Metric, &r.Run, &r.Definition, &r.CatalogueVersion, &r.BudgetMu2, &r.Mu2,
			&r.Sensitivity, &r.Sigma, &r.ClipSigma, &r.Reserved, &r.DrawnBy); err != nil {
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

// consistent reads what a majority of replicas has: one that lags behind would
// show a pair as free, or as won.
func consistent(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"select_sequential_consistency": 1}))
}
