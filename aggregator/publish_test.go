package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// From rows to tables: every metric has a row for every public key; the intervals
// hold the bounded totals in 95 of 100 cases (97.5 where the total is 0, which no
// interval misses from below); together they keep the promise; and a second run
// changes nothing. The coverage fails by chance at six standard errors: 1e-9.
func TestPublish(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rows := rawtest.Random(rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), week, 300)
	rawtest.Insert(t, s, rows...)

	var progress bytes.Buffer
	c := testConfig()
	c.Progress = &progress
	outcomes, err := Publish(ctx, conn, c, week)
	if err != nil {
		t.Fatal(err)
	}
	all := metrics.All()
	if lines := strings.Count(progress.String(), string(Released)); len(outcomes) != len(all) || lines != len(all) {
		t.Fatalf("%d outcomes, %d lines of progress, want one a metric, %d", len(outcomes), lines, len(all))
	}
	if lines := strings.Count(progress.String(), "rows read, "); lines != len(metrics.Sources) {
		t.Errorf("%d lines of progress while reading, want one a source, %d:\n%s", lines, len(metrics.Sources), &progress)
	}
	for _, o := range outcomes {
		if o.Result != Released {
			t.Errorf("%s: %s, want released", o.Metric, o.Result)
		}
	}
	before := published(t, conn)
	checkCoverage(t, conn, rows)
	checkPromise(t, conn)

	again, err := Publish(ctx, conn, testConfig(), week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range again {
		if o.Result != Stored {
			t.Errorf("again %s: %s, want stored", o.Metric, o.Result)
		}
	}
	if after := published(t, conn); after != before {
		t.Error("publishing again changed what is published")
	}
}

// published returns everything that analysts can read, as text.
func published(t *testing.T, conn Conn) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"statistics", "quantiles", "releases"} {
		var text string
		if err := conn.QueryRow(context.Background(), fmt.Sprintf("SELECT toString(groupArray(t)) FROM (SELECT tuple(*) AS t FROM published.%s ORDER BY t)", table)).Scan(&text); err != nil {
			t.Fatal(err)
		}
		b.WriteString(text)
	}
	return b.String()
}

func checkCoverage(t *testing.T, conn Conn, rows []rawtest.Row) {
	t.Helper()
	held, cells := 0, 0
	for _, m := range metrics.All() {
		truth, err := bound.Of(m, week, rawtest.Contributions(m, week, rows))
		if err != nil {
			t.Fatal(err)
		}
		list, err := publish.Statistics(context.Background(), conn, m.Name, publish.Always)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != m.Cells() {
			t.Errorf("%s has %d rows, want %d", m.Name, len(list), m.Cells())
			continue
		}
		for i, row := range list {
			cells++
			if row.Low <= truth.Total(i) && truth.Total(i) <= row.High {
				held++
			}
			if !slices.Equal(row.Key, m.Key(i)) {
				t.Errorf("%s: row %d has the key %v, want %v", m.Name, i, row.Key, m.Key(i))
			}
		}
	}
	got, spread := float64(held)/float64(cells), math.Sqrt(0.95*0.05/float64(cells))
	if got < 0.95-6*spread || got > 0.975+6*spread {
		t.Errorf("%.4f of %d intervals hold the bounded total, want 0.95 to 0.975", got, cells)
	}
}

func checkPromise(t *testing.T, conn Conn) {
	t.Helper()
	accounts, err := Ledger(context.Background(), conn, testConfig())
	if err != nil || len(accounts) != 1 {
		t.Fatalf("accounts %v, %v, want one", accounts, err)
	}
	a := accounts[0]
	if a.Epsilon > gdp.Week.Epsilon || a.Epsilon < 0.99*gdp.Week.Epsilon || a.Week != week.String() {
		t.Errorf("%s spent epsilon %g, want nearly and at most %g", a.Week, a.Epsilon, gdp.Week.Epsilon)
	}
	for _, e := range a.Entries {
		if e.State != Released {
			t.Errorf("%s is %s in the ledger", e.Metric, e.State)
		}
	}
}

