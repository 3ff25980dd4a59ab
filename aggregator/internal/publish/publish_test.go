package publish

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var week = period.Of(time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC))

// drawn reserves and draws a metric and returns its table, not stored yet.
func drawn(t *testing.T, conn Conn, name string) release.Table {
	t.Helper()
	m, ok := metrics.ByName(name)
	if !ok {
		t.Fatalf("there is no metric %s", name)
	}
	d, err := release.NewDesign(m, 0.01)
	if err != nil {
		t.Fatal(err)
	}
	book := ledger.New(conn, "run of "+name, time.Now)
	answers, err := book.Reserve(context.Background(), week, ledger.Charge{
		Period: week, Metric: m.Name, Definition: m.Hash(), CatalogueVersion: 1, BudgetMu2: 1, Mu2: d.Mu2(), Sigma: d.Cells.Sigma,
	})
	if err != nil {
		t.Fatal(err)
	}
	draw, err := book.Draw(context.Background(), answers[0].Grant)
	if err != nil {
		t.Fatal(err)
	}
	var contributions []bound.Contribution
	for unit := range uint64(5000) {
		contributions = append(contributions, bound.Contribution{Unit: unit, Cell: int(unit) % m.Cells(), Value: 1})
	}
	cells, err := bound.Of(m, week, slices.Values(contributions))
	if err != nil {
		t.Fatal(err)
	}
	table, err := release.New(draw, d, cells)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// What is read back is what was released, row for row.
func TestWriteAndRead(t *testing.T) {
	ctx := context.Background()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator)
	for _, name := range []string{"slices_by_machine", "print_time", "layer_height"} {
		table := drawn(t, conn, name)
		if err := Write(ctx, conn, table, 1e-8); err != nil {
			t.Fatal(err)
		}
		got, err := Statistics(ctx, conn, name, Always)
		if err != nil || len(got) != len(table.Rows()) {
			t.Fatalf("%s: %d rows, %v, want %d", name, len(got), err, len(table.Rows()))
		}
		tidy := Tidy(table.Rows())
		for i, want := range table.Rows() {
			g := got[i]
			if g.Raw != want.Raw || g.Value != tidy[i] || g.StdErr != want.StdErr || g.Low != want.Low || g.High != want.High ||
				g.Status != string(want.Status) || !slices.Equal(g.Key, want.Key) || g.Week != week.String() {
				t.Fatalf("%s: row %d is %+v, want %+v", name, i, g, want)
			}
		}
		if clip := table.Clip(); (clip == nil) != (got[0].ClipShare == nil) || clip != nil && *got[0].ClipShare != clip.Share {
			t.Errorf("%s: clip share %v, want %v", name, got[0].ClipShare, clip)
		}
		quantiles, err := Quantiles(ctx, conn, name, Always)
		if want := release.QuantilesOf(table.Metric(), table.Rows(), table.Design().Cells.Sigma); err != nil || len(quantiles) != len(want) {
			t.Errorf("%s: %d quantiles, %v, want %d", name, len(quantiles), err, len(want))
		}
	}
}

// Rows without the mark are invisible; completing makes them visible, as often as
// one likes.
func TestComplete(t *testing.T) {
	ctx := context.Background()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator)
	table := drawn(t, conn, "print_time")
	if err := Complete(ctx, conn, table.Design(), table.Reservation()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("before its rows are stored: %v, want ErrIncomplete", err)
	}
	if err := writeRows(ctx, conn, table, 1e-8); err != nil {
		t.Fatal(err)
	}
	if got, err := Statistics(ctx, conn, "print_time", Span{week, week}); err != nil || len(got) != 0 {
		t.Errorf("%d rows are visible before the release is complete, %v", len(got), err)
	}
	for range 2 {
		if err := Complete(ctx, conn, table.Design(), table.Reservation()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Statistics(ctx, conn, "print_time", Span{week, week})
	if err != nil || len(got) != table.Metric().Cells() {
		t.Errorf("%d rows, %v, want %d", len(got), err, table.Metric().Cells())
	}
	if list, err := Releases(ctx, conn); err != nil || len(list) != 1 || list[0].Status != Released {
		t.Errorf("releases %+v, %v, want one", list, err)
	}
}

// Even a second table of the same metric and period, which the ledger would never
// allow, does not replace the first.
func TestFirstTableStays(t *testing.T) {
	ctx := context.Background()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator)
	table := drawn(t, conn, "layer_height")
	if err := Write(ctx, conn, table, 1e-8); err != nil {
		t.Fatal(err)
	}
	before, err := Statistics(ctx, conn, "layer_height", Always)
	if err != nil {
		t.Fatal(err)
	}
	err = insert(ctx, conn, token(table.Reservation()), `INSERT INTO published.statistics (period, metric, cell, key, value_raw, run)`, func(b driver.Batch) error {
		return b.Append(week.Start(), "layer_height", uint32(0), []string{"40"}, int64(1), "intruder")
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := Statistics(ctx, conn, "layer_height", Always)
	if err != nil || len(after) != len(before) || after[0].Raw != before[0].Raw {
		t.Errorf("the first row is %+v, %v, was %+v", after[0], err, before[0])
	}
}

func TestWithhold(t *testing.T) {
	ctx := context.Background()
	conn := dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator)
	table := drawn(t, conn, "slices")
	if err := Withhold(ctx, conn, table.Design(), table.Reservation()); err != nil {
		t.Fatal(err)
	}
	list, err := Releases(ctx, conn)
	if err != nil || len(list) != 1 || list[0].Status != Withheld || list[0].Metric != "slices" {
		t.Errorf("releases %+v, %v, want one withheld", list, err)
	}
}
