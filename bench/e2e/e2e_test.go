// Package e2e tests the whole path with real processes that are really killed.
package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/grpc/credentials"

	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/demo"
	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

func TestMain(m *testing.M) {
	localdb.RunEngineIfChild()
	binary.Main(m, "../../collector/cmd/collectord", "../../client/cmd/slicemetry-agent")
}

// From Record to a published row and a page, with a collector and a database
// that are killed on the way: what was acknowledged is stored once.
func TestFromRecordToPublishedRow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var out bytes.Buffer
	s, err := demo.Run(t.Context(), demo.Config{
		Dir: dir, Bin: binary.Dir, Payloads: "../../client/internal/cura/testdata/payloads.jsonl",
		Installations: 500, Weeks: 2, Seed: 3, Out: &out,
	})
	if s != nil {
		defer s.Stop(context.Background())
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"kill -9 of the collector", "kill -9 of ClickHouse", "each once", "Of all 632 machines"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demonstration does not say %q:\n%s", want, out.String())
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "site", "index.html"))
	if err != nil || !bytes.Contains(page, []byte("<html")) {
		t.Errorf("there is no page: %v", err)
	}
	runGuide(t, s)
	// 632 intervals of 95 %: fewer than 85 % inside happens by chance less than
	// once in 10^20 runs.
	var share float64
	_, after, _ := strings.Cut(out.String(), "Of all 632 machines ")
	if _, err := fmt.Sscanf(after, "%f %%", &share); err != nil || share < 85 {
		t.Errorf("%.1f %% of the true values lie in their interval, %v", share, err)
	}
}

// The guide's questions run, as the analyst, against what was just published.
func runGuide(t *testing.T, s *stack.Stack) {
	t.Helper()
	guide, err := os.ReadFile("../../docs/analyst.md")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.Connect(migrations.Analyst)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	questions := strings.Split(string(guide), "```sql\n")[1:]
	// In a fleet as small as this one it is chance whether a number stands out of
	// its noise: without these conditions there are rows in any case.
	standsOut := strings.NewReplacer("HAVING kilograms > plus_minus\n", "", "HAVING outputs > 10 * sqrt(sum(pow(count_std_err, 2)))\n", "", " AND status = 'ok'", "", " AND abs(change) > 4 * change_std_err", "")
	for _, text := range questions {
		query, _, _ := strings.Cut(text, "```")
		if _, err := count(t.Context(), conn, query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		rows, err := count(t.Context(), conn, standsOut.Replace(query))
		// Nor has it quantiles: noise drowns them.
		if (err != nil || rows == 0) && !strings.Contains(query, "published.quantiles") {
			t.Errorf("no row answers %s: %v", query, err)
		}
	}
	if len(questions) < 16 {
		t.Errorf("the guide has %d questions", len(questions))
	}
}

func count(ctx context.Context, conn driver.Conn, query string) (rows int, err error) {
	found, err := conn.Query(ctx, query)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	for found.Next() {
		rows++
	}
	return rows, found.Err()
}

// Under load, with kill -9 of the collector and of ClickHouse in turn, every
// acknowledged event is read back exactly once and none is read that was not sent.
func TestExactlyOnceUnderKills(t *testing.T) {
	s, err := stack.Start(t.Context(), stack.Config{
		Dir: t.TempDir(), Collector: filepath.Join(binary.Dir, "collectord"),
		Flags: []string{"-limit-rate", "0", "-retry-after", "100ms", "-flush-age", "20ms", "-max-streams", "64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	const events = 40_000
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	finished := make(chan struct{})
	var result load.Result
	var loadErr error
	go func() {
		defer close(finished)
		result, loadErr = load.Run(ctx, load.Config{
			Target: s.Target(), Credentials: trust(t, s), Installations: 500, Connections: 4, InFlight: 64, Batch: 10, Events: events, Seed: 5,
			Rate: 8000, // so that the load outlasts the kills
		})
	}()
	kills := 0
	for running := true; running; kills++ {
		select {
		case <-finished:
			running = false
			continue
		case <-time.After(600 * time.Millisecond): // between faults, not for an event
		}
		if err := killOne(ctx, s, kills); err != nil {
			t.Fatal(err)
		}
	}
	if loadErr != nil {
		t.Fatal(loadErr)
	}
	read, rows, err := s.Stored(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills; %d events acknowledged in %d attempts, refused %v; %d repetitions are there", kills, result.Acked, result.Attempts, result.Refused, rows-read)
	if result.Acked != events || read != events {
		t.Errorf("%d sent, %d acknowledged, %d read", events, result.Acked, read)
	}
	if kills < 4 {
		t.Errorf("only %d kills happened while events were sent", kills)
	}
}

// killOne kills the collector, or every third time the database, and starts it again.
func killOne(ctx context.Context, s *stack.Stack, n int) error {
	if n%3 == 2 {
		return s.CrashDB(ctx, func() {})
	}
	s.KillCollector()
	return s.StartCollector(ctx)
}

func trust(t *testing.T, s *stack.Stack) credentials.TransportCredentials {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the stack's certificate is no certificate")
	}
	return credentials.NewClientTLSFromCert(pool, "")
}