// The views are what analysts read: typed, and readable with their rights only.
func TestAnalystReadsViews(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	if _, err := Publish(ctx, dbtest.Connect(t, s, migrations.Aggregator), testConfig(), week); err != nil {
		t.Fatal(err)
	}
	analyst := dbtest.Connect(t, s, migrations.Analyst)
	for _, m := range metrics.All() {
		var rows uint64
		if err := analyst.QueryRow(ctx, "SELECT count() FROM (SELECT * FROM published."+m.Name+" WHERE value >= 0 AND ci95_lo <= ci95_hi)").Scan(&rows); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if rows != uint64(m.Cells()) {
			t.Errorf("published.%s has %d rows, want %d", m.Name, rows, m.Cells())
		}
	}
	for _, table := range []string{"raw.slices", "raw.counters", "ledger.reservations"} {
		if err := analyst.Exec(ctx, "SELECT * FROM "+table); err == nil {
			t.Errorf("the analyst can read %s", table)
		}
	}
	if _, err := Publish(ctx, dbtest.Connect(t, s, migrations.Analyst), testConfig(), week.Previous()); err == nil {
		t.Error("the analyst can publish")
	}
}

// An open period, or one that does not exist, is refused before anything is spent.
func TestOpenPeriod(t *testing.T) {
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	for name, p := range map[string]period.Period{"this week": week.Next(), "not a Monday": week + 1} {
		if _, err := Publish(context.Background(), conn, testConfig(), p); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
	if accounts, err := Ledger(context.Background(), conn, testConfig()); err != nil || len(accounts) != 0 {
		t.Errorf("%v, %v was spent", accounts, err)
	}
}

func TestClosedPeriods(t *testing.T) {
	at := func(s string) Config {
		now, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return Config{Now: func() time.Time { return now }}
	}
	tests := []struct {
		name, now string
		want      string
	}{
		{"two days after a week", "2026-11-18T00:00:00Z", "[2026-W43 2026-W44 2026-W45 2026-W46]"},
		{"a second before", "2026-11-17T23:59:59Z", "[2026-W43 2026-W44 2026-W45]"},
		{"a month on, rows are due to go", "2026-11-25T00:00:00Z", "[2026-W44 2026-W45 2026-W46 2026-W47]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(ClosedPeriods(at(tt.now))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Several processes publish one week at the same time: each metric has one
// winner, and what is published is one draw.
func TestConcurrentProcesses(t *testing.T) {
	t.Parallel()
	s := migrationtest.Start(t)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(1, 1)), week, 20)...)
	const processes = 3
	var children []*exec.Cmd
	outputs := make([]bytes.Buffer, processes)
	for i := range processes {
		cmd := startChild(t, s, week, "")
		cmd.Stdout = &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, cmd)
	}
	wins := map[string]int{}
	for i, cmd := range children {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		var outcomes []Outcome
		if err := json.Unmarshal(outputs[i].Bytes(), &outcomes); err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			if o.Result == Released {
				wins[o.Metric]++
			}
		}
	}
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	for _, m := range metrics.All() {
		var rows, runs uint64
		if err := conn.QueryRow(context.Background(), "SELECT count(), uniqExact(run) FROM published.statistics WHERE metric = ?", m.Name).Scan(&rows, &runs); err != nil {
			t.Fatal(err)
		}
		if wins[m.Name] != 1 || runs != 1 || rows != uint64(m.Cells()) {
			t.Errorf("%s: %d winners, %d runs, %d rows, want 1, 1, %d", m.Name, wins[m.Name], runs, rows, m.Cells())
		}
	}
}

// A publisher that is killed before or after any of its operations leaves a
// release that is not begun, reserved, drawn and lost, or complete: never one that
// is drawn again, and one that was not drawn is not lost.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	ctx := context.Background()
	rawtest.Insert(t, s, printTimes(3000)...)
	results, resumed := map[Result]int{}, 0
	for at := 0; ; at++ {
		// A new engine for each point would be slow; the same week again is not: what
		// a run left is removed by the administrator, as nobody else could.
		cleanUp(t, s)
		err := startChild(t, s, week, strconv.Itoa(at)).Run()
		if err == nil {
			break // it came to its end: there are no more points
		}
		reserved, drawn := ledgerRuns(t, conn, "reservations"), ledgerRuns(t, conn, "draws")
		before := statistics(t, conn)
		result, err := publishOne(ctx, conn, week, "successor")
		if err != nil {
			t.Fatalf("after a kill before operation %d: %v", at, err)
		}
		results[result]++
		after := statistics(t, conn)
		switch {
		case drawn == "" && (result != Released || ledgerRuns(t, conn, "draws") != "successor"):
			t.Errorf("operation %d: nothing was drawn, and the successor is %s", at, result)
		case reserved != "" && ledgerRuns(t, conn, "reservations") != reserved:
			t.Errorf("operation %d: reserved by %s, and the successor reserved again", at, reserved)
		case drawn != "" && (after != before || ledgerRuns(t, conn, "draws") != drawn):
			t.Errorf("operation %d: drawn by %s, and the successor drew again", at, drawn)
		case drawn != "" && before != "" && result != Stored:
			t.Errorf("operation %d: the rows are stored, and the successor is %s", at, result)
		case drawn != "" && before == "" && result != Incomplete:
			t.Errorf("operation %d: drawn and lost, and the successor is %s", at, result)
		}
		if reserved != "" && drawn == "" {
			resumed++
		}
		checkSettled(t, conn, at, result)
	}
	for _, r := range []Result{Released, Incomplete, Stored} {
		if results[r] == 0 {
			t.Errorf("no kill led to %s: %v", r, results)
		}
	}
	if resumed < 3 {
		t.Errorf("%d kills between reserving and drawing, want several: reading lies there", resumed)
	}
}

