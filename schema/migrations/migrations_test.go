package migrations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestApplyIsIdempotent(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t), localdb.Administrator)
	steps, err := migrations.Steps()
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.Apply(t.Context(), conn)
	if err != nil || len(first) != len(steps) {
		t.Fatalf("applied %v, %v, want %d steps", first, err, len(steps))
	}
	second, err := migrations.Apply(t.Context(), conn)
	if err != nil || len(second) != 0 {
		t.Errorf("applied %v again, %v", second, err)
	}
}

// A crash between a step's statements and its note is repaired by applying again.
func TestApplyAfterACrash(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t), localdb.Administrator)
	if _, err := migrations.Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "TRUNCATE TABLE admin.migrations"); err != nil {
		t.Fatal(err)
	}
	steps, _ := migrations.Steps()
	if again, err := migrations.Apply(t.Context(), conn); err != nil || len(again) != len(steps) {
		t.Errorf("applied %v, %v, want all %d steps", again, err, len(steps))
	}
}

func TestApplyRefusesAChangedStep(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t), localdb.Administrator)
	if _, err := migrations.Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "INSERT INTO admin.migrations VALUES ('0001_raw', 'another hash')"); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Apply(t.Context(), conn); !errors.Is(err, migrations.ErrChanged) || !strings.Contains(err.Error(), "0001_raw") {
		t.Errorf("Apply() = %v, want ErrChanged that names 0001_raw", err)
	}
}

// Each field of the protocol is a column of its name, in its order, and its
// enumeration has its names and numbers; there is no other column but the key's.
func TestRawColumnsAreTheProtocol(t *testing.T) {
	conn := dbtest.Connect(t, migrationtest.Start(t), localdb.Administrator)
	for table, want := range map[string][]string{
		"slices":   append([]string{"period Date", "unit UInt64", "batch UInt64", "idx UInt16"}, columns("Slice")...),
		"counters": append([]string{"period Date", "unit UInt64", "batch UInt64"}, columns("UsageCounters")...),
	} {
		rows, err := conn.Query(t.Context(), "SELECT name, type FROM system.columns WHERE database = 'raw' AND table = $1 ORDER BY position", table)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for rows.Next() {
			var name, kind string
			if err := rows.Scan(&name, &kind); err != nil {
				t.Fatal(err)
			}
			got = append(got, name+" "+kind)
		}
		rows.Close()
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("raw.%s is\n%s\n\nwant\n%s", table, g, w)
		}
	}
}

// columns derives the columns of a message from its rules.
func columns(message string) []string {
	var list []string
	for _, f := range rules.Fields() {
		if f.Message == message {
			list = append(list, f.Path+" "+columnType(f))
		}
	}
	return list
}

func columnType(f rules.Field) string {
	kind := "LowCardinality(String)"
	switch {
	case f.IsEnum():
		var values []string
		for i, name := range append([]string{"unspecified"}, f.Names()...) {
			values = append(values, fmt.Sprintf("'%s' = %d", name, i))
		}
		kind = "Enum8(" + strings.Join(values, ", ") + ")"
	case f.Names() == nil:
		kind = unsigned(f.Numbers())
		if f.HasPresence() {
			kind = "Nullable(" + kind + ")"
		}
	}
	if f.Repeated() {
		kind = "Array(" + kind + ")"
	}
	return kind
}

// unsigned is the smallest type that holds the numbers.
func unsigned(numbers []uint32) string {
	switch last := numbers[len(numbers)-1]; {
	case last < 1<<8:
		return "UInt8"
	case last < 1<<16:
		return "UInt16"
	}
	return "UInt32"
}

// No raw column can hold a time of day or free octets, and what is committed is on the
// disk.
func TestTablesKeepNoTimeAndAreDurable(t *testing.T) {
	conn := dbtest.Connect(t, migrationtest.Start(t), localdb.Administrator)
	var fine uint64
	if err := conn.QueryRow(t.Context(), `SELECT count() FROM system.columns WHERE database = 'raw'
		AND (type LIKE '%DateTime%' OR type LIKE '%UUID%' OR type = 'String' OR type LIKE '%FixedString%')`).Scan(&fine); err != nil || fine != 0 {
		t.Errorf("%d columns hold a time or free octets, %v", fine, err)
	}
	// But for origins, which may be lost, and yet must not keep ClickHouse from starting.
	rows, err := conn.Query(t.Context(), `SELECT database || '.' || name, create_table_query FROM system.tables
		WHERE database IN ('raw', 'ledger', 'published') AND engine LIKE '%MergeTree'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tables := 0
	for ; rows.Next(); tables++ {
		var table, query string
		if err := rows.Scan(&table, &query); err != nil {
			t.Fatal(err)
		}
		settings := []string{"fsync_after_insert = 1", "fsync_part_directory = 1", "min_compressed_bytes_to_fsync_after_merge = 1", "min_compressed_bytes_to_fsync_after_fetch = 1"}
		if table == "raw.origins" {
			settings = []string{"max_suspicious_broken_parts = 1000000"}
		}
		for _, setting := range settings {
			if !strings.Contains(query, setting) {
				t.Errorf("%s is made without %s", table, setting)
			}
		}
	}
	if err := rows.Err(); err != nil || tables != 10 {
		t.Errorf("%d tables, %v, want 10", tables, err)
	}
}

func TestGrants(t *testing.T) {
	s := migrationtest.Start(t)
	const someSlice = "INSERT INTO raw.counters VALUES ('2026-11-16', 1, 2, 3, 4, 5, 6)"
	tests := []struct {
		user, query string
		allowed     bool
	}{
		{migrations.Collector, someSlice, true},
		{migrations.Collector, "SELECT * FROM raw.counters", false},
		{migrations.Collector, "ALTER TABLE raw.counters DROP PARTITION '2026-11-16'", false},
		{migrations.Aggregator, "SELECT * FROM raw.counters FINAL", true},
		{migrations.Aggregator, someSlice, false},
		{migrations.Aggregator, "ALTER TABLE raw.counters DROP PARTITION '2026-11-16'", true},
		{migrations.Aggregator, "DROP TABLE raw.counters", false},
		{migrations.Aggregator, "SELECT modification_time FROM system.parts", false}, // when rows came
		{migrations.Analyst, "SELECT * FROM raw.counters", false},
		{migrations.Analyst, "SELECT * FROM raw.origins", false},
		{migrations.Migrator, "CREATE TABLE raw.more (n UInt8) ENGINE = MergeTree ORDER BY n", true},
		{migrations.Migrator, "SELECT * FROM raw.slices", false},
	}
	for _, tt := range tests {
		err := dbtest.Connect(t, s, tt.user).Exec(t.Context(), tt.query)
		if denied := err != nil && strings.Contains(err.Error(), "Not enough privileges"); denied == tt.allowed {
			t.Errorf("%s: %s: %v, want allowed %t", tt.user, tt.query, err, tt.allowed)
		}
	}
}

// The migrator can apply the whole schema with what it is granted.
func TestMigratorCanApply(t *testing.T) {
	s := dbtest.Start(t, migrations.Users()...)
	if _, err := migrations.Apply(t.Context(), dbtest.Connect(t, s, migrations.Migrator)); err != nil {
		t.Error(err)
	}
}

// A real server understands the statements by which it makes the roles.
func TestRoleStatementsParse(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t), localdb.Administrator)
	for _, statement := range migrations.RoleStatements() {
		rows, err := conn.Query(t.Context(), "EXPLAIN AST "+statement)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
			continue
		}
		rows.Close()
	}
}
