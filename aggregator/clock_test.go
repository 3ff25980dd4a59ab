package aggregator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// A clock that goes back opens nothing again: a week that was published stays as
// it is, its budget stays spent, and what was noted as dropped stays gone. Refusing
// is by the clock of the moment, and what is spent is by the ledger alone.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator)
	at := func(moment time.Time) Config { return Config{Now: func() time.Time { return moment }} }
	if _, err := publishOne(ctx, conn, week, "first"); err != nil {
		t.Fatal(err)
	}
	before := published(t, conn)
	if _, err := Publish(ctx, conn, at(week.Start()), week); !errors.Is(err, ErrOpen) {
		t.Errorf("before the week is over: %v, want ErrOpen", err)
	}
	if published(t, conn) != before {
		t.Error("a clock that went back changed what is published")
	}
	outcomes, err := Publish(ctx, conn, at(week.End().Add(DefaultGrace)), week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if want := map[bool]Result{true: Stored, false: Released}[o.Metric == crashMetric]; o.Result != want {
			t.Errorf("an hour earlier %s is %s, want %s", o.Metric, o.Result, want)
		}
	}
	checkPromise(t, conn)
}

// A clock that ran ahead when rows were dropped, and was set right: the drop was
// noted, and what was not released by then never will be.
func TestDropIsFinal(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	insertOne(t, s)
	late := Config{Now: func() time.Time { return today.AddDate(0, 3, 0) }}
	if report, err := Drop(ctx, conn, late); err != nil || len(report) != 1 || !report[0].Dropped {
		t.Fatalf("%v, %v, want the week dropped", report, err)
	}
	outcomes, err := Publish(ctx, conn, testConfig(), week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Result != Gone {
			t.Errorf("after the clock was set right %s is %s, want gone", o.Metric, o.Result)
		}
	}
	if accounts, err := Ledger(ctx, conn, testConfig()); err != nil || len(accounts) != 0 {
		t.Errorf("%v, %v was spent on what is gone", accounts, err)
	}
}

// insertOne stores a row of the week.
func insertOne(t *testing.T, s *localdb.Server) {
	t.Helper()
	rawtest.Insert(t, s, printTimes(1)...)
}
