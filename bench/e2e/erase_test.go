package e2e

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator"
	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/client"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

// From a user's wish to the last row on the disk: with the receipt no reader sees
// a row of that installation, after the next drop there is none, and no log and
// no statement that the database keeps names it.
func TestErasure(t *testing.T) {
	s, err := stack.Start(t.Context(), stack.Config{
		Dir: t.TempDir(), Collector: filepath.Join(binary.Dir, "collectord"), Flags: []string{"-flush-age", "20ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	leaves, stays := installation(t, s, 5), installation(t, s, 3)
	count := func(user, table, condition string) (n uint64) {
		t.Helper()
		conn, err := s.Connect(user)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM "+table+" FINAL WHERE "+condition).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// counts checks how many rows of slices and of counters a user sees.
	counts := func(when, user, condition string, slices, counters uint64) {
		t.Helper()
		if n, m := count(user, "raw.slices", condition), count(user, "raw.counters", condition); n != slices || m != counters {
			t.Errorf("%s: %d rows of slices and %d of counters, want %d and %d", when, n, m, slices, counters)
		}
	}
	unit, tokens := largestUnit(t, s), tokensOf(t, leaves)
	counts("before", migrations.Aggregator, "1", 8, 2)
	receipts, err := leaves.Erase(t.Context())
	if err != nil || len(receipts) != 1 || len(receipts[0].Receipt) == 0 {
		t.Fatalf("Erase() = %v, %v", receipts, err)
	}
	counts("with the receipt", migrations.Aggregator, "1", 3, 1)
	conn, err := s.Connect(migrations.Aggregator)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := aggregator.Drop(t.Context(), conn, aggregator.Config{}); err != nil {
		t.Fatal(err)
	}
	counts("of that installation, on the disk", localdb.Administrator, fmt.Sprintf("unit = %d", unit), 0, 0)
	counts("of the other, on the disk", localdb.Administrator, "1", 3, 1)
	forms := []string{fmt.Sprint(unit), fmt.Sprintf("%016x", unit), fmt.Sprintf("%016X", unit)}
	for _, token := range tokens {
		forms = append(forms, fmt.Sprintf("%x", token), fmt.Sprintf("%X", token), string(token), base64.StdEncoding.EncodeToString(token))
	}
	unnamed(t, s, forms)
	if sent, err := stays.Sent(); err != nil || len(sent) != 1 {
		t.Errorf("the other has %d requests, %v", len(sent), err)
	}
}

// installation is a client that recorded and sent n events.
func installation(t *testing.T, s *stack.Stack, n int) *client.Client {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	dir := t.TempDir()
	c, err := client.Open(client.Config{Dir: dir, Endpoint: s.Target(), RootCAs: roots,
		Getenv: func(string) string { return "" }, SystemFile: filepath.Join(dir, "no-such-file")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	for range n {
		c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200})
	}
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: uint32(n)})
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// largestUnit is the unit with the most rows.
func largestUnit(t *testing.T, s *stack.Stack) (unit uint64) {
	t.Helper()
	conn, err := s.Connect(localdb.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.QueryRow(t.Context(), "SELECT unit FROM raw.slices FINAL GROUP BY unit ORDER BY count() DESC LIMIT 1").Scan(&unit); err != nil {
		t.Fatal(err)
	}
	return unit
}

// tokensOf are the unit tokens that a client sent.
func tokensOf(t *testing.T, c *client.Client) (tokens [][]byte) {
	t.Helper()
	sent, err := c.Sent()
	if err != nil || len(sent) == 0 {
		t.Fatalf("Sent() = %d requests, %v", len(sent), err)
	}
	for _, r := range sent {
		tokens = append(tokens, r.Message.GetBatch().GetUnitToken())
	}
	return tokens
}

// unnamed checks that no log and no mutation holds one of the forms of a unit's
// number or token.
func unnamed(t *testing.T, s *stack.Stack, forms []string) {
	t.Helper()
	conn, err := s.Connect(localdb.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var commands []string
	if err := conn.QueryRow(t.Context(), "SELECT groupArray(command) FROM system.mutations").Scan(&commands); err != nil || len(commands) == 0 {
		t.Fatalf("mutations %v, %v, want those of the erasure", commands, err)
	}
	texts := commands
	logs, err := filepath.Glob(filepath.Join(filepath.Dir(s.LogFile()), "*", "engine.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log of the engine: %v", err)
	}
	for _, path := range append(logs, s.LogFile()) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	for _, text := range texts {
		for _, form := range forms {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("the unit is named: %.200s", text[max(0, i-100):])
			}
		}
	}
}
