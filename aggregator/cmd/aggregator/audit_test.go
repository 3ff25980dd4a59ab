package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// helpExample returns the indented example that follows a line of the help.
func helpExample(t *testing.T, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(auditHelp, after+"\n\n")
	if !found {
		t.Fatalf("the help has no %q", after)
	}
	example, _, _ := strings.Cut(rest, "\n\n")
	return example + "\n"
}

// write stores a file of a test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type auditLine struct {
	Trial  int               `json:"trial"`
	Metric string            `json:"metric"`
	Keys   map[string]string `json:"keys"`
	Raw    int64             `json:"value_raw"`
}

func auditLines(t *testing.T, args ...string) []auditLine {
	t.Helper()
	out, _, err := run(append([]string{"audit"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var list []auditLine
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		var l auditLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// What the help shows runs. Runs of one trial give the lines that the trials of
// one run give; each draws noise of its own (two of 12 numbers with a sigma of 17
// or more are all equal once in 1e20).
func TestAuditTrialsAreOneShots(t *testing.T) {
	spec := write(t, "spec.yaml", helpExample(t, "The spec, YAML or JSON:"))
	row := helpExample(t, "sums only; a row counts as one in the others:")
	in := write(t, "rows.ndjson", strings.Repeat(row, 3))
	shape := func(l []auditLine) (s string) {
		for _, l := range l {
			s += fmt.Sprint(l.Metric, l.Keys, " ")
		}
		return s
	}
	trials := auditLines(t, "-spec", spec, "-in", in, "-trials", "5")
	if len(trials)%5 != 0 || len(trials) == 0 {
		t.Fatalf("%d lines of 5 trials", len(trials))
	}
	var draws []string
	for part := range slices.Chunk(trials, len(trials)/5) {
		draws = append(draws, fmt.Sprint(part))
	}
	for range 3 {
		once := auditLines(t, "-spec", spec, "-in", in)
		if want := shape(trials[:len(trials)/5]); shape(once) != want {
			t.Errorf("one shot gives %s, a trial %s", shape(once), want)
		}
		draws = append(draws, fmt.Sprint(once))
	}
	slices.Sort(draws)
	if len(slices.Compact(draws)) != 8 {
		t.Error("two draws are the same")
	}
	file := filepath.Join(t.TempDir(), "out")
	if out, _, err := run("audit", "-spec", spec, "-in", in, "-out", file); err != nil || out != "" {
		t.Errorf("with -out: %v, %q", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `"status":`) {
		t.Errorf("%v, %s", err, text)
	}
}

func TestAuditRefusals(t *testing.T) {
	spec := write(t, "spec.yaml", helpExample(t, "The spec, YAML or JSON:"))
	bad := write(t, "bad.yaml", "epsilon: .nan\ndelta: 1e-8\nmetrics:\n  - name: a\n")
	rows := write(t, "rows.ndjson", "{\"unit\": \"a\"}\n{\"unit\": 3}\n")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-spec", spec, "-clickhouse", "clickhouse://h:9000"}, "a database is configured"},
		{[]string{"-in", rows}, "wants -spec"},
		{[]string{"-spec", spec, "-trials", "0"}, "-trials is 0"},
		{[]string{"-spec", spec, "more"}, "takes no arguments"},
		{[]string{"-spec", bad}, "bad.yaml:1: gdp: want 0 < epsilon"},
		{[]string{"-spec", spec, "-in", rows}, "rows.ndjson:2:"},
		{[]string{"-spec", spec, "-in", rows + "x"}, "no such file"},
	}
	for _, tt := range tests {
		if _, _, err := run(append([]string{"audit"}, tt.args...)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.args, err, tt.want)
		}
	}
	t.Setenv("AGGREGATOR_CLICKHOUSE", "clickhouse://aggregator@127.0.0.1:9000")
	if out, _, err := run("audit", "-spec", spec, "-in", rows); !errors.Is(err, errUsage) || out != "" {
		t.Errorf("beside a production ledger: %q, %v, want wrong usage", out, err)
	}
}
