package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	today = time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
	week  = period.Of(today).Previous()
)

func now() time.Time { return today }

func charge(metric string, mu2 float64) Charge {
	return Charge{Period: week, Metric: metric, Definition: "d", CatalogueVersion: 1, BudgetMu2: 1, Mu2: mu2, Sensitivity: 2, Sigma: 3, ClipSigma: 4}
}

func open(t *testing.T, s *localdb.Server, run string) *Ledger {
	t.Helper()
	return New(dbtest.Connect(t, s, migrations.Aggregator), run, now)
}

func TestReserve(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	l, other := open(t, s, "a"), open(t, s, "b")
	g, err := reserve(ctx, l, charge("m", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	want := Reservation{Charge: charge("m", 0.5), Run: "a", Reserved: today.Truncate(24 * time.Hour)}
	if got, err := l.All(ctx); err != nil || len(got) != 1 || !same(got[0], want) {
		t.Errorf("the ledger holds %+v, %v, want %+v", got, err, want)
	}
	for name, ledger := range map[string]*Ledger{"again": l, "another run": other} {
		again, err := reserve(ctx, ledger, charge("m", 0.5))
		if err != nil || !same(again.Reservation(), want) {
			t.Errorf("%s, nothing drawn: %+v, %v, want the same grant", name, again, err)
		}
	}
	if got, err := l.All(ctx); err != nil || len(got) != 1 {
		t.Errorf("the ledger holds %+v, %v: one grant was charged twice", got, err)
	}
	changed, noisier := charge("m", 0.5), charge("m", 0.5)
	changed.Definition, noisier.Sigma = "e", 4
	if _, err := reserve(ctx, other, changed); !errors.Is(err, ErrChanged) {
		t.Errorf("changed definition: %v, want ErrChanged", err)
	}
	if _, err := reserve(ctx, other, noisier); !errors.Is(err, ErrTaken) {
		t.Errorf("another plan: %v, want ErrTaken", err)
	}
	if err := g.Covers(week, "m", "d"); err != nil {
		t.Error(err)
	}
	for _, err := range []error{g.Covers(week.Next(), "m", "d"), g.Covers(week, "n", "d"), g.Covers(week, "m", "e"), Grant{}.Covers(0, "", "")} {
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("%v, want ErrMismatch", err)
		}
	}
}

// Whoever holds a grant can draw, and only the first of them does.
func TestDraw(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	a, b := open(t, s, "a"), open(t, s, "b")
	first, err := reserve(ctx, a, charge("m", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	second, err := reserve(ctx, b, charge("m", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	draw, err := b.Draw(ctx, second)
	if err != nil || draw.Reservation().DrawnBy != "b" || draw.Reservation().Run != "a" {
		t.Fatalf("%+v, %v, want b's draw of what a reserved", draw, err)
	}
	for name, try := range map[string]func() error{
		"the other run draws":    func() error { _, err := a.Draw(ctx, first); return err },
		"the winner again":       func() error { _, err := b.Draw(ctx, second); return err },
		"it is reserved again":   func() error { _, err := reserve(ctx, a, charge("m", 0.5)); return err },
		"reserved by the drawer": func() error { _, err := reserve(ctx, b, charge("m", 0.5)); return err },
	} {
		if err := try(); name != "the winner again" && !errors.Is(err, ErrTaken) {
			t.Errorf("%s: %v, want ErrTaken", name, err)
		}
	}
	if _, err := a.Draw(ctx, Grant{}); !errors.Is(err, ErrMismatch) {
		t.Errorf("no grant: %v, want ErrMismatch", err)
	}
	duplicate := draw // a copy is the same draw
	if err := draw.Use(); err != nil {
		t.Error(err)
	}
	for _, d := range []Draw{draw, duplicate, {}} {
		if err := d.Use(); !errors.Is(err, ErrUsed) {
			t.Errorf("%v, want ErrUsed", err)
		}
	}
}

// reserve reserves one charge.
func reserve(ctx context.Context, l *Ledger, c Charge) (Grant, error) {
	answers, err := l.Reserve(ctx, c.Period, c)
	if err != nil {
		return Grant{}, err
	}
	return answers[0].Grant, answers[0].Err
}

func same(a, b Reservation) bool {
	return a.Charge == b.Charge && a.Run == b.Run && a.Reserved.Format(time.DateOnly) == b.Reserved.Format(time.DateOnly)
}

func TestBudget(t *testing.T) {
	ctx := context.Background()
	l := open(t, migrationtest.Start(t), "a")
	for _, tt := range []struct {
		metric string
		mu2    float64
		budget float64
		want   error
	}{
		{"first", 0.6, 1, nil},
		{"too much", 0.5, 1, ErrWithheld},
		{"too much", 0.1, 1, ErrWithheld}, // which is final
		{"a larger budget frees nothing", 0.5, 10, ErrWithheld},
		{"exactly the rest", 0.4, 1, nil},
		{"nothing left", 1e-6, 1, ErrWithheld},
	} {
		c := charge(tt.metric, tt.mu2)
		c.BudgetMu2 = tt.budget
		if _, err := reserve(ctx, l, c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.metric, err, tt.want)
		}
	}
	list, err := l.Period(ctx, week)
	if err != nil {
		t.Fatal(err)
	}
	if spent, budget := Spent(list); spent > budget*(1+slack) {
		t.Errorf("spent %g of %g", spent, budget)
	}
	other := charge("first", 0.6)
	other.Period = week.Previous()
	if _, err := reserve(ctx, l, other); err != nil {
		t.Errorf("another period has its own budget: %v", err)
	}
}

// A run that would go on with a smaller budget than the one that reserved does not
// spend more than it knows of.
func TestResumedWithSmallerBudget(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	c := charge("m", 0.5)
	if _, err := reserve(ctx, open(t, s, "a"), c); err != nil {
		t.Fatal(err)
	}
	c.BudgetMu2 = 0.1
	if _, err := reserve(ctx, open(t, s, "b"), c); !errors.Is(err, ErrWithheld) {
		t.Errorf("%v, want ErrWithheld", err)
	}
}

// Runs with different budgets at the same time: what is granted stays within what the
// more generous one may spend, whoever is first.
func TestConcurrentPlans(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted := 0.0
	for _, budget := range []float64{1, 0.5} {
		l := open(t, s, fmt.Sprint("run of ", budget))
		var list []Charge
		for m := range 8 {
			c := charge(fmt.Sprint("m", m), budget/8)
			c.BudgetMu2 = budget
			list = append(list, c)
		}
		wg.Go(func() {
			answers, err := l.Reserve(ctx, week, list...)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, a := range answers {
				if a.Err == nil {
					granted += list[i].Mu2
				}
			}
		})
	}
	wg.Wait()
	if granted > 1*(1+slack) {
		t.Errorf("%g was granted of budgets of 1 and 0.5", granted)
	}
}

// Runs that reserve and draw the same pairs at the same time share them out: each
// is drawn once, and together they stay within the budget.
func TestConcurrentRuns(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	const runs, metrics = 6, 8
	var mu sync.Mutex
	var wg sync.WaitGroup
	wins, spent := map[string]int{}, 0.0
	for r := range runs {
		l := open(t, s, fmt.Sprint("run ", r))
		wg.Go(func() {
			for m := range metrics {
				c := charge(fmt.Sprint("m", m), 0.125) // all of them use the budget up
				g, err := reserve(ctx, l, c)
				if err == nil {
					_, err = l.Draw(ctx, g)
				}
				switch {
				case err == nil:
					mu.Lock()
					wins[c.Metric]++
					spent += c.Mu2
					mu.Unlock()
				case !errors.Is(err, ErrTaken):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for m := range metrics {
		if n := wins[fmt.Sprint("m", m)]; n != 1 {
			t.Errorf("m%d has %d winners", m, n)
		}
	}
	if spent > 1 {
		t.Errorf("%g was drawn of a budget of 1", spent)
	}
	list, err := open(t, s, "reader").Period(ctx, week)
	if err != nil || len(list) != metrics {
		t.Errorf("%d reservations, %v, want one a metric, %d", len(list), err, metrics)
	}
}

// Reservations and draws survive the database, and so does the memory of their
// tokens: even a run that did not look first cannot add a second one.
func TestSurvivesCrash(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	l := open(t, s, "a")
	g, err := reserve(ctx, l, charge("m", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Draw(ctx, g); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Kill(), s.Restart(ctx)); err != nil {
		t.Fatal(err)
	}
	l = open(t, s, "b")
	if _, err := reserve(ctx, l, charge("m", 0.5)); !errors.Is(err, ErrTaken) {
		t.Errorf("after a crash: %v, want ErrTaken", err)
	}
	if _, err := l.Draw(ctx, g); !errors.Is(err, ErrTaken) {
		t.Errorf("another draw after a crash: %v, want ErrTaken", err)
	}
	if err := l.insert(ctx, Reservation{Charge: charge("m", 0.5), Run: "b", Reserved: today}); err != nil {
		t.Fatal(err)
	}
	list, err := l.Period(ctx, week)
	if err != nil || len(list) != 1 || list[0].Run != "a" || list[0].DrawnBy != "a" {
		t.Errorf("the ledger holds %+v, %v, want what the first run wrote only", list, err)
	}
}

// Should two entries of one pair ever exist, nobody has won.
func TestTwoEntriesOfOnePair(t *testing.T) {
	mine := Reservation{Charge: charge("m", 0.1), Run: "a"}
	theirs := Reservation{Charge: charge("m", 0.1), Run: "b"}
	other := Reservation{Charge: charge("n", 0.1), Run: "b"}
	drawn := mine
	drawn.DrawnBy = "a b"
	for _, tt := range []struct {
		name string
		list []Reservation
		want error
	}{
		{"alone", []Reservation{other, mine}, nil},
		{"another run's", []Reservation{theirs, other}, nil},
		{"both", []Reservation{mine, theirs}, ErrTaken},
		{"drawn twice", []Reservation{drawn}, ErrTaken},
	} {
		if _, err := standing(tt.list, mine.Charge); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := standing([]Reservation{other}, mine.Charge); !errors.Is(err, ErrTaken) {
		t.Errorf("a reservation that is not there: %v, want ErrTaken", err)
	}
	// The database forgets a token: a second draw is then in the book.
	ctx := context.Background()
	s := migrationtest.Start(t)
	l := open(t, s, "a")
	g, err := reserve(ctx, l, charge("m", 0.1))
	if err != nil {
		t.Fatal(err)
	}
	admin := dbtest.Connect(t, s, localdb.Administrator)
	if err := admin.Exec(ctx, "INSERT INTO ledger.draws VALUES (toDate(?), 'm', 'b', today())", week.Start().Format(time.DateOnly)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Draw(ctx, g); !errors.Is(err, ErrTaken) {
		t.Errorf("with two draws in the book: %v, want ErrTaken", err)
	}
}
