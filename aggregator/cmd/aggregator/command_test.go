package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// run calls the command line and returns what it prints.
func run(args ...string) (out, errOut string, err error) {
	var o, e bytes.Buffer
	err = command(&o, &e).ParseAndRun(context.Background(), args)
	return o.String(), e.String(), err
}

func TestPlanNeedsNoDatabase(t *testing.T) {
	out, _, err := run("plan")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(1, 1e-08)-differentially private", " 5 weeks: epsilon  2.3", "52 weeks: epsilon  8.5", "installations_by_machine"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the plan:\n%s", want, out)
		}
	}
	out, _, err = run("plan", "-json", "-epsilon", "2")
	var o aggregator.Outlook
	if err != nil || json.Unmarshal([]byte(out), &o) != nil || o.Epsilon != 2 || len(o.Metrics) != len(metrics.All()) {
		t.Errorf("%v, %+v, want the plan of epsilon 2 as JSON", err, o)
	}
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"publish"}, "-period 2026-W46 or -all-closed"},
		{[]string{"publish", "-all-closed", "-period", "2026-W46"}, "either"},
		{[]string{"publish", "-period", "2026-47"}, "ISO week"},
		{[]string{"publish", "2026-W46"}, "takes no arguments"},
		{[]string{"site"}, "wants -out"},
		{[]string{"site", "-out", "www"}, "-policy"},
		{[]string{"serve"}, "wants -dir"},
		{[]string{"tune"}, "wants -metric"},
		{[]string{"poison", "-forged", "0"}, "-forged is 0"},
		{[]string{"plan", "-epsilon", "-1"}, "epsilon"},
		{[]string{"drop", "-grace", "-1h", "-delta", "3"}, "delta"},
		{[]string{"ledger", "-clickhouse", "::hunter2"}, "not a DSN"},
	}
	for _, tt := range tests {
		_, _, err := run(tt.args...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v, want wrong usage, %q", tt.args, err, tt.want)
		}
	}
	if _, help, err := run(); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help, "Examples:") {
		t.Errorf("without a command: %v, %q, want help", err, help)
	}
	for _, name := range []string{"plan", "publish", "ledger", "site", "serve", "drop", "audit", "tune", "poison"} {
		if _, help, err := run(name, "-h"); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help, "aggregator "+name) {
			t.Errorf("%s -h: %v, %q", name, err, help)
		}
	}
	if _, help, _ := run("plan", "-h"); strings.Contains(help, "logtostderr") {
		t.Error("the flags of a library are among ours")
	}
}

func TestNoDatabase(t *testing.T) {
	_, _, err := run("ledger", "-clickhouse", "clickhouse://a:hunter2@127.0.0.1:1")
	if err == nil || errors.Is(err, errUsage) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want a failure that does not tell the password", err)
	}
}

// The whole way on a database: publish, look at the account, write pages, drop.
func TestCommands(t *testing.T) {
	s := migrationtest.Start(t)
	t.Setenv("AGGREGATOR_CLICKHOUSE", s.DSN(migrations.Aggregator))
	week := period.Of(time.Now()).Previous().Previous().String()

	out, progress, err := run("publish", "-period", week)
	if err != nil || !strings.Contains(out, week+"  released ") || strings.Count(progress, " released\n") != len(metrics.All()) {
		t.Fatalf("publish: %v\n%s\n%s", err, out, progress)
	}
	out, _, err = run("publish", "-period", week, "-json")
	var outcomes []aggregator.Outcome
	if err != nil || json.Unmarshal([]byte(out), &outcomes) != nil || len(outcomes) != len(metrics.All()) || outcomes[0].Result != aggregator.Stored {
		t.Errorf("publish again: %v\n%s", err, out)
	}
	if _, _, err := run("publish", "-period", period.Of(time.Now()).String()); !errors.Is(err, aggregator.ErrOpen) {
		t.Errorf("publish this week: %v, want ErrOpen", err)
	}
	if out, _, err := run("ledger", "-v"); err != nil || !strings.Contains(out, "layer_height") || !strings.Contains(out, week) {
		t.Errorf("ledger: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("clickhouse "+s.DSN(migrations.Analyst)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "www")
	t.Setenv("AGGREGATOR_CLICKHOUSE", "") // the file decides now; an empty variable is none
	os.Unsetenv("AGGREGATOR_CLICKHOUSE")
	policy := filepath.Join(t.TempDir(), "policies.json")
	for text, want := range map[string]string{"{}": "operator: none given", "{": "policies.json"} {
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := run("site", "-out", dir, "-policy", policy, "-config", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a policy of %s: %v, want %q", text, err, want)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("pages of nobody were written")
	}
	if err := os.WriteFile(policy, []byte(`{"operator": "Example Printing", "privacy_contact": "privacy@example.org", "complaints": "by letter", "answer_days": 30}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGGREGATOR_POLICY", policy)
	if _, said, err := run("site", "-out", dir, "-config", file); err != nil || !strings.Contains(said, "index.html") {
		t.Errorf("site: %v\n%s", err, said)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
		t.Error(err)
	}
	t.Setenv("AGGREGATOR_CLICKHOUSE", s.DSN(migrations.Aggregator))
	if out, _, err := run("drop", "-json"); err != nil || strings.TrimSpace(out) != "[]" {
		t.Errorf("drop: %v\n%s", err, out)
	}
}
