package aggregator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/rawtest"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// A reader that we did not write reads the same columns and rows from each Parquet
// file as from the metric's view, and the same sums from the CSV.
func TestParquetIsTheView(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(2, 2)), week, 200)...)
	if _, err := Publish(ctx, conn, testConfig(), week.Previous(), week); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Site(ctx, conn, testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	reader := dbtest.Connect(t, s, localdb.Administrator)
	for _, m := range metrics.All() {
		file := fmt.Sprintf("file('%s', Parquet)", filepath.Join(dir, "data", "2026", m.Name+".parquet"))
		view := "published." + m.Name
		columns := lines(t, reader, "SELECT name || ' ' || type FROM system.columns WHERE database = 'published' AND table = '"+m.Name+"' ORDER BY position")
		for i, c := range columns {
			c = strings.Replace(c, "LowCardinality(String)", "String", 1)
			switch name, _, _ := strings.Cut(c, " "); name {
			case "period":
				c = "period Date32" // how ClickHouse reads Parquet's only date
			case "status":
				c = "status String"
			}
			columns[i] = c
		}
		if got := described(t, reader, file); !slices.Equal(got, columns) {
			t.Errorf("%s: the columns are %v, want %v", m.Name, got, columns)
		}
		const everything = "SELECT arrayStringConcat(arrayMap(x -> toString(x), [%s]), '|') FROM %s ORDER BY 1"
		var list []string
		for _, c := range columns {
			name, _, _ := strings.Cut(c, " ")
			list = append(list, "ifNull(toString("+name+"), 'none')")
		}
		got := lines(t, reader, fmt.Sprintf(everything, strings.Join(list, ", "), file))
		want := lines(t, reader, fmt.Sprintf(everything, strings.Join(list, ", "), view))
		if len(got) != 2*m.Cells() || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows in the file, %d in the view, or they differ", m.Name, len(got), len(want))
		}
		const sums = "SELECT concat(toString(count()), ' rows, ', toString(round(sum(%[1]s), 3)), ' ', toString(round(sum(%[2]s), 3))) FROM %[3]s"
		text := fmt.Sprintf("file('%s', CSVWithNames)", filepath.Join(dir, "data", "2026", m.Name+".csv"))
		inText := lines(t, reader, fmt.Sprintf(sums, "value_raw / scale", "value / scale", text))
		if inView := lines(t, reader, fmt.Sprintf(sums, "value_raw", "value", view)); !slices.Equal(inText, inView) {
			t.Errorf("%s: %v in the CSV file, %v in the view", m.Name, inText, inView)
		}
	}
}

// described returns what a reader makes of the columns of a file.
func described(t *testing.T, conn Conn, file string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT * FROM "+file+" LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for _, c := range rows.ColumnTypes() {
		list = append(list, c.Name()+" "+c.DatabaseTypeName())
	}
	return list
}

// lines runs a query of one column of text.
func lines(t *testing.T, conn Conn, query string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		list = append(list, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return list
}
