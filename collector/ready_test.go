package collector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

// becomes waits until the collector says something of its readiness.
func (r *running) becomes(t *testing.T, want string) {
	t.Helper()
	var said string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if said = r.get(t, "/readyz"); strings.Contains(said, want) {
			return
		}
	}
	t.Errorf("readyz says %q, want %q", said, want)
}

// Ready means that an insert would be taken: where a table or a column is away it is
// not, and comes back with it. Asking stores nothing.
func TestReady(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, nil)
	admin := dbtest.Connect(t, r.db, localdb.Administrator)
	do := func(statement string) {
		t.Helper()
		if err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	r.becomes(t, "ready\n")
	for _, table := range []string{"slices", "counters", "erasures"} {
		do("RENAME TABLE raw." + table + " TO raw.away")
		r.becomes(t, "ClickHouse error 60") // UNKNOWN_TABLE
		do("RENAME TABLE raw.away TO raw." + table)
		r.becomes(t, "ready\n")
	}
	do("ALTER TABLE raw.slices RENAME COLUMN language TO tongue")
	r.becomes(t, "ClickHouse error 16") // NO_SUCH_COLUMN_IN_TABLE
	do("ALTER TABLE raw.slices RENAME COLUMN tongue TO language")
	r.becomes(t, "ready\n")
	if err := r.db.Kill(); err != nil {
		t.Fatal(err)
	}
	r.becomes(t, "the database takes no rows")
	if err := r.db.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.becomes(t, "ready\n")
	var parts uint64
	if err := dbtest.Connect(t, r.db, localdb.Administrator).QueryRow(t.Context(), "SELECT count() FROM system.parts WHERE database = 'raw'").Scan(&parts); err != nil || parts != 0 {
		t.Errorf("asking left %d parts, %v", parts, err)
	}
	// And the insert that was rehearsed works.
	client := r.client(t)
	if _, err := client.Upload(t.Context(), request(3)); err != nil || r.rows(t) != 3 {
		t.Errorf("ready, and an upload ends with %v", err)
	}
	// An insert may fail all the same, of which a balancer hears, for a while.
	do("ALTER TABLE raw.slices ADD CONSTRAINT none CHECK 0")
	if _, err := client.Upload(t.Context(), request(1)); err == nil {
		t.Error("rows that the table refuses are acknowledged")
	}
	r.becomes(t, "the last insert failed")
	do("ALTER TABLE raw.slices DROP CONSTRAINT none")
	r.becomes(t, "ready\n")
}

// As a user who may not insert it is not ready. (A wrong password is told by
// bench/fault: the embedded engine does not outlive a greeting that fails.)
func TestNotReadyWithoutGrants(t *testing.T) {
	t.Parallel() // it waits most of the time
	db := migrationtest.Start(t)
	r := start(t, func(cfg *collector.Config) {
		cfg.Database = collector.Database{Address: db.Addr(), User: migrations.Analyst, Password: db.Password(migrations.Analyst)}
	})
	r.becomes(t, "ClickHouse error 497") // ACCESS_DENIED
}
