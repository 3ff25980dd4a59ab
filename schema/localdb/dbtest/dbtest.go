// Package dbtest gives tests a real ClickHouse. A server costs about 150 ms, so
// each test has its own and no test sees another's rows.
//
// The tests' TestMain must call localdb.RunEngineIfChild first; Main does that.
package dbtest

import (
	"context"
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/schema/localdb"
)

// Main is a TestMain: func TestMain(m *testing.M) { dbtest.Main(m) }.
func Main(m *testing.M) {
	localdb.RunEngineIfChild()
	os.Exit(m.Run())
}

// Start starts a server that stops with the test. A missing engine fails the
// test: what needs a database is not tested without one.
func Start(t testing.TB, users ...localdb.User) *localdb.Server {
	t.Helper()
	s, err := localdb.Start(context.Background(), localdb.Config{Dir: t.TempDir(), Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Connect opens a connection that closes with the test.
func Connect(t testing.TB, s *localdb.Server, user string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(s.Options(user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
