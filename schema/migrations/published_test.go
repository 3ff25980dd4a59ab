package migrations_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// Every table and view that people read says what it is, and so does every
// column. An analyst sees that of what is published.
func TestPublishedIsCommented(t *testing.T) {
	s := migrationtest.Start(t)
	for user, databases := range map[string]string{localdb.Administrator: "'published', 'ledger'", migrations.Analyst: "'published'"} {
		conn := dbtest.Connect(t, s, user)
		for what, query := range map[string]string{
			"columns": "SELECT count(), groupArrayIf(concat(database, '.', table, '.', name), empty(comment)) FROM system.columns WHERE database IN (" + databases + ")",
			"tables":  "SELECT count(), groupArrayIf(concat(database, '.', name), empty(comment)) FROM system.tables WHERE database IN (" + databases + ")",
		} {
			var count uint64
			var bare []string
			if err := conn.QueryRow(t.Context(), query).Scan(&count, &bare); err != nil {
				t.Fatal(err)
			}
			if len(bare) > 0 || count < 40 {
				t.Errorf("%s sees %d %s, of which these have no comment: %v", user, count, what, bare)
			}
		}
	}
}

// put publishes one number of a metric and week.
func put(t *testing.T, conn driver.Conn, metric, week, definition, status string, cell int, raw int64) {
	t.Helper()
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO published.statistics (period, metric, cell, key, value_raw, std_err, scale, unit)
			VALUES ('%s', '%s', %d, ['key %d'], %d, 30, 10, 'kg')`, week, metric, cell, cell, raw),
		fmt.Sprintf(`INSERT INTO published.releases (period, metric, status, definition_hash) VALUES ('%s', '%s', '%s', '%s')`, week, metric, status, definition),
	} {
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// Sums and changes are of consecutive weeks of one definition, and their errors
// add in quadrature.
func TestTrends(t *testing.T) {
	s := migrationtest.Start(t)
	writer := dbtest.Connect(t, s, localdb.Administrator)
	for i, week := range []string{"2026-09-28", "2026-10-05", "2026-10-12", "2026-10-19", "2026-10-26", "2026-11-09", "2026-11-16"} {
		definition := "a"
		if week == "2026-11-16" {
			definition = "b"
		}
		put(t, writer, "m", week, definition, "released", 0, int64(1000+100*i))
		put(t, writer, "m", week, definition, "released", 1, 50)
	}
	put(t, writer, "other", "2026-10-05", "a", "released", 0, 7)
	put(t, writer, "m", "2026-11-23", "b", "withheld_budget", 0, 9_999_999) // must not be seen

	rows, err := dbtest.Connect(t, s, migrations.Analyst).Query(t.Context(), `SELECT toString(period), unit, value_raw, change, change_std_err,
		change_ci95_lo, weeks, sum_4_weeks, sum_4_weeks_std_err, mean_4_weeks_std_err
		FROM published.trends WHERE metric = 'm' AND key = ['key 0'] ORDER BY period`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	one, two, four := 3.0, 3*math.Sqrt2, 6.0
	want := []struct {
		week               string
		value              float64
		change             float64 // NaN: none
		weeks              uint8
		sum, sumErr, meanE float64
	}{
		{"2026-09-28", 100, math.NaN(), 1, 100, one, one},
		{"2026-10-05", 110, 10, 2, 210, two, two / 2},
		{"2026-10-12", 120, 10, 3, 330, 3 * math.Sqrt(3), math.Sqrt(3)},
		{"2026-10-19", 130, 10, 4, 460, four, four / 4},
		{"2026-10-26", 140, 10, 4, 500, four, four / 4},
		{"2026-11-09", 150, math.NaN(), 3, 420, 3 * math.Sqrt(3), math.Sqrt(3)}, // a week is missing
		{"2026-11-16", 160, math.NaN(), 1, 160, one, one},                       // another definition
	}
	n := 0
	for ; rows.Next(); n++ {
		var week, unit string
		var value, sum, sumErr, meanErr float64
		var change, changeErr, low *float64
		var weeks uint8
		if err := rows.Scan(&week, &unit, &value, &change, &changeErr, &low, &weeks, &sum, &sumErr, &meanErr); err != nil {
			t.Fatal(err)
		}
		if n >= len(want) {
			continue
		}
		w := want[n]
		if week != w.week || unit != "kg" || value != w.value || weeks != w.weeks || !near(sum, w.sum) || !near(sumErr, w.sumErr) || !near(meanErr, w.meanE) {
			t.Errorf("got %s %g, %d weeks, sum %g +- %g, mean +- %g, want %+v", week, value, weeks, sum, sumErr, meanErr, w)
		}
		if math.IsNaN(w.change) != (change == nil) || change != nil && (!near(*change, w.change) || !near(*changeErr, two) || !near(*low, w.change-1.959963984540054*two)) {
			t.Errorf("%s: change %v +- %v from %v, want %g", week, change, changeErr, low, w.change)
		}
	}
	if err := rows.Err(); err != nil || n != len(want) {
		t.Errorf("%d weeks, %v, want %d", n, err, len(want))
	}
}

func near(got, want float64) bool { return math.Abs(got-want) < 1e-9*max(1, math.Abs(want)) }
