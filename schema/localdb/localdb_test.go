package localdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/schema/localdb"
)

// parentVariable makes this binary a process that starts a server in the
// directory given, says its engine's pid, and waits to be killed.
const parentVariable = "SLICEMETRY_TEST_PARENT"

func TestMain(m *testing.M) {
	localdb.RunEngineIfChild()
	if dir := os.Getenv(parentVariable); dir != "" {
		s, err := localdb.Start(context.Background(), localdb.Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Pid())
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, cfg localdb.Config) *localdb.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := localdb.Start(t.Context(), cfg)
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

func connect(t *testing.T, s *localdb.Server, user string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(s.Options(user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func exec1(t *testing.T, conn driver.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func count(t *testing.T, conn driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

const durable = " ORDER BY n SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 100"

func TestUsersCanDoWhatTheyAreGranted(t *testing.T) {
	s := start(t, localdb.Config{Users: []localdb.User{
		{Name: "writer", Grants: []string{"INSERT ON raw.*"}},
		{Name: "reader", Grants: []string{"SELECT ON published.*"}},
		{Name: "nobody"},
	}})
	admin := connect(t, s, localdb.Administrator)
	exec1(t, admin, "CREATE DATABASE raw", "CREATE DATABASE published",
		"CREATE TABLE raw.t (n UInt64) ENGINE = MergeTree ORDER BY n", "CREATE TABLE published.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	tests := []struct {
		user, query string
		allowed     bool
	}{
		{"writer", "INSERT INTO raw.t VALUES (1)", true},
		{"writer", "SELECT * FROM raw.t", false},
		{"writer", "INSERT INTO published.t VALUES (1)", false},
		{"reader", "SELECT * FROM published.t", true},
		{"reader", "SELECT * FROM raw.t", false},
		{"reader", "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')", false},
		{"nobody", "SELECT 1", true},
		{"nobody", "SELECT * FROM published.t", false},
		{"nobody", "CREATE DATABASE mine", false},
	}
	for _, tt := range tests {
		err := connect(t, s, tt.user).Exec(t.Context(), tt.query)
		if (err == nil) != tt.allowed {
			t.Errorf("%s: %s: %v, want allowed %t", tt.user, tt.query, err, tt.allowed)
		}
	}
}

// The engine's own user, which has no password, can do nothing for others.
func TestStrangersAreRefused(t *testing.T) {
	s := start(t, localdb.Config{})
	for user, password := range map[string]string{localdb.Administrator: "guess", "unknown": "", "default": ""} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTPAddr(), strings.NewReader("CREATE DATABASE theirs"))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(user, password)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("%s with a wrong password: %s, want an error", user, response.Status)
		}
	}
	if n := count(t, connect(t, s, localdb.Administrator), "SELECT count() FROM system.databases WHERE name = 'theirs'"); n != 0 {
		t.Error("a stranger created a database")
	}
}

// Over the native protocol a wrong password is refused too, and then this
// version of the engine ends (see the package comment): that must be noticed,
// and a restart must mend it.
func TestWrongPasswordOverNative(t *testing.T) {
	s := start(t, localdb.Config{})
	options := s.Options(localdb.Administrator)
	options.Auth.Password = "guess"
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var refused *clickhouse.Exception
	if err := conn.Ping(t.Context()); !errors.As(err, &refused) || refused.Code != 516 {
		t.Fatalf("Ping() = %v, want error 516, authentication failed", err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, connect(t, s, localdb.Administrator), "SELECT toUInt64(1)"); n != 1 {
		t.Errorf("got %d, want 1", n)
	}
}

func TestRestartKeepsDataPortsAndPasswords(t *testing.T) {
	s := start(t, localdb.Config{})
	before, password := s.Addr(), s.Password(localdb.Administrator)
	exec1(t, connect(t, s, localdb.Administrator), "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n", "INSERT INTO t SELECT number FROM numbers(1000)")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != before || s.Password(localdb.Administrator) != password {
		t.Errorf("after the restart the address is %s, was %s", s.Addr(), before)
	}
	if n := count(t, connect(t, s, localdb.Administrator), "SELECT count() FROM t"); n != 1000 {
		t.Errorf("%d rows after the restart, want 1000", n)
	}
}

// What was acknowledged is there after a crash, once, however often it is sent
// again with its token.
func TestKillKeepsAcknowledgedRows(t *testing.T) {
	s := start(t, localdb.Config{})
	exec1(t, connect(t, s, localdb.Administrator), "CREATE TABLE t (n UInt64) ENGINE = MergeTree"+durable)
	for round := range 3 {
		insert := fmt.Sprintf("INSERT INTO t SETTINGS insert_deduplication_token = 'round %d' SELECT number FROM numbers(%d, 100)", round, 100*round)
		exec1(t, connect(t, s, localdb.Administrator), insert)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		exec1(t, connect(t, s, localdb.Administrator), insert)
	}
	conn := connect(t, s, localdb.Administrator)
	if n, distinct := count(t, conn, "SELECT count() FROM t"), count(t, conn, "SELECT uniqExact(n) FROM t"); n != 300 || distinct != 300 {
		t.Errorf("%d rows, %d distinct, want 300 of both", n, distinct)
	}
}

func TestRepetitionsFold(t *testing.T) {
	s := start(t, localdb.Config{})
	conn := connect(t, s, localdb.Administrator)
	exec1(t, conn, "CREATE TABLE t (n UInt64) ENGINE = ReplacingMergeTree ORDER BY n",
		"INSERT INTO t SELECT number FROM numbers(50)", "INSERT INTO t SELECT number FROM numbers(60)")
	if n := count(t, conn, "SELECT count() FROM t FINAL"); n != 60 {
		t.Errorf("%d rows, want 60", n)
	}
}

func TestSeveralSideBySide(t *testing.T) {
	a, b := start(t, localdb.Config{}), start(t, localdb.Config{})
	if a.Addr() == b.Addr() {
		t.Fatalf("two servers at %s", a.Addr())
	}
	exec1(t, connect(t, a, localdb.Administrator), "CREATE DATABASE only_a")
	if n := count(t, connect(t, b, localdb.Administrator), "SELECT count() FROM system.databases WHERE name = 'only_a'"); n != 0 {
		t.Error("one server sees the other's database")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	running := start(t, localdb.Config{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	notAnEngine := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(notAnEngine, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cfg  localdb.Config
		want error
		text string
	}{
		{"directory in use", localdb.Config{Dir: running.Dir()}, localdb.ErrDirInUse, running.Dir()},
		{"port taken", localdb.Config{Dir: t.TempDir(), TCPPort: taken.Addr().(*net.TCPAddr).Port}, localdb.ErrPortTaken, "address already in use"},
		{"no engine", localdb.Config{Dir: t.TempDir(), Engine: "/nowhere/libchdb.so"}, localdb.ErrNoEngine, "/nowhere/libchdb.so"},
		{"damaged engine", localdb.Config{Dir: t.TempDir(), Engine: notAnEngine}, localdb.ErrDied, "load the engine"},
		{"no directory", localdb.Config{}, nil, "no directory"},
		{"directory is a file", localdb.Config{Dir: file}, syscall.ENOTDIR, file},
		{"bad user", localdb.Config{Dir: t.TempDir(), Users: []localdb.User{{Name: "a b"}}}, nil, `"a b"`},
	}
	for _, tt := range tests {
		s, err := localdb.Start(t.Context(), tt.cfg)
		if err == nil {
			s.Stop(context.Background())
			t.Errorf("%s: started", tt.name)
			continue
		}
		if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %v and %q", tt.name, err, tt.want, tt.text)
		}
	}
}

func TestMissingEngineNamesTheCommand(t *testing.T) {
	t.Setenv(localdb.EngineVariable, "")
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir()) // the test binary lies in the build cache, so nothing is found upwards
	_, err := localdb.Start(t.Context(), localdb.Config{Dir: t.TempDir()})
	if !errors.Is(err, localdb.ErrNoEngine) || !strings.Contains(err.Error(), "make engine") {
		t.Errorf("%v, want ErrNoEngine that names `make engine`", err)
	}
}

func TestDeathIsNoticed(t *testing.T) {
	s := start(t, localdb.Config{})
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the death was not noticed")
	}
	if err := s.Err(); !errors.Is(err, localdb.ErrDied) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Err() = %v, want ErrDied by a signal", err)
	}
	if err := s.Kill(); err != nil { // leaves it stopped, so that the clean-up has nothing to say
		t.Error(err)
	}
}

// The engine ends with the process that started it, even when that is killed.
func TestEngineEndsWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		said, _ := io.ReadAll(out)
		t.Fatalf("the parent did not start a server: %v %s", err, said)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed: always an error
	for deadline := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the engine, process %d, outlives its parent", pid)
		}
	}
}

