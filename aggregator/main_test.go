package aggregator

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
)

// The tests run publishers in processes of their own: this binary again, told by
// its environment what to do.
const (
	envDSN    = "AGGREGATOR_TEST_DSN"
	envWeek   = "AGGREGATOR_TEST_WEEK"
	envKillAt = "AGGREGATOR_TEST_KILL_AT" // operation on the database before which to die
)

func TestMain(m *testing.M) {
	localdb.RunEngineIfChild()
	if dsn := os.Getenv(envDSN); dsn != "" {
		os.Exit(child(dsn))
	}
	dbtest.Main(m)
}

// today is fixed: a Wednesday two days after the grace of the week before last.
var (
	today = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	week  = period.Of(today).Previous()
)

func now() time.Time { return today }

// testConfig is the default plan on that day.
func testConfig() Config { return Config{Now: now} }

// child publishes one week and prints the outcomes. With envKillAt it publishes
// one metric only, and dies on the way.
func child(dsn string) int {
	ctx := context.Background()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		panic(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		panic(err)
	}
	p, err := period.Parse(os.Getenv(envWeek))
	if err != nil {
		panic(err)
	}
	var outcomes []Outcome
	if at, err := strconv.Atoi(os.Getenv(envKillAt)); err == nil {
		result, err := publishOne(ctx, &mortal{Conn: conn, left: at}, p, "child")
		if err != nil {
			panic(err)
		}
		outcomes = []Outcome{{Result: result}}
	} else if outcomes, err = Publish(ctx, conn, testConfig(), p); err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
	return 0
}

// startChild starts this binary as a publisher of a week.
func startChild(t *testing.T, s *localdb.Server, p period.Period, killAt string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envDSN+"="+s.DSN("aggregator"), envWeek+"="+p.String(), envKillAt+"="+killAt)
	cmd.Stderr = os.Stderr
	return cmd
}

// crashMetric is what the crash tests release: quantiles take every step.
const crashMetric = "print_time"

// publishOne releases one metric of a week.
func publishOne(ctx context.Context, conn Conn, p period.Period, run string) (Result, error) {
	c := testConfig()
	split, err := c.plan()
	if err != nil {
		return "", err
	}
	complete, err := releases(ctx, conn, p)
	if err != nil {
		return "", err
	}
	r := &publisher{conn: conn, config: c, plan: split, ledger: ledger.New(conn, run, c.now)}
	for _, d := range split.Designs {
		if d.Metric.Name == crashMetric {
			return onlyResult(r.release(ctx, p, []release.Design{d}, complete))
		}
	}
	panic("no such metric")
}

func onlyResult(outcomes []Outcome, err error) (Result, error) {
	if err != nil {
		return "", err
	}
	return outcomes[0].Result, nil
}

// mortal kills its own process, as kill -9 does, before one of the operations on
// a connection.
type mortal struct {
	driver.Conn
	left int
}

func (m *mortal) step() {
	m.left--
	if m.left < 0 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {} // until it arrives
	}
}

func (m *mortal) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	m.step()
	return m.Conn.Query(ctx, query, args...)
}

func (m *mortal) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error) {
	m.step()
	batch, err := m.Conn.PrepareBatch(ctx, query, opts...)
	return &mortalBatch{batch, m}, err
}

type mortalBatch struct {
	driver.Batch
	m *mortal
}

func (b *mortalBatch) Send() error {
	b.m.step()
	if err := b.Batch.Send(); err != nil {
		return err
	}
	b.m.step() // after the commit, before anybody knows
	return nil
}
