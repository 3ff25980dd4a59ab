package metrics

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/slicemetry/slicemetry/schema/rules"
)

var update = flag.Bool("update", false, "write the views' migration again")

// Every metric that a field is collected for exists and reads that field, and
// every metric is named by each field that it reads.
func TestMetricsAreWhatFieldsAreCollectedFor(t *testing.T) {
	named := map[string][]string{}
	for _, f := range rules.Fields() {
		for _, name := range f.Rule.Metrics {
			named[name] = append(named[name], f.Path)
		}
	}
	for name, fields := range named {
		m, ok := ByName(name)
		if !ok {
			t.Errorf("%v are collected for %s, which is no metric", fields, name)
			continue
		}
		for _, path := range fields {
			if !slices.Contains(m.Fields(), path) {
				t.Errorf("%s is collected for %s, which reads %v", path, name, m.Fields())
			}
		}
	}
	for _, m := range All() {
		for _, path := range m.Fields() {
			if !slices.Contains(named[m.Name], path) {
				t.Errorf("%s reads %s, which is not collected for it", m.Name, path)
			}
		}
	}
}

func TestKeysArePublicAndDistinct(t *testing.T) {
	for _, m := range All() {
		seen := map[string]bool{}
		for i := range m.Cells() {
			key := strings.Join(m.Key(i), "|")
			if seen[key] || len(m.Key(i)) != len(m.Keys) {
				t.Errorf("%s: key %q of cell %d", m.Name, key, i)
			}
			seen[key] = true
		}
		for _, k := range m.Keys {
			if k.Edges != nil && len(k.Edges) != len(k.Values)+1 {
				t.Errorf("%s: %d edges of %d buckets", m.Name, len(k.Edges), len(k.Values))
			}
			if k.Otherwise != "" && !slices.Contains(k.Values, k.Otherwise) {
				t.Errorf("%s: %q is not among the values of %s", m.Name, k.Otherwise, k.Column)
			}
		}
	}
}

func TestHash(t *testing.T) {
	m, _ := ByName("slices_by_machine")
	words, bounds, keys := *m, *m, *m
	words.Title, words.Typical, words.Share = "Other words", 3, 1
	bounds.Bounds.PerKey++
	keys.Keys = []Key{{Column: "machine", Values: append(slices.Clone(m.Keys[0].Values), "new")}}
	if words.Hash() != m.Hash() {
		t.Error("other words for people are another definition")
	}
	for name, other := range map[string]Metric{"bounds": bounds, "keys": keys} {
		if other.Hash() == m.Hash() {
			t.Errorf("other %s are the same definition", name)
		}
	}
}

// viewsFile holds the views of the metrics. A step that was applied somewhere
// stays as it is: the view of a metric that came later is in a step of its own.
const viewsFile = "../migrations/0102_views.sql"

var laterViews = map[string]string{
	"machine_by_layer_height": "../migrations/0112_machine_by_layer_height.sql",
	"print_time_by_machine":   "../migrations/0113_print_time_by_machine.sql",
}

func TestViewsMigration(t *testing.T) {
	byFile := map[string][]*Metric{}
	for _, m := range All() {
		file, later := laterViews[m.Name]
		if !later {
			file = viewsFile
		}
		byFile[file] = append(byFile[file], m)
	}
	const head = "-- A typed view for every metric, generated from the metrics:\n--   go test ./schema/metrics -run Views -update\n\n"
	for file, list := range byFile {
		want := head + Views(list)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the metrics say; run this test with -update", file)
		}
	}
}

const good = `metrics:
  - name: slices_by_machine
    title: Outputs
    question: Which?
    audience: everybody
    statistic: events
    source: slices
    keys:
      - column: machine
    bounds: {keys: 2, per_key: 40, total: 50}
    unit: outputs
    scale: 1
    typical: 8
    share: 90
`

