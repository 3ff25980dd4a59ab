package aggregator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
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

// The files of means are their views as well: their rows, columns and types, NULLs
// included.
func TestMeanFilesAreTheViews(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	conn := dbtest.Connect(t, s, migrations.Aggregator)
	rawtest.Insert(t, s, rawtest.Random(rand.New(rand.NewPCG(3, 3)), week, 200)...)
	if _, err := Publish(ctx, conn, testConfig(), week.Previous(), week); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Site(ctx, dbtest.Connect(t, s, migrations.Analyst), testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	reader := dbtest.Connect(t, s, localdb.Administrator)
	unknown := 0
	for _, m := range metrics.Means() {
		columns := lines(t, reader, "SELECT name || ' ' || type FROM system.columns WHERE database = 'published' AND table = '"+m.Name+"' ORDER BY position")
		var asText []string
		for i, c := range columns {
			name, _, _ := strings.Cut(c, " ")
			asText = append(asText, "ifNull(toString("+name+"), 'none')")
			switch name {
			case "period":
				columns[i] = "period Date32"
			case "status":
				columns[i] = "status String"
			}
			columns[i] = strings.Replace(columns[i], "LowCardinality(String)", "String", 1)
		}
		file := filepath.Join(dir, "data", "2026", m.Name)
		if got := described(t, reader, "file('"+file+".parquet', Parquet)"); !slices.Equal(got, columns) {
			t.Errorf("%s: the columns are %v, want %v", m.Name, got, columns)
		}
		const everything = "SELECT arrayStringConcat([%s], '|') FROM %s ORDER BY 1"
		want := lines(t, reader, fmt.Sprintf(everything, strings.Join(asText, ", "), "published."+m.Name))
		if got := lines(t, reader, fmt.Sprintf(everything, strings.Join(asText, ", "), "file('"+file+".parquet', Parquet)")); len(want) != 2*m.Total.Cells() || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows in the Parquet file, %d in the view of %d, or they differ", m.Name, len(got), len(want), 2*m.Total.Cells())
		}
		asText[0] = "period"
		want = lines(t, reader, fmt.Sprintf(strings.Replace(everything, "SELECT", "WITH formatDateTime(period, '%%G-W%%V') AS week SELECT", 1), strings.Replace(strings.Join(asText, ", "), "period", "week", 1), "published."+m.Name))
		types := "period String, " + strings.Join(columns[1:], ", ")
		if got := lines(t, reader, fmt.Sprintf(everything, strings.Join(asText, ", "), "file('"+file+".csv', CSVWithNames, '"+types+"')")); !slices.Equal(got, want) {
			t.Errorf("%s: %d rows in the CSV file, %d in the view, or they differ", m.Name, len(got), len(want))
		}
		for _, line := range want {
			unknown += strings.Count(line, "|none")
		}
	}
	if unknown == 0 {
		t.Error("in a small fleet every mean is known: the test has not seen one that is not")
	}
}

