// Package migrationtest gives tests a real ClickHouse with every table and user.
package migrationtest

import (
	"context"
	"testing"

	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

// Start starts a server with the whole schema, which stops with the test. The
// tests' TestMain must be dbtest.Main, or call localdb.RunEngineIfChild.
func Start(t testing.TB) *localdb.Server {
	t.Helper()
	s := dbtest.Start(t, migrations.Users()...)
	conn := dbtest.Connect(t, s, localdb.Administrator)
	if _, err := migrations.Apply(context.Background(), conn); err != nil {
		t.Fatal(err)
	}
	return s
}
