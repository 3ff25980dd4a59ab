package aggregator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// Rows go when their period is published and the margin over, or when they are
// due; and never come back as a statistic.
func TestDrop(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	random := rand.New(rand.NewPCG(1, 1))
	waiting, old := week.Previous(), week-5*7
	for _, p := range []period.Period{week, waiting, old} {
		rows := rawtest.Random(random, p, 3)
		for i := range rows {
			rows[i].Period = p
		}
		rawtest.Insert(t, s, rows...)
	}
	if _, err := Publish(ctx, conn, testConfig(), week); err != nil {
		t.Fatal(err)
	}
	drop := func(days int, want string) {
		t.Helper()
		c := Config{Now: func() time.Time { return today.AddDate(0, 0, days) }}
		report, err := Drop(ctx, conn, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(report); got != want {
			t.Errorf("after %d days: %s, want %s", days, got, want)
		}
	}
	drop(0, "[{2026-W41 true 30 days after the week are over} {2026-W45 false not published yet} {2026-W46 false published, within the margin}]")
	drop(6, "[{2026-W45 false not published yet} {2026-W46 false published, within the margin}]")
	drop(7, "[{2026-W45 false not published yet} {2026-W46 true published, and the margin is over}]")
	drop(28, "[{2026-W45 true 30 days after the week are over}]")
	drop(28, "[]")

	outcomes, err := Publish(ctx, conn, testConfig(), waiting)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Result != Gone {
			t.Errorf("%s of a dropped period is %s, want gone", o.Metric, o.Result)
		}
	}
	if accounts, err := Ledger(ctx, conn, testConfig()); err != nil || len(accounts) != 1 {
		t.Errorf("%d accounts, %v, want that of the published period only", len(accounts), err)
	}
}

// Rows that arrive for a period after it was dropped go as well, and a drop that a
// crash cut short is finished.
func TestDropAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(1, 1)), week-5*7, 3)...)
	if _, err := Drop(ctx, conn, testConfig()); err != nil {
		t.Fatal(err)
	}
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(1, 1)), week-5*7, 3)...)
	if _, err := Drop(ctx, conn, testConfig()); err != nil {
		t.Fatal(err)
	}
	var rows uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM raw.slices").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows, %v, want none", rows, err)
	}
}

// What ClickHouse set aside, as it does with parts that a power cut broke, is in no
// partition, and goes as well.
func TestDropOfWhatWasSetAside(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn, administrator := dbtest.Connect(t, s, migrations.Aggregator), dbtest.Connect(t, s, localdb.Administrator)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(1, 1)), week, 3)...)
	for _, statement := range []string{
		"INSERT INTO raw.origins VALUES (today(), '::ffff:203.0.0.0', 1, 1)",
		"ALTER TABLE raw.origins DETACH PARTITION ALL", "ALTER TABLE raw.slices DETACH PARTITION ALL", "ALTER TABLE raw.counters DETACH PARTITION ALL",
	} {
		if err := administrator.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	aside := func() (n uint64) {
		t.Helper()
		if err := administrator.QueryRow(ctx, "SELECT count() FROM system.detached_parts").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if aside() < 2 {
		t.Fatal("nothing is set aside")
	}
	if _, err := Drop(ctx, conn, testConfig()); err != nil {
		t.Fatal(err)
	}
	if n := aside(); n != 0 {
		t.Errorf("%d parts are still set aside", n)
	}
}

// What somebody asked to have erased is in no statistic, and goes from the disk,
// by statements that hold no value of it.
func TestErasedRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn, administrator := dbtest.Connect(t, s, migrations.Aggregator), dbtest.Connect(t, s, localdb.Administrator)
	const units, erased = 40, 7_000_000_000_000_000_007
	for unit := range uint64(units) {
		row := rawtest.Row{Period: week, Unit: unit, Batch: 1, Slice: &telemetryv1.Slice{Machine: "ultimaker_s5"}}
		if unit == 0 {
			row.Unit = erased
		}
		rawtest.Insert(t, s, row)
	}
	if err := administrator.Exec(ctx, "INSERT INTO raw.erasures VALUES (?, ?)", week.Start(), uint64(erased)); err != nil {
		t.Fatal(err)
	}
	count := func(conn Conn) (n uint64) {
		t.Helper()
		if err := conn.QueryRow(ctx, "SELECT count() FROM raw.slices").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(conn); n != units-1 {
		t.Errorf("%d rows are readable, want %d", n, units-1)
	}
	if n := count(administrator); n != units {
		t.Errorf("%d rows are there before the drop, want %d", n, units)
	}
	if _, err := Drop(ctx, conn, testConfig()); err != nil {
		t.Fatal(err)
	}
	if n := count(administrator); n != units-1 {
		t.Errorf("%d rows are left, want %d", n, units-1)
	}
	var mutations uint64
	if err := administrator.QueryRow(ctx, "SELECT countIf(command LIKE '%7000000000000000007%') FROM system.mutations").Scan(&mutations); err != nil || mutations != 0 {
		t.Errorf("%d mutations hold the unit, %v", mutations, err)
	}
}
