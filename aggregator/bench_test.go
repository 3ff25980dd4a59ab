package aggregator

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// envRows says how many rows BenchmarkPublish works on.
const envRows = "AGGREGATOR_BENCH_ROWS"

// BenchmarkPublish releases all metrics of a week, ten rows a unit, two extruders
// a row. The engine makes the rows up: their values do not matter, their shape does.
//
//	AGGREGATOR_BENCH_ROWS=10000000 go test ./aggregator -run '^$' -bench Publish -benchtime 1x
func BenchmarkPublish(b *testing.B) {
	rows := 100_000
	if n, err := strconv.Atoi(os.Getenv(envRows)); err == nil {
		rows = n
	}
	ctx := context.Background()
	for range b.N {
		b.StopTimer()
		s := migrationtest.Start(b)
		fill(b, s, rows)
		conn := dbtest.Connect(b, s, migrations.Aggregator)
		b.StartTimer()
		if _, err := Publish(ctx, conn, testConfig(), week); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
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
