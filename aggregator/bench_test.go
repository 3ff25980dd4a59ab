package aggregator

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// envRows says how many rows BenchmarkPublish works on.
const envRows = "AGGREGATOR_BENCH_ROWS"

// BenchmarkPublish releases all metrics of a week, ten rows a unit, two extruders
// a row, and computes the same GROUP BYs without any privacy beside them. The
// engine makes the rows up: their values do not matter, their shape does. peak-MB
// is the memory of this process, in which the engine is not.
//
//	AGGREGATOR_BENCH_ROWS=10000000 go test ./aggregator -run '^$' -bench Publish -benchtime 1x
func BenchmarkPublish(b *testing.B) {
	rows, ctx := benchRows(), context.Background()
	var plain time.Duration
	for range b.N {
		b.StopTimer()
		s := migrationtest.Start(b)
		fill(b, s, rows)
		conn := dbtest.Connect(b, s, migrations.Aggregator)
		groupAll(b, conn) // warm for both
		start := time.Now()
		groupAll(b, conn)
		plain += time.Since(start)
		b.StartTimer()
		if _, err := Publish(ctx, conn, testConfig(), week); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(plain.Seconds()/float64(b.N), "plain-s")
	b.ReportMetric(b.Elapsed().Seconds()/plain.Seconds(), "x-plain")
	b.ReportMetric(peakMB(b), "peak-MB")
}

// BenchmarkCount releases one metric, the count that bench/peer/beam takes.
func BenchmarkCount(b *testing.B) {
	rows, ctx := benchRows(), context.Background()
	s := migrationtest.Start(b)
	fill(b, s, rows)
	conn := dbtest.Connect(b, s, migrations.Aggregator)
	split, err := testConfig().plan()
	if err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(split.Designs, func(d release.Design) bool { return d.Metric.Name == "slices_by_machine" })
	for b.Loop() {
		b.StopTimer()
		cleanUp(b, s) // a metric is released once
		b.StartTimer()
		r := &publisher{conn: conn, config: testConfig(), plan: split, ledger: ledger.New(conn, rand.Text(), now)}
		if result, err := onlyResult(r.release(ctx, week, split.Designs[i:i+1], nil)); err != nil || result != Released {
			b.Fatal(result, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchRows() int {
	if n, err := strconv.Atoi(os.Getenv(envRows)); err == nil {
		return n
	}
	return 100_000
}

// groupAll computes every metric as somebody would who keeps nobody's secret.
func groupAll(b *testing.B, conn Conn) {
	b.Helper()
	for _, m := range metrics.All() {
		rows, err := conn.Query(context.Background(), plainQuery(m))
		if err != nil {
			b.Fatalf("%s: %v", m.Name, err)
		}
		for rows.Next() {
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
		rows.Close()
	}
}

func plainQuery(m *metrics.Metric) string {
	column := func(name string) string {
		if f := slices.Index([]string{"material_type", "material_brand", "used_mg", "used_mm", "nozzle_um"}, name); f >= 0 {
			return "`extruders." + name + "`"
		}
		return name
	}
	var keys []string
	for _, k := range m.Keys {
		keys = append(keys, column(k.Column))
	}
	what := map[metrics.Statistic]string{metrics.Installations: "uniqExact(unit)", metrics.Sum: "sum(" + column(m.Value) + ")"}[m.Statistic]
	if what == "" {
		what = "count()"
	}
	from := map[metrics.Source]string{
		metrics.Slices: "raw.slices FINAL", metrics.Counters: "raw.counters FINAL",
		metrics.Extruders: "raw.slices FINAL ARRAY JOIN extruders", metrics.ChangedSettings: "raw.slices FINAL ARRAY JOIN changed_settings",
	}[m.Source]
	query := fmt.Sprintf("SELECT %s FROM %s WHERE period = toDate('%s')", strings.Join(append(slices.Clone(keys), what), ", "), from, week.Start().Format(time.DateOnly))
	if len(keys) > 0 {
		query += " GROUP BY " + strings.Join(keys, ", ")
	}
	return query
}

// peakMB is the most memory that this process has had.
func peakMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}

// fill stores that many rows of the week.
func fill(b *testing.B, s *localdb.Server, rows int) {
	b.Helper()
	conn := dbtest.Connect(b, s, localdb.Administrator)
	monday := week.Start().Format(time.DateOnly)
	statements := []string{
		fmt.Sprintf(`INSERT INTO raw.slices (period, unit, batch, idx, machine, machine_settings_changed, extruder_count,
			extruders.material_type, extruders.material_brand, extruders.used_mg, extruders.used_mm, extruders.nozzle_um,
			layer_height_um, wall_count, infill_density_percent, infill_pattern, gradual_infill_steps, support, adhesion,
			prime_tower, retraction, print_sequence, nozzle_temperature_celsius, bed_temperature_celsius, speed_mm_per_s,
			intent, quality, mode, changed_settings, changed_settings_count, application, version_major, version_minor,
			operating_system, language, output, model_count, print_time_s, slicing_time_ms)
			SELECT toDate('%s'), sipHash64(intDiv(number, 10)), 1, number %% 10,
			['ultimaker_s5', 'creality_ender3', 'custom', 'ultimaker3'][1 + sipHash64(number) %% 4], 1 + number %% 2, 2,
			['PLA', 'PETG'], ['Generic', 'eSUN'], [1000 + number %% 50000, 200], [3000, 700], [400, 600],
			100 + 20 * (number %% 10), 3, 5 * (number %% 20), 1 + number %% 17, 0, 1 + number %% 2, 1 + number %% 5,
			1, 2, 1, 200, 60, 10 * (1 + number %% 50),
			'default', 'normal', 2, ['infill_pattern', 'adhesion_type', 'speed_print'], 4, 'cura', 5, number %% 10,
			2, 'en', 3, 1, 600 + number %% 9000, 900 + number %% 20000
			FROM numbers(%d)`, monday, rows),
		fmt.Sprintf(`INSERT INTO raw.counters SELECT toDate('%s'), sipHash64(number), 1, 20, 18, 1, 1 FROM numbers(%d)`, monday, rows/10),
	}
	for _, statement := range statements {
		if err := conn.Exec(context.Background(), statement); err != nil {
			b.Fatal(err)
		}
	}
}
