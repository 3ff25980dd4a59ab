package migrations_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// divided is a pair of noisy numbers and what the view says of them.
type divided struct {
	total, count           float64
	value, raw, stdErr     *float64
	low, high              float64
	status                 string
	totalError, countError float64
}

// divide publishes pairs of totals and counts with their noise and reads the view
// published.mean_outputs_by_machine.
func divide(t *testing.T, totals, counts []int64, totalError, countError float64) []divided {
	t.Helper()
	s := migrationtest.Start(t)
	writer := dbtest.Connect(t, s, localdb.Administrator)
	for metric, numbers := range map[string][]int64{"slices_by_machine": totals, "installations_by_machine": counts} {
		stdErr := totalError
		if metric == "installations_by_machine" {
			stdErr = countError
		}
		batch, err := writer.PrepareBatch(t.Context(), "INSERT INTO published.statistics (period, metric, cell, key, value_raw, std_err, scale)")
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range numbers {
			if err := batch.Append("2026-11-09", metric, uint32(i), []string{fmt.Sprintf("%06d", i)}, n, stdErr, int64(1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		if err := writer.Exec(t.Context(), "INSERT INTO published.releases (period, metric, status) VALUES ('2026-11-09', $1, 'released')", metric); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := dbtest.Connect(t, s, migrations.Analyst).Query(t.Context(), `SELECT total, count, value, value_raw, std_err, ci95_lo, ci95_hi, toString(status), total_std_err, count_std_err
		FROM published.mean_outputs_by_machine ORDER BY machine`)
	if err != nil {
		t.Fatal(err)
	}
	return readDivided(t, rows, len(totals))
}

func readDivided(t *testing.T, rows driver.Rows, want int) []divided {
	t.Helper()
	defer rows.Close()
	var list []divided
	for rows.Next() {
		var d divided
		if err := rows.Scan(&d.total, &d.count, &d.value, &d.raw, &d.stdErr, &d.low, &d.high, &d.status, &d.totalError, &d.countError); err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil || len(list) != want {
		t.Fatalf("%d rows, %v, want %d", len(list), err, want)
	}
	return list
}

// fieller solves (x - q y)^2 = z^2 (s^2 + q^2 t^2) for q, which is how the interval
// is defined, by the formula for quadratic equations. The view has it otherwise.
func fieller(x, y, s, t float64) (low, high float64) {
	const z = 1.959963984540054
	a, b, c := y*y-z*z*t*t, -2*x*y, x*x-z*z*s*s
	root := math.Sqrt(b*b - 4*a*c)
	return (-b - root) / (2 * a), (-b + root) / (2 * a)
}

// The view says what the definition of the interval says, keeps the quotient as it
// is beside one that can be read, and says where nothing is known. 40 is the largest
// possible mean.
func TestMeans(t *testing.T) {
	const s, e = 30, 10
	totals := []int64{80_000, 800, -50, 50_000, 300, 100, 7, 500, 100}
	counts := []int64{10_000, 100, 200, 1000, 20, 19, 0, -100, 30}
	for i, d := range divide(t, totals, counts, s, e) {
		x, y := float64(totals[i]), float64(counts[i])
		if d.total != x || d.count != y || d.totalError != s || d.countError != e {
			t.Errorf("row %d is of %g +- %g by %g +- %g", i, d.total, d.totalError, d.count, d.countError)
		}
		if y == 0 && d.raw != nil || y != 0 && (d.raw == nil || !near(*d.raw, x/y)) {
			t.Errorf("%g by %g: value_raw %v", x, y, d.raw)
		}
		if y < 1.959963984540054*e { // the count could be 0
			if d.value != nil || d.stdErr != nil || d.low != 0 || d.high != 40 || d.status != "low_confidence" {
				t.Errorf("%g by %g: %+v, want that nothing is known", x, y, d)
			}
			continue
		}
		low, high := fieller(x, y, s, e)
		low, high = min(40, max(0, low)), min(40, max(0, high))
		value, stdErr := min(40, max(0, x/y)), math.Sqrt(s*s+x/y*x/y*e*e)/y
		status := "ok"
		if high-low > value {
			status = "low_confidence"
		}
		if d.value == nil || !near(*d.value, value) || !near(*d.stdErr, stdErr) || !near(d.low, low) || !near(d.high, high) || d.status != status {
			t.Errorf("%g by %g: %+v, want %g +- %g in %g to %g, %s", x, y, d, value, stdErr, low, high, status)
		}
	}
}

// Of intervals of 95 % that many hold the true quotient, also where the count is
// hardly larger than its noise. Of 5000 intervals fewer than 4657, six and a half
// standard deviations below 4750, hold it by chance less than once in 10^9 runs, and
// as few again above; the draws are the same in every run.
func TestMeansCover(t *testing.T) {
	const draws, truth, s, e = 5000, 8, 300, 30
	random := rand.New(rand.NewPCG(20, 20))
	for _, counts := range []float64{20, 60, 100, 200, 1000, 30_000} {
		var x, y []int64
		for range draws {
			x = append(x, int64(math.Round(truth*counts+s*random.NormFloat64())))
			y = append(y, int64(math.Round(counts+e*random.NormFloat64())))
		}
		inside, known := 0, 0
		for _, d := range divide(t, x, y, s, e) {
			if d.low <= truth && truth <= d.high {
				inside++
			}
			if d.value != nil {
				known++
			}
		}
		t.Logf("a count of %g +- %d: %.1f %% of %d intervals hold the quotient, of %.0f %% something is known", counts, e, 100*float64(inside)/draws, draws, 100*float64(known)/draws)
		if inside < 4657 || counts >= 200 && inside > 4843 {
			t.Errorf("a count of %g +- %d: %d of %d intervals hold the quotient, want about 4750", counts, e, inside, draws)
		}
		if counts >= 200 && known < draws-5 || counts == 20 && known > draws/2 {
			t.Errorf("a count of %g +- %d: of %d of %d something is known", counts, e, known, draws)
		}
	}
}