// The quantiles of all years are downloads too: a reader finds in each format what the
// table holds, and the guide's question for files has its answer.
func TestQuantileFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := migrationtest.Start(t)
	reader := dbtest.Connect(t, s, localdb.Administrator)
	for _, statement := range []string{
		`INSERT INTO published.statistics (period, metric, cell, key, scale) SELECT toDate('2026-02-02') - 7 * number, 'print_time', 0, ['60'], 1000 FROM numbers(10)`,
		`INSERT INTO published.releases (period, metric, status, definition_hash) SELECT toDate('2026-02-02') - 7 * number, 'print_time', 'released', 'one' FROM numbers(10)`,
		`INSERT INTO published.quantiles (period, metric, quantile, value, ci95_lo, ci95_hi, status)
			SELECT toDate('2026-02-02') - 7 * intDiv(number, 5), 'print_time', [0.1, 0.25, 0.5, 0.75, 0.9][number % 5 + 1] AS q, q * 7200 + 1 / 3, q * 7000, q * 7400,
				if(number = 7, 'low_confidence', 'ok') FROM numbers(50)`,
		// Not released: in no file.
		`INSERT INTO published.quantiles (period, metric, quantile, value) VALUES ('2026-02-09', 'print_time', 0.5, 1)`,
	} {
		if err := reader.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := Site(ctx, dbtest.Connect(t, s, migrations.Analyst), testConfig(), who, dir); err != nil {
		t.Fatal(err)
	}
	const columns = "metric, quantile, value, ci95_lo, ci95_hi, toString(status)"
	const everything = "SELECT arrayStringConcat(arrayMap(x -> toString(x), [toString(%s), %s]), '|') FROM %s ORDER BY 1"
	text := strings.ReplaceAll(strings.Replace(columns, "metric, ", "toString(metric), ", 1), "quantile, value, ci95_lo, ci95_hi", "toString(quantile), toString(value), toString(ci95_lo), toString(ci95_hi)")
	of := func(period, from string) []string {
		return lines(t, reader, fmt.Sprintf(everything, period, text, from))
	}
	week := "formatDateTime(period, '%G-W%V')" // the name of the ISO week
	want := of(week, "published.quantiles WHERE period < '2026-02-09'")
	if len(want) != 50 {
		t.Fatalf("the table has %d rows", len(want))
	}
	glob := func(format string) string { return filepath.Join(dir, "data", "*", "quantiles."+format) }
	for format, got := range map[string][]string{
		"parquet": of(week, fmt.Sprintf("file('%s', Parquet)", glob("parquet"))),
		"csv":     of("period", fmt.Sprintf("file('%s', CSVWithNames)", glob("csv"))),
		"json": of("period", fmt.Sprintf(`(SELECT r.period AS period, r.metric AS metric, r.quantile AS quantile, r.value AS value, r.ci95_lo AS ci95_lo, r.ci95_hi AS ci95_hi, r.status AS status
			FROM file('%s', JSONEachRow, 'rows Array(Tuple(period String, metric String, quantile Float64, value Float64, ci95_lo Float64, ci95_hi Float64, status String))') ARRAY JOIN rows AS r)`, glob("json"))),
	} {
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want the %d of the table; the first are %q and %q", format, len(got), len(want), got[:min(1, len(got))], want[0])
		}
	}
	if got, want := described(t, reader, fmt.Sprintf("file('%s', Parquet)", glob("parquet"))),
		[]string{"period Date32", "metric String", "quantile Float64", "value Float64", "ci95_lo Float64", "ci95_hi Float64", "status String"}; !slices.Equal(got, want) {
		t.Errorf("the columns are %v, want %v", got, want)
	}
	for year, want := range map[int]int{2025: 4 * 5, 2026: 6 * 5} { // the first of them begins on the 29th of December
		n := len(lines(t, reader, fmt.Sprintf("SELECT metric FROM file('%s', CSVWithNames)", filepath.Join(dir, "data", fmt.Sprint(year), "quantiles.csv"))))
		if n != want {
			t.Errorf("the file of %d has %d rows, want %d", year, n, want)
		}
	}
	answers := 0
	for _, query := range questionsOfFiles(t, dir) {
		answers += len(lines(t, reader, "SELECT toString(tuple(*)) FROM ("+query+")"))
	}
	if answers < 9 { // of ten weeks, one of which noise drowns
		t.Errorf("the guide's questions of files have %d answers", answers)
	}
}

// questionsOfFiles returns the queries that the guide asks of downloaded files, of
// those in dir.
func questionsOfFiles(t *testing.T, dir string) []string {
	t.Helper()
	guide, err := os.ReadFile("../docs/analyst.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, found := range regexp.MustCompile(`(?s)clickhouse local -q "(.*?)"\n`).FindAllStringSubmatch(string(guide), -1) {
		query := regexp.MustCompile(`'(data/[^']*\.parquet)'`).ReplaceAllString(found[1], "file('"+dir+"/$1', Parquet)")
		if strings.Contains(query, "quantiles.parquet") {
			list = append(list, query)
		}
	}
	if len(list) == 0 {
		t.Fatal("the guide asks nothing of the files of quantiles")
	}
	return list
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
