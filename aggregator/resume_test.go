package aggregator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// unreadable is a connection on which rows cannot be bounded.
type unreadable struct{ Conn }

var errUnreadable = errors.New("the connection is gone")

func (u unreadable) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	if strings.Contains(query, "GROUP BY unit") {
		return nil, errUnreadable
	}
	return u.Conn.Query(ctx, query, args...)
}

// A week that is reserved and not read waits for the next run: the ledger says so,
// its rows stay past the margin, and then all of it is released.
func TestInterruptedReadingLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rawtest.Insert(t, s, printTimes(5)...)
	if _, err := Publish(ctx, unreadable{conn}, testConfig(), week); !errors.Is(err, errUnreadable) {
		t.Fatalf("%v, want an interrupted run", err)
	}
	accounts, err := Ledger(ctx, conn, testConfig())
	if err != nil || len(accounts) != 1 {
		t.Fatal(accounts, err)
	}
	for _, e := range accounts[0].Entries {
		if e.State != Reserved {
			t.Errorf("%s is %s in the ledger, want reserved", e.Metric, e.State)
		}
	}
	later := testConfig()
	later.Now = func() time.Time { return today.Add(DefaultMargin) }
	report, err := Drop(ctx, conn, later)
	if err != nil || len(report) != 1 || report[0].Dropped {
		t.Errorf("%v, %v, want nothing dropped", report, err)
	}
	outcomes, err := Publish(ctx, conn, later, week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Result != Released {
			t.Errorf("%s is %s, want released", o.Metric, o.Result)
		}
	}
}

// What a build reserved that knows no draws counts as drawn: its rows are taken
// where they are stored, and nothing is drawn again where they are not.
func TestReservedByAnEarlierBuild(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn, admin := dbtest.Connect(t, s, migrations.Aggregator), dbtest.Connect(t, s, localdb.Administrator)
	rawtest.Insert(t, s, printTimes(50)...)
	for want, statements := range map[Result][]string{
		Stored:     {"TRUNCATE TABLE published.releases"},
		Incomplete: {"TRUNCATE TABLE published.releases", "TRUNCATE TABLE published.statistics"},
	} {
		cleanUp(t, s)
		if _, err := publishOne(ctx, conn, week, "old"); err != nil {
			t.Fatal(err)
		}
		// What the earlier build leaves: no draw, and a column that it does not know.
		statements = append(statements, "TRUNCATE TABLE ledger.draws",
			"ALTER TABLE ledger.reservations UPDATE draws_apart = 0 WHERE 1 SETTINGS mutations_sync = 2")
		for _, statement := range statements {
			if err := admin.Exec(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		before := statistics(t, conn)
		result, err := publishOne(ctx, conn, week, "new")
		if err != nil || result != want || statistics(t, conn) != before || ledgerRuns(t, conn, "draws") != "" {
			t.Errorf("%s, %v, drawn by %q, want %s and nothing drawn", result, err, ledgerRuns(t, conn, "draws"), want)
		}
	}
}

// A crash of the database can leave a token without its row: that metric is lost,
// and no other.
func TestTokenWithoutRow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn, admin := dbtest.Connect(t, s, migrations.Aggregator), dbtest.Connect(t, s, localdb.Administrator)
	if _, err := publishOne(ctx, unreadable{conn}, week, "dead"); !errors.Is(err, errUnreadable) {
		t.Fatal(err)
	}
	if err := admin.Exec(ctx, "ALTER TABLE ledger.reservations DELETE WHERE 1 SETTINGS mutations_sync = 2"); err != nil {
		t.Fatal(err)
	}
	outcomes, err := Publish(ctx, conn, testConfig(), week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if want := map[bool]Result{true: Incomplete, false: Released}[o.Metric == crashMetric]; o.Result != want {
			t.Errorf("%s is %s, want %s", o.Metric, o.Result, want)
		}
	}
}
