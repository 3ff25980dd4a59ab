package bound_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var week = period.Of(time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC))

// reader reads metrics of periods, each once.
type reader struct {
	t    *testing.T
	conn interface {
		bound.Conn
		ledger.Conn
	}
	book *ledger.Ledger
}

func newReader(t *testing.T, s *localdb.Server) *reader {
	t.Helper()
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	return &reader{t, conn, ledger.New(conn, "test", time.Now)}
}

func (r *reader) read(m *metrics.Metric, p period.Period) bound.Cells {
	r.t.Helper()
	grant, err := r.book.Reserve(context.Background(), ledger.Charge{Period: p, Metric: m.Name, Definition: m.Hash(), BudgetMu2: 1, Mu2: 1e-6})
	if err != nil {
		r.t.Fatal(err)
	}
	cells, err := bound.Read(context.Background(), r.conn, grant, m)
	if err != nil {
		r.t.Fatal(err)
	}
	return cells
}

// The SQL gives what the plain Go gives, cell for cell and for every metric, on
// random weeks with hostile rows in them.
func TestReadEqualsOf(t *testing.T) {
	s := migrationtest.Start(t)
	r := newReader(t, s)
	seed := uint64(time.Now().UnixNano())
	for round, units := range []int{1, 30, 300} {
		p := week.Next() + period.Period(3*7*round) // rows of a round reach one week back
		rows := rawtest.Random(rand.New(rand.NewPCG(seed, uint64(round))), p, units)
		rawtest.Insert(t, s, rows...)
		for _, m := range metrics.All() {
			want, err := bound.Of(m, p, rawtest.Contributions(m, p, rows))
			if err != nil {
				t.Fatal(err)
			}
			if differs := compare(m, r.read(m, p), want); differs != "" {
				t.Errorf("seed %d, %d units, %s: %s", seed, units, m.Name, differs)
			}
			if units >= 300 && !anything(m, want) {
				t.Errorf("seed %d: nobody contributes to %s, so nothing was compared", seed, m.Name)
			}
		}
	}
}

func anything(m *metrics.Metric, c bound.Cells) bool {
	for i := range m.Cells() {
		if c.Total(i) != 0 {
			return true
		}
	}
	return false
}

// compare describes the first difference of two results.
func compare(m *metrics.Metric, got, want bound.Cells) string {
	for i := range m.Cells() {
		if got.Total(i) != want.Total(i) {
			return fmt.Sprintf("cell %d %q is %d, want %d", i, m.Key(i), got.Total(i), want.Total(i))
		}
	}
	gotCut, gotUncut := got.Clip()
	wantCut, wantUncut := want.Clip()
	if gotCut != wantCut || gotUncut != wantUncut {
		return fmt.Sprintf("%d units cut and %d not, want %d and %d", gotCut, gotUncut, wantCut, wantUncut)
	}
	return ""
}

// A period without rows is all zeros, and a row for every key all the same.
func TestReadNothing(t *testing.T) {
	r := newReader(t, migrationtest.Start(t))
	for _, m := range metrics.All() {
		cells := r.read(m, week)
		if cut, uncut := cells.Clip(); cut != 0 || uncut != 0 {
			t.Errorf("%s: %d and %d units of none", m.Name, cut, uncut)
		}
		for i := range m.Cells() {
			if cells.Total(i) != 0 {
				t.Errorf("%s: cell %d is %d", m.Name, i, cells.Total(i))
			}
		}
	}
}

// Parts that the engine has not merged yet count as those it has, and a table of
// units that goes to the disk as one that stays in memory.
func TestReadIsIndependentOfStorage(t *testing.T) {
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, localdb.Administrator)
	random := rand.New(rand.NewPCG(1, 1))
	rows := rawtest.Random(random, week, 60)
	for part := range slices.Chunk(rows, 1+len(rows)/7) {
		rawtest.Insert(t, s, part...)
	}
	m, _ := metrics.ByName("slices_by_machine")
	count := func(settings string) string {
		var got string
		if err := conn.QueryRow(context.Background(),
			"SELECT toString(groupArray((cell, total))) FROM (SELECT * FROM ("+strings.Split(bound.Query(m, week), "SETTINGS")[0]+") ORDER BY cell) SETTINGS "+settings).Scan(&got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	const inMemory, onDisk = "max_threads = 2", "max_bytes_before_external_group_by = 1000, group_by_two_level_threshold = 10, group_by_two_level_threshold_bytes = 1000"
	before := count(inMemory)
	if spilled := count(onDisk); spilled != before {
		t.Errorf("on disk: %s\nin memory: %s", spilled, before)
	}
	if err := conn.Exec(context.Background(), "OPTIMIZE TABLE raw.slices FINAL"); err != nil {
		t.Fatal(err)
	}
	if after := count(inMemory); after != before {
		t.Errorf("merged: %s\nbefore: %s", after, before)
	}
}

func TestReadNeedsItsGrant(t *testing.T) {
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	m, _ := metrics.ByName("slices")
	other, _ := metrics.ByName("installations")
	grant, err := ledger.New(conn, "test", time.Now).Reserve(context.Background(), ledger.Charge{Period: week, Metric: other.Name, Definition: other.Hash(), BudgetMu2: 1, Mu2: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]ledger.Grant{"another metric's": grant, "no": {}} {
		if _, err := bound.Read(context.Background(), conn, g, m); err == nil {
			t.Errorf("with %s grant the rows were read", name)
		}
	}
}

func TestCellsKeepTheirSecret(t *testing.T) {
	m, _ := metrics.ByName("slices")
	cells, err := bound.Of(m, week, slices.Values(slices.Repeat([]bound.Contribution{{Unit: 1}}, 17)))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, cells); strings.Contains(got, "17") {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if text, err := json.Marshal(cells); err == nil {
		t.Errorf("encoded: %s", text)
	}
}
