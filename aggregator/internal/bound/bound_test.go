package bound_test

import (
	"context"
	"encoding/json"
	"errors"
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
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
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

func (r *reader) item(m *metrics.Metric, p period.Period) bound.Item {
	r.t.Helper()
	answers, err := r.book.Reserve(context.Background(), p, ledger.Charge{Period: p, Metric: m.Name, Definition: m.Hash(), BudgetMu2: 1, Mu2: 1e-6})
	if err != nil {
		r.t.Fatal(err)
	}
	return bound.Item{Grant: answers[0].Grant, Metric: m}
}

func (r *reader) read(p period.Period, list ...*metrics.Metric) []bound.Cells {
	r.t.Helper()
	var items []bound.Item
	for _, m := range list {
		items = append(items, r.item(m, p))
	}
	cells, err := bound.Read(context.Background(), r.conn, p, items, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return cells
}

// The SQL gives what the plain Go gives, cell for cell and for every metric, on
// random weeks with hostile rows in them; and for a metric alone what it gives
// for it among all.
func TestReadEqualsOf(t *testing.T) {
	s := migrationtest.Start(t)
	r := newReader(t, s)
	seed := uint64(time.Now().UnixNano())
	for round, units := range []int{1, 30, 300} {
		p := week.Next() + period.Period(3*7*round) // rows of a round reach one week back
		rows := rawtest.Random(rand.New(rand.NewPCG(seed, uint64(round))), p, units)
		rawtest.Insert(t, s, rows...)
		all := r.read(p, metrics.All()...)
		for i, m := range metrics.All() {
			want, err := bound.Of(m, p, rawtest.Contributions(m, p, rows))
			if err != nil {
				t.Fatal(err)
			}
			if differs := compare(m, all[i], want); differs != "" {
				t.Errorf("seed %d, %d units, %s: %s", seed, units, m.Name, differs)
			}
			if units == 30 && i%7 == 0 {
				if differs := compare(m, r.read(p, m)[0], want); differs != "" {
					t.Errorf("seed %d, %d units, %s alone: %s", seed, units, m.Name, differs)
				}
			}
			if units >= 300 && !anything(m, want) {
				t.Errorf("seed %d: nobody contributes to %s, so nothing was compared", seed, m.Name)
			}
		}
	}
}

// A unit with too many rows counts for nothing, and shows in the clip counts.
func TestMaxRows(t *testing.T) {
	s := migrationtest.Start(t)
	rows := slices.Concat(tooMany(week, 1, 10), tooMany(week, 2, metrics.MaxRows), tooMany(week, 3, metrics.MaxRows+1))
	rawtest.Insert(t, s, rows...)
	var list []*metrics.Metric
	for _, name := range []string{"layer_height", "slices_by_machine", "installations_by_machine"} {
		m, _ := metrics.ByName(name)
		list = append(list, m)
	}
	for i, got := range newReader(t, s).read(week, list...) {
		m := list[i]
		want, err := bound.Of(m, week, rawtest.Contributions(m, week, rows))
		if err != nil {
			t.Fatal(err)
		}
		if differs := compare(m, got, want); differs != "" {
			t.Errorf("%s: %s", m.Name, differs)
		}
		cut, uncut := got.Clip()
		if m.Clips() && cut+uncut != 3 || m.Name == "installations_by_machine" && cut != 1 {
			t.Errorf("%s: %d cut, %d not, of three units, one of which has too many rows", m.Name, cut, uncut)
		}
	}
}

// tooMany is that many rows of a unit, half of them without a value of most fields.
func tooMany(p period.Period, unit uint64, rows int) []rawtest.Row {
	list := make([]rawtest.Row, rows)
	for i := range list {
		s := &telemetryv1.Slice{Machine: "custom"}
		if i%2 == 0 {
			s.LayerHeightUm, s.Support = uint32(100+20*(i%10)), telemetryv1.Flag_FLAG_NO
		}
		list[i] = rawtest.Row{Period: p, Unit: unit, Batch: uint64(i / 200), Index: uint16(i % 200), Slice: s}
	}
	return list
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
	for i, cells := range r.read(week, metrics.All()...) {
		m := metrics.All()[i]
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

// Parts that the engine has not merged yet count as those it has, and ranges of
// units add up to what all of them give.
func TestReadIsIndependentOfStorage(t *testing.T) {
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, localdb.Administrator)
	random := rand.New(rand.NewPCG(1, 1))
	rows := rawtest.Random(random, week, 60)
	for part := range slices.Chunk(rows, 1+len(rows)/7) {
		rawtest.Insert(t, s, part...)
	}
	var list []*metrics.Metric
	for _, m := range metrics.All() {
		if m.Source == metrics.Slices {
			list = append(list, m)
		}
	}
	count := func(ranges uint64) string {
		var parts []string
		for _, q := range bound.Queries(week, ranges, list...) {
			q, _, _ = strings.Cut(q, "SETTINGS")
			parts = append(parts, "("+q+")")
		}
		var got string
		if err := conn.QueryRow(context.Background(), "SELECT toString(groupArray((cell, sum))) FROM (SELECT cell, sum(total) AS sum FROM ("+
			strings.Join(parts, " UNION ALL ")+") WHERE cell != 0 GROUP BY cell ORDER BY cell)").Scan(&got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := count(1)
	if apart := count(7); apart != before || len(before) < 1000 {
		t.Errorf("in seven ranges: %s\nat once: %s", apart, before)
	}
	if err := conn.Exec(context.Background(), "OPTIMIZE TABLE raw.slices FINAL"); err != nil {
		t.Fatal(err)
	}
	if after := count(1); after != before {
		t.Errorf("merged: %s\nbefore: %s", after, before)
	}
}

func TestReadNeedsItsGrant(t *testing.T) {
	r := newReader(t, migrationtest.Start(t))
	m, _ := metrics.ByName("slices")
	other, _ := metrics.ByName("installations")
	good := r.item(m, week)
	for name, item := range map[string]bound.Item{
		"another metric's": {Grant: r.item(other, week).Grant, Metric: m},
		"another week's":   r.item(m, week.Next()),
		"no":               {Metric: m},
	} {
		if _, err := bound.Read(context.Background(), r.conn, week, []bound.Item{good, item}, nil); !errors.Is(err, ledger.ErrMismatch) {
			t.Errorf("with %s grant: %v, want ErrMismatch", name, err)
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
