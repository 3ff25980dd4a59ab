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
	g, err := l.Reserve(ctx, charge("m", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	want := Reservation{charge("m", 0.5), "a", today.Truncate(24 * time.Hour)}
	if got, err := l.All(ctx); err != nil || len(got) != 1 || !same(got[0], want) {
		t.Errorf("the ledger holds %+v, %v, want %+v", got, err, want)
	}
	for name, ledger := range map[string]*Ledger{"again": l, "another run": other} {
		if _, err := ledger.Reserve(ctx, charge("m", 0.5)); !errors.Is(err, ErrTaken) {
			t.Errorf("%s: %v, want ErrTaken", name, err)
		}
	}
	changed := charge("m", 0.5)
	changed.Definition = "e"
	if _, err := other.Reserve(ctx, changed); !errors.Is(err, ErrChanged) {
		t.Errorf("changed definition: %v, want ErrChanged", err)
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

func same(a, b Reservation) bool {
	return a.Charge == b.Charge && a.Run == b.Run && a.Reserved.Format(time.DateOnly) == b.Reserved.Format(time.DateOnly)
}

func TestGrantIsUsedOnce(t *testing.T) {
	g, err := open(t, migrationtest.Start(t), "a").Reserve(context.Background(), charge("m", 0.1))
	if err != nil {
		t.Fatal(err)
	}
	duplicate := g // a copy is the same grant
	if err := g.Use(); err != nil {
		t.Error(err)
	}
	for _, g := range []Grant{g, duplicate, {}} {
		if err := g.Use(); !errors.Is(err, ErrUsed) {
			t.Errorf("%v, want ErrUsed", err)
		}
	}
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
		{"too much", 0.1, 1, ErrTaken}, // withheld is final
		{"a larger budget frees nothing", 0.5, 10, ErrWithheld},
		{"exactly the rest", 0.4, 1, nil},
		{"nothing left", 1e-6, 1, ErrWithheld},
	} {
		c := charge(tt.metric, tt.mu2)
		c.BudgetMu2 = tt.budget
		if _, err := l.Reserve(ctx, c); !errors.Is(err, tt.want) {
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
	if _, err := l.Reserve(ctx, other); err != nil {
		t.Errorf("another period has its own budget: %v", err)
	}
}

// Runs that reserve the same pairs at the same time share them out: each has one
// winner, and together they stay within the budget.
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
				_, err := l.Reserve(ctx, c)
				switch {
				case err == nil:
					mu.Lock()
					wins[c.Metric]++
					spent += c.Mu2
					mu.Unlock()
				case !errors.Is(err, ErrTaken) && !errors.Is(err, ErrWithheld):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for m, n := range wins {
		if n != 1 {
			t.Errorf("%s has %d winners", m, n)
		}
	}
	if spent > 1 {
		t.Errorf("%g was granted of a budget of 1", spent)
	}
	list, err := open(t, s, "reader").Period(ctx, week)
	if err != nil || len(list) != metrics {
		t.Errorf("%d reservations, %v, want one a metric, %d", len(list), err, metrics)
	}
}

// A reservation survives the database, and so does the memory of its token.
func TestReservationSurvivesCrash(t *testing.T) {
	ctx := context.Background()
	s := migrationtest.Start(t)
	if _, err := open(t, s, "a").Reserve(ctx, charge("m", 0.5)); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	l := open(t, s, "b")
	if _, err := l.Reserve(ctx, charge("m", 0.5)); !errors.Is(err, ErrTaken) {
		t.Errorf("after a crash: %v, want ErrTaken", err)
	}
	// Even a run that did not look first cannot add a second reservation.
	if err := l.insert(ctx, Reservation{Charge: charge("m", 0.5), Run: "b", Reserved: today}); err != nil {
		t.Fatal(err)
	}
	list, err := l.Period(ctx, week)
	if err != nil || len(list) != 1 || list[0].Run != "a" {
		t.Errorf("the ledger holds %+v, %v, want the first run's reservation only", list, err)
	}
}

// Should two reservations of one pair ever exist, both have lost.
func TestTwoReservationsOfOnePair(t *testing.T) {
	mine := Reservation{Charge: charge("m", 0.1), Run: "a"}
	theirs := Reservation{Charge: charge("m", 0.1), Run: "b"}
	other := Reservation{Charge: charge("n", 0.1), Run: "b"}
	for _, tt := range []struct {
		name string
		list []Reservation
		want bool
	}{
		{"alone", []Reservation{other, mine}, true},
		{"lost", []Reservation{theirs, other}, false},
		{"both", []Reservation{mine, theirs}, false},
		{"twice", []Reservation{mine, mine}, false},
		{"nothing", nil, false},
	} {
		if got := won(tt.list, mine); got != tt.want {
			t.Errorf("%s: won = %v, want %v", tt.name, got, tt.want)
		}
	}
}
