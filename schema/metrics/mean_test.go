package metrics

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMeanViewsMigration(t *testing.T) {
	const file = "../migrations/0114_means.sql"
	want := "-- Means: quotients of published statistics, generated from their definitions:\n--   go test ./schema/metrics -run Views -update\n\n" + MeanViews(Means())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what the means say, %v; run this test with -update", file, err)
	}
}

const goodMean = `means:
  - name: mean_outputs
    title: Outputs
    question: How many?
    audience: everybody
    total: slices
    count: installations
    unit: outputs
    minimum: 0
    maximum: 50
`

func TestLoadMeans(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(goodMean, old, new, 1) }
	tests := []struct {
		name, text string
		want       []string // every one is in the error; none: no error
	}{
		{"good", goodMean, nil},
		{"not YAML", "means: [", []string{"mean/m.yaml:1"}},
		{"no list", "metrics: []", []string{"mean/m.yaml: want one list, means"}},
		{"unknown field", with("maximum: 50", "maxima: 50"), []string{"mean/m.yaml:10: unknown field"}},
		{"bad name", with("mean_outputs", "Mean; DROP"), []string{"mean/m.yaml:2:", "must match"}},
		{"name of a metric", with("mean_outputs", "slices"), []string{"a statistic of this name"}},
		{"twice", goodMean + strings.Replace(goodMean, "means:\n", "", 1), []string{"mean/m.yaml:11:", "a statistic of this name"}},
		{"no words", strings.NewReplacer("Outputs", `""`, "How many?", `""`, "everybody", `""`, "outputs\n", "\"\"\n").Replace(goodMean), []string{"title is missing", "question is missing", "audience is missing", "unit is missing"}},
		{"unknown", with("total: slices", "total: prints"), []string{"mean/m.yaml:6:", "no statistic \"prints\""}},
		{"a vote", with("total: slices", "total: layer_height"), []string{"adds nothing up"}},
		{"a count of grams", with("count: installations", "count: material_by_type"), []string{"counts nothing"}},
		{"by itself", with("count: installations", "count: slices"), []string{"by itself"}},
		{"other keys", with("count: installations", "count: installations_by_machine"), []string{"mean/m.yaml:7:", "other keys", "for 1 keys of slices, and 2"}},
		{"nothing between", with("minimum: 0", "minimum: 50"), []string{"mean/m.yaml:10:", "minimum < maximum"}},
		{"not a number", with("minimum: 0", "minimum: .nan"), []string{"minimum < maximum"}},
		{"negative", with("minimum: 0", "minimum: -1"), []string{"minimum < maximum"}},
		{"endless", with("maximum: 50", "maximum: .inf"), []string{"minimum < maximum"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := LoadMeans(fstest.MapFS{"mean/m.yaml": {Data: []byte(tt.text)}}, All())
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

func FuzzLoadMeans(f *testing.F) {
	f.Add([]byte(goodMean))
	f.Add([]byte("means:\n  - name: x\n    total: {a: 1}\n"))
	f.Add([]byte("means: [1, [], {}, null]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := LoadMeans(fstest.MapFS{"mean/m.yaml": {Data: text}}, All())
		if err != nil {
			return
		}
		for _, m := range list {
			if m.Total == nil || m.Count == nil || !(m.Minimum >= 0 && m.Minimum < m.Maximum && m.Maximum <= MaxCap) {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}