func TestLoad(t *testing.T) {
	without := func(s string) string { return strings.Replace(good, s, "", 1) }
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	tests := []struct {
		name, text string
		want       []string // every one is in the error; none: no error
	}{
		{"good", good, nil},
		{"not YAML", "metrics: [", []string{"m.yaml:1"}},
		{"no list", "statistics: []", []string{"m.yaml: want one list, metrics"}},
		{"unknown field", with("share: 90", "shares: 90"), []string{"m.yaml:14: unknown field \"shares\""}},
		{"wrong kind", with("share: 90", "share: many"), []string{"m.yaml:14:"}},
		{"unknown column", with("column: machine", "column: serial"), []string{"m.yaml:8: slices_by_machine: the source slices has no column \"serial\""}},
		{"column of another source", with("column: machine", "column: material_type"), []string{"no column \"material_type\""}},
		{"list as column", with("column: machine", "column: changed_settings"), []string{"no column \"changed_settings\""}},
		{"unknown name", with("column: machine", "column: machine\n        only: [nothing]"), []string{"machine cannot be \"nothing\""}},
		{"maximum of names", with("column: machine", "column: machine\n        maximum: 3"), []string{"holds names"}},
		{"no key set", with("column: machine", "column: wall_count\n        only: []"), []string{"has no public values"}},
		{"too many cells", with("- column: machine", "- column: machine\n      - column: quality\n      - column: intent"), []string{"cells, want at most"}},
		{"unknown statistic", with("events", "mean"), []string{"m.yaml:6:", "statistic \"mean\""}},
		{"unknown source", with("source: slices", "source: files"), []string{"source \"files\""}},
		{"no bounds", without("    bounds: {keys: 2, per_key: 40, total: 50}\n"), []string{"per_key <= total", "bounds.keys is 0"}},
		{"total below cap", with("total: 50", "total: 30"), []string{"m.yaml:10:", "per_key <= total"}},
		{"huge cap", with("total: 50", "total: 9000000000000"), []string{"per_key <= total <= 2147483648"}},
		{"more keys than cells", with("keys: 2,", "keys: 2000,"), []string{"bounds.keys is 2000"}},
		{"sum of nothing", with("events", "sum"), []string{"no number \"\""}},
		{"sum of names", with("statistic: events", "value: machine\n    statistic: sum"), []string{"no number \"machine\""}},
		{"value of events", with("statistic: events", "value: model_count\n    statistic: events"), []string{"only a sum"}},
		{"caps of installations", with("events", "installations"), []string{"counts once"}},
		{"bounds of a vote", with("events", "histogram"), []string{"a vote is bounded", "scale is 1, want 1000"}},
		{"quantiles of names", with("events", "quantiles"), []string{"one logarithmic column"}},
		{"no share", with("share: 90", "share: 0"), []string{"m.yaml:14:", "share is 0"}},
		{"too large a share", with("share: 90", "share: 1001"), []string{"share is 1001", "add up to 1001"}},
		{"bad name", with("name: slices_by_machine", "name: Slices; DROP"), []string{"m.yaml:2:", "must match"}},
		{"all at once", with("share: 90", "share: 0\n    extra: 1") + strings.Replace(good, "metrics:\n", "", 1),
			[]string{"m.yaml:15: unknown field"}},
		{"twice", good + strings.Replace(good, "metrics:\n", "", 1), []string{"defined twice, first at m.yaml:2"}},
		{"no words", strings.NewReplacer("Outputs", `""`, "Which?", `""`, "everybody", `""`).Replace(good), []string{"title is missing", "question is missing", "audience is missing"}},
		{"no scale", with("scale: 1", "scale: 0"), []string{"scale is 0"}},
		{"no typical", with("typical: 8", "typical: 0"), []string{"typical is 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"m.yaml": {Data: []byte(tt.text)}})
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// The problems of several metrics in several files come together.
func TestLoadReportsEverything(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"a.yaml": {Data: []byte(strings.Replace(good, "share: 90", "share: 0", 1))},
		"b.yaml": {Data: []byte(strings.Replace(strings.Replace(good, "events", "mean", 1), "slices_by_machine", "other", 1))},
	})
	if err == nil || !strings.Contains(err.Error(), "a.yaml:14") || !strings.Contains(err.Error(), "b.yaml:6") {
		t.Errorf("got %v, want the problems of both files", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("metrics:\n  - name: x\n    keys: {a: 1}\n"))
	f.Add([]byte("metrics: [1, [], {}, null]"))
	f.Add([]byte("metrics:\n  - name: A\n    keys: ! ")) // the YAML library panics
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Load(fstest.MapFS{"m.yaml": {Data: text}})
		if err != nil {
			return
		}
		for _, m := range list {
			b := m.Bounds
			if b.Keys < 1 || b.PerKey < 1 || b.Total < b.PerKey || b.Total > MaxCap || m.Cells() < 1 || m.Cells() > maxCells {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}

// What cannot be calculated exactly is refused by its own name.
func TestNewBounds(t *testing.T) {
	tests := []struct {
		name      string
		statistic Statistic
		asked     Bounds
		cells     int64
		want      string // "": accepted
	}{
		{"events", Events, Bounds{2, 40, 50}, 10, ""},
		{"keys times cap overflows", Sum, Bounds{1 << 40, 1 << 30, 1 << 31}, 1 << 40, "2^53"},
		{"keys times cap wraps", Sum, Bounds{1 << 62, 4, 1 << 31}, 1 << 62, "2^53"},
		{"negative cap", Sum, Bounds{1, -5, 5}, 1, "per_key"},
		{"negative keys", Installations, Bounds{Keys: -1}, 3, "bounds.keys is -1"},
		{"no cells", Events, Bounds{1, 1, 1}, 0, "bounds.keys is 1, want 1 to 0"},
	}
	for _, tt := range tests {
		_, problems := NewBounds(tt.statistic, tt.asked, tt.cells)
		text := ""
		for _, p := range problems {
			text += p.At + ": " + p.Text + "\n"
		}
		if (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
	}
}
