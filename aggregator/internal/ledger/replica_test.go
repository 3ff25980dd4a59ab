package ledger

import (
	"context"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// asking is a connection that asks the server, before each operation, which of the
// settings that matter with replicas come with it.
type asking struct {
	driver.Conn
	t              *testing.T
	reads, inserts []string
}

func (a *asking) settings(ctx context.Context) (text string) {
	a.t.Helper()
	const question = `SELECT concat('sequential ', toString(getSetting('select_sequential_consistency')), ', quorum ', toString(getSetting('insert_quorum')),
		', parallel ', toString(getSetting('insert_quorum_parallel')), ', token ', toString(getSetting('insert_deduplication_token')))`
	if err := a.QueryRow(ctx, question).Scan(&text); err != nil {
		a.t.Fatal(err)
	}
	return text
}

func (a *asking) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	a.reads = append(a.reads, a.settings(ctx))
	return a.Conn.Query(ctx, query, args...)
}

func (a *asking) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error) {
	a.inserts = append(a.inserts, a.settings(ctx))
	return a.Conn.PrepareBatch(ctx, query, opts...)
}

// With replicas a reservation or a draw is only decided if a majority has it, one insert after
// the other, and if what is read back is all of it. The server says that it is asked
// for that with each of them, with a drop and every reading; a table without replicas ignores
// it, so that no more can be seen here.
func TestReplicasDecideTogether(t *testing.T) {
	conn := &asking{Conn: dbtest.Connect(t, migrationtest.Start(t), migrations.Aggregator), t: t}
	l := New(conn, "run", now)
	ctx := context.Background()
	g, err := reserve(ctx, l, charge("slices", 0.1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Draw(ctx, g); err != nil {
		t.Fatal(err)
	}
	if err := l.NoteDrop(ctx, charge("slices", 0.1).Period); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Dropped(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := l.All(ctx); err != nil {
		t.Fatal(err)
	}
	if len(conn.inserts) != 3 || len(conn.reads) < 5 {
		t.Fatalf("%d inserts and %d readings were seen", len(conn.inserts), len(conn.reads))
	}
	token := "slices|" + charge("slices", 0.1).Period.String()
	entry := "sequential 0, quorum auto, parallel false, token " + token
	for i, want := range []string{entry, entry, "sequential 0, quorum auto, parallel false, token "} {
		if conn.inserts[i] != want {
			t.Errorf("insert %d: %s, want %s", i, conn.inserts[i], want)
		}
	}
	for i, got := range conn.reads {
		if got != "sequential 1, quorum 0, parallel true, token " {
			t.Errorf("reading %d: %s, want sequential", i, got)
		}
	}
}