// printTimes returns a row each of that many units: enough to have quantiles.
func printTimes(units int) []rawtest.Row {
	f, _ := rules.FieldByPath("Slice", "print_time_s")
	times := f.Numbers()
	rows := make([]rawtest.Row, units)
	for i := range rows {
		rows[i] = rawtest.Row{Period: week, Unit: uint64(i), Slice: &telemetryv1.Slice{PrintTimeS: times[i%len(times)]}}
	}
	return rows
}

// checkSettled repeats the publishing: the result stays.
func checkSettled(t *testing.T, conn Conn, at int, first Result) {
	t.Helper()
	want := first
	if want == Released {
		want = Stored
	}
	before := statistics(t, conn)
	got, err := publishOne(context.Background(), conn, week, "third")
	if err != nil || got != want || statistics(t, conn) != before {
		t.Errorf("operation %d: once more gives %s, %v, want %s and the same rows", at, got, err, want)
	}
	quantiles, err := publish.Quantiles(context.Background(), conn, crashMetric, publish.Always)
	if err != nil || (want == Stored) != (len(quantiles) > 0) {
		t.Errorf("operation %d: %s with %d quantiles, %v", at, want, len(quantiles), err)
	}
}

func statistics(t *testing.T, conn Conn) string {
	t.Helper()
	var text string
	if err := conn.QueryRow(context.Background(), "SELECT arrayStringConcat(arrayMap(x -> toString(x), arraySort(groupArray((cell, value_raw, run))))) FROM published.statistics").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// ledgerRuns returns the runs in one of the ledger's tables.
func ledgerRuns(t *testing.T, conn Conn, table string) string {
	t.Helper()
	var text string
	if err := conn.QueryRow(context.Background(), "SELECT arrayStringConcat(groupArray(run), ' ') FROM ledger."+table).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// cleanUp makes the database forget, tokens included: TRUNCATE would keep these.
func cleanUp(t testing.TB, s *localdb.Server) {
	t.Helper()
	conn := dbtest.Connect(t, s, localdb.Administrator)
	for _, statement := range []string{"DROP DATABASE published SYNC", "DROP DATABASE ledger SYNC", "TRUNCATE TABLE admin.migrations"} {
		if err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := migrations.Apply(context.Background(), conn); err != nil {
		t.Fatal(err)
	}
}

// A definition that is not the one that was released is refused; a budget that
// another plan spent is not there.
func TestOtherPlans(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	if _, err := publishOne(ctx, conn, week, "first"); err != nil {
		t.Fatal(err)
	}
	split, err := testConfig().plan()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(split.Designs, func(d release.Design) bool { return d.Metric.Name == crashMetric })
	d := split.Designs[i]
	changed := *d.Metric
	changed.Bounds.Keys--
	d.Metric = &changed
	complete, err := releases(ctx, conn, week)
	if err != nil {
		t.Fatal(err)
	}
	r := &publisher{conn: conn, config: testConfig(), plan: split}
	if got, err := onlyResult(r.release(ctx, week, []release.Design{d}, complete)); err != nil || got != Changed {
		t.Errorf("another definition is %s, %v, want changed", got, err)
	}
	tiny := testConfig()
	tiny.Epsilon = 0.01
	outcomes, err := Publish(ctx, conn, tiny, week)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if want := map[bool]Result{true: Stored, false: Withheld}[o.Metric == crashMetric]; o.Result != want {
			t.Errorf("within a smaller budget %s is %s, want %s", o.Metric, o.Result, want)
		}
	}
	again, err := Publish(ctx, conn, testConfig(), week)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again) != fmt.Sprint(outcomes) {
		t.Error("with the old budget again something was released after all")
	}
}
