package audit

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

const goodSpec = `epsilon: 1
delta: 1e-8
metrics:
  - name: count
    statistic: events
    keys:
      - column: machine
        values: [a, b, other]
        otherwise: other
      - column: material
        values: [PLA, PETG]
    bounds: {keys: 2, per_key: 40, total: 50}
    share: 500
  - name: brands
    statistic: installations
    keys:
      - column: brand
    threshold_delta: 1e-9
    bounds: {keys: 3}
`

func TestParseSpec(t *testing.T) {
	with := func(old, new string) string {
		text := strings.Replace(goodSpec, old, new, 1)
		if text == goodSpec {
			t.Fatalf("%q is not in the good spec", old)
		}
		return text
	}
	tests := []struct {
		name, text string
		want       []string // none: accepted
	}{
		{"good", goodSpec, nil},
		{"JSON", `{"epsilon": 1, "delta": 1e-8, "metrics": [{"name": "n", "statistic": "events", "bounds": {"keys": 1, "per_key": 2, "total": 2}}]}`, nil},
		{"NaN", with("epsilon: 1", "epsilon: .nan"), []string{"s:1: gdp: want 0 < epsilon"}},
		{"infinity", with("epsilon: 1", "epsilon: .inf"), []string{"s:1:"}},
		{"no delta", with("delta: 1e-8\n", ""), []string{"delta"}},
		{"delta of NaN", with("delta: 1e-8", "delta: .nan"), []string{"delta"}},
		{"unknown field", with("share: 500", "shares: 500"), []string{"s:13: unknown field"}},
		{"wrong kind", with("share: 500", "share: many"), []string{"s:13:"}},
		{"not YAML", "a: [", []string{"s:1:"}},
		{"empty", "", []string{"epsilon", "there is no metric"}},
		{"empty key set", with("values: [PLA, PETG]", "values: []"), []string{"s:10: material has an empty set"}},
		{"key twice", with("[PLA, PETG]", "[PLA, PLA]"), []string{"s:11: \"PLA\" is there twice"}},
		{"otherwise", with("otherwise: other", "otherwise: rest"), []string{"s:9: \"rest\" is not among"}},
		{"negative cap", with("per_key: 40", "per_key: -40"), []string{"s:12: count: want 1 <= per_key"}},
		{"huge cap", with("total: 50", "total: 5000000000"), []string{"total <= 2147483648"}},
		{"too many keys", with("keys: 2,", "keys: 7,"), []string{"bounds.keys is 7, want 1 to 6"}},
		{"share", with("share: 500", "share: 600"), []string{"add up to 1100"}},
		{"quantiles", with("statistic: events", "statistic: quantiles"), []string{"read from a histogram"}},
		{"mean", with("statistic: events", "statistic: mean"), []string{"s:5: count: statistic \"mean\""}},
		{"tiny delta for a key", with("threshold_delta: 1e-9", "threshold_delta: 1e-13"), []string{"s:18: brands: release: want a threshold delta of at least 1e-13"}},
		{"threshold of NaN", with("threshold_delta: 1e-9", "threshold_delta: .nan"), []string{"brands"}},
		{"threshold above delta", with("threshold_delta: 1e-9", "threshold_delta: 1e-7"), []string{"thresholds spend 1e-07 of a delta of 1e-08"}},
		{"threshold of events", with("statistic: installations", "statistic: events"), []string{"selects keys of installations"}},
		{"keys times cap overflows", with("bounds: {keys: 3}", "bounds: {keys: 9223372036854775807}"), []string{"2^53"}},
		{"twice", with("name: brands", "name: count"), []string{"\"count\" is there twice"}},
		{"no name", with("name: count", "name: ''"), []string{"s:4: the metric has no name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSpec("s", []byte(tt.text))
			if (err == nil) != (tt.want == nil) || err != nil && !errors.Is(err, ErrSpec) {
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

func TestReadRows(t *testing.T) {
	rows, err := ReadRows("r", strings.NewReader(`{"unit": "a", "keys": {"k": "x", "n": 200}, "value": 99999999999999999999}

{"unit": "b", "value": -99999999999999999999}
{"unit": "c"}`))
	if err != nil || len(rows) != 3 || rows[0].Value != math.MaxInt64 || rows[0].Keys["n"] != "200" || rows[1].Value != math.MinInt64 || rows[2].Value != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
	for text, want := range map[string]string{
		`{"unit": "a"} {}`:                "r:2: something follows",
		`{"keys": {}}`:                    "r:2: unit is missing",
		`{"unit": ""}`:                    "r:2: unit is missing",
		`{"unit": "a", "vale": 3}`:        "r:2: json: unknown field \"vale\"",
		`{"unit": "a", "value": 1.5}`:     "r:2: value 1.5 is not an integer",
		`{"unit": "a", "value": "NaN"}`:   "r:2:",
		`{"unit": "a", "value": NaN}`:     "r:2:",
		`{"unit": "a", "keys": {"k":[]}}`: "r:2: key \"k\" is neither",
		`unit,keys`:                       "r:2:",
	} {
		_, err := ReadRows("r", strings.NewReader("{\"unit\": \"a\"}\n"+text+"\n{\"unit\": \"c\"}\n"))
		if !errors.Is(err, ErrRows) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadRows("r", strings.NewReader(strings.Repeat("x\n", 1000))); strings.Count(fmt.Sprint(err), "\n") > maxProblems {
		t.Errorf("%d lines of problems", strings.Count(fmt.Sprint(err), "\n"))
	}
}

// No text makes the readers panic, and what they accept can be released.
func FuzzParseSpec(f *testing.F) {
	f.Add(goodSpec)
	f.Add("metrics:\n  - name: A\n    keys: ! ")
	f.Add(`{"epsilon": 1e308, "delta": 0.5, "metrics": [null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec("s", []byte(text))
		if err != nil {
			return
		}
		if err := Run(s, crowd(), 1, func(Out) error { return nil }); err != nil {
			t.Errorf("accepted, and then: %v", err)
		}
	})
}

func FuzzReadRows(f *testing.F) {
	f.Add(`{"unit": "a", "keys": {"k": "x"}, "value": 3}`)
	f.Fuzz(func(t *testing.T, text string) {
		if rows, err := ReadRows("r", strings.NewReader(text)); err == nil {
			for _, r := range rows {
				if r.Unit == "" {
					t.Error("a row without a unit")
				}
			}
		}
	})
}