func TestSurvivesClientsThatHangUp(t *testing.T) {
	s := start(t, localdb.Config{})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		conn := connect(t, s, localdb.Administrator)
		rows, err := conn.Query(ctx, "SELECT number, repeat('x', 1000) FROM system.numbers")
		if err != nil {
			t.Fatal(err)
		}
		rows.Next()
		cancel()
		conn.Close()
		rows.Close()
	}
	if n := count(t, connect(t, s, localdb.Administrator), "SELECT toUInt64(1)"); n != 1 || s.Err() != nil {
		t.Errorf("the engine is gone: %v", s.Err())
	}
}

// A binary is used like the library: here one that is the library in disguise.
func TestBinaryOnPath(t *testing.T) {
	s := start(t, localdb.Config{}) // finds the library
	library := s.Engine()
	bin := filepath.Join(t.TempDir(), "clickhouse")
	script := fmt.Sprintf("#!/bin/sh\nshift\nSLICEMETRY_ENGINE_CHILD=%s exec %s \"$@\"\n", library, os.Args[0])
	if err := os.WriteFile(bin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	viaBinary := start(t, localdb.Config{Engine: bin})
	if n := count(t, connect(t, viaBinary, localdb.Administrator), "SELECT toUInt64(7)"); n != 7 {
		t.Errorf("got %d, want 7", n)
	}
}
