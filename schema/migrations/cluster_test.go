package migrations

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
)

// Every statement has a form for a cluster: it says so, a real parser understands
// it, and of tables nothing is left that is for one server. That a cluster does what
// they say is not tested: the embedded engine can be no replica.
func TestOnCluster(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t), localdb.Administrator)
	steps, err := Steps()
	if err != nil {
		t.Fatal(err)
	}
	list := append([]string{}, bookkeeping...)
	for _, step := range steps {
		list = append(list, step.Statements...)
	}
	tables, paths := 0, map[string]bool{}
	for _, statement := range list {
		got, err := onCluster(statement, "my_cluster")
		if err != nil {
			t.Error(err)
			continue
		}
		rows, err := conn.Query(t.Context(), "EXPLAIN AST "+withoutComments(got))
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		rows.Close()
		if strings.Count(got, " ON CLUSTER 'my_cluster'") != 1 {
			t.Errorf("it does not say where once: %s", got)
		}
		if !strings.Contains(statement, "CREATE TABLE") {
			continue
		}
		tables++
		path := regexp.MustCompile(`ENGINE = Replicated(?:Replacing|Summing)?MergeTree\('(/clickhouse/tables/slicemetry/[a-z]+/[a-z]+)', '\{replica\}'\)`).FindStringSubmatch(got)
		if path == nil || paths[path[1]] {
			t.Errorf("not replicated, or to the place of another table: %s", got)
			continue
		}
		paths[path[1]] = true
		if strings.Contains(got, "non_replicated") || strings.Contains(statement, "non_replicated") != strings.Contains(got, "replicated_deduplication_window_seconds = 31622400") {
			t.Errorf("the memory of tokens is that of one server: %s", got)
		}
		// Without what the cluster adds it is the statement for one server.
		back := strings.NewReplacer(" ON CLUSTER 'my_cluster'", "", "Replicated", "", "('"+path[1]+"', '{replica}')", "",
			"replicated_deduplication_window", "non_replicated_deduplication_window", ", replicated_deduplication_window_seconds = 31622400", "").Replace(got)
		if back != statement {
			t.Errorf("more was changed: %s", got)
		}
	}
	if tables != 11 {
		t.Errorf("%d tables, want 11", tables)
	}
	// A reservation is decided by its token, and by all replicas.
	ledger, err := onCluster(steps[2].Statements[1], "c")
	if err != nil || !strings.Contains(ledger, "ledger.reservations ON CLUSTER 'c'") || !strings.Contains(ledger, "ReplicatedMergeTree('/clickhouse/tables/slicemetry/ledger/reservations'") ||
		!strings.Contains(ledger, " replicated_deduplication_window = 1000000, replicated_deduplication_window_seconds = 31622400") {
		t.Errorf("the ledger on a cluster: %v\n%s", err, ledger)
	}
}

// What has no form for a cluster is refused, and so are names that are none.
func TestOnClusterRefuses(t *testing.T) {
	for _, statement := range []string{
		"INSERT INTO raw.slices VALUES (1)",
		"RENAME TABLE a.b TO a.c",
		"CREATE TABLE IF NOT EXISTS a.b (n UInt8) ENGINE = Log",
		"CREATE TABLE a.b (n UInt8) ENGINE = MergeTree ORDER BY n",
	} {
		if got, err := onCluster(statement, "c"); err == nil {
			t.Errorf("%s became %s", statement, got)
		}
	}
	for _, name := range []string{"", "a'b", "a b", "{cluster}", strings.Repeat("a", 65)} {
		if _, err := ApplyOnCluster(context.Background(), nil, name); err == nil {
			t.Errorf("%q is a cluster", name)
		}
	}
}

// A schema for one server does not become half of a cluster's.
func TestKindsAreNotMixed(t *testing.T) {
	conn := dbtest.Connect(t, dbtest.Start(t, Users()...), Migrator)
	if _, err := Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if _, err := ApplyOnCluster(t.Context(), conn, "c"); !errors.Is(err, ErrOtherKind) {
		t.Errorf("got %v, want ErrOtherKind", err)
	}
}
