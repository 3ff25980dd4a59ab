package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) {
	if os.Getenv("COLLECTORD_TEST_RUN") != "" {
		os.Exit(run(os.Args[1:]))
	}
	dbtest.Main(m)
}

// With secure=true the link to ClickHouse is TLS, to a server that the system's roots
// vouch for and to no other.
func TestEncryptedDatabase(t *testing.T) {
	db := migrationtest.Start(t)
	// Its certificate signs itself and is for 127.0.0.1.
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: server.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go forward(listener, db.Addr())
	roots := filepath.Join(t.TempDir(), "roots.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(roots, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	dsn := "clickhouse://" + migrations.Collector + ":" + db.Password(migrations.Collector) + "@" + listener.Addr().String() + "?secure=true"
	for _, tt := range []struct{ name, dsn, roots, want string }{
		{"known", dsn, roots, "ready\n"},
		{"unknown", dsn, os.DevNull, "tls: failed to verify certificate"},
		{"another's", dsn + "&tls_server_name=db.example.org", roots, "not db.example.org"},
		{"not to be verified", dsn + "&skip_verify=true", os.DevNull, "ready\n"},
	} {
		if said := readiness(t, tt.dsn, tt.roots); !strings.Contains(said, tt.want) {
			t.Errorf("%s: readyz says %q, want %q", tt.name, said, tt.want)
		}
	}
}

// A DSN says how long a database may take to answer at first, as for the library.
func TestDialTimeoutOfTheDSN(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	said := readiness(t, "clickhouse://u@"+silent.Addr().String()+"?dial_timeout=100ms", os.DevNull)
	gaveUp := strings.Contains(said, "i/o timeout") || strings.Contains(said, "deadline exceeded") // whichever was first
	if took := time.Since(began); !gaveUp || took > 2*time.Second {
		t.Errorf("readyz says %q after %s, want that the greeting took more than 100 ms", said, took)
	}
}

// forward hands what comes by TLS to an address, in clear.
func forward(listener net.Listener, to string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			// Not before: the engine does not outlive a greeting that fails.
			if err := conn.(*tls.Conn).Handshake(); err != nil {
				return
			}
			onward, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer onward.Close()
			go func() { _, _ = io.Copy(onward, conn); onward.Close() }()
			_, _ = io.Copy(conn, onward)
		}()
	}
}

// readiness runs the program on a database and returns what /readyz says.
func readiness(t *testing.T, dsn, roots string) string {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(policy, []byte(`{"operator": "o", "privacy_contact": "c@example.org", "complaints": "https://example.org/c", "answer_days": 45, "current": {"version": 1, "effective": "2020-01-01", "url": "https://example.org/1"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[0], "-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-plaintext", "-keys", t.TempDir(), "-policy", policy)
	program.Env = append(os.Environ(), "COLLECTORD_TEST_RUN=1", "COLLECTORD_CLICKHOUSE="+dsn, "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+os.DevNull)
	said, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = program.Process.Signal(syscall.SIGTERM)
		_ = program.Wait()
	}()
	var serving struct{ Admin string }
	line, err := bufio.NewReader(said).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &serving) != nil {
		t.Fatalf("it said %q, %v", line, err)
	}
	response, err := http.Get("http://" + serving.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
