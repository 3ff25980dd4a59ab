package rules

import "testing"

func TestDescriptions(t *testing.T) {
	tests := []struct{ message, path, category, coarsening string }{
		{"Slice", "machine", "machine", `one of 632 names on the list "machine", else "custom"`},
		{"Slice", "changed_settings", "print settings", `at most 4, drawn at random once a week, each one of 684 names on the list "setting"; others are dropped`},
		{"Slice", "layer_height_um", "print settings", "40 to 1000, rounded to 20"},
		{"Slice", "wall_count", "print settings", "0 to 10"},
		{"Slice", "support", "print settings", "one of: no, yes"},
		{"Slice", "extruders.used_mg", "material", "100 to 10000000, in logarithmic buckets, 4 a doubling"},
		{"Slice", "extruders.nozzle_um", "material", "the nearest of: 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 1000, 1200, 1400"},
		{"Batch", "unit_token", "technical", "16 random octets"},
		{"Batch", "slices", "slice counts", "at most 200, each field by its own rule"},
	}
	for _, tt := range tests {
		f, ok := FieldByPath(tt.message, tt.path)
		if !ok {
			t.Errorf("there is no field %s.%s", tt.message, tt.path)
			continue
		}
		if got := f.Category(); got != tt.category {
			t.Errorf("%s: category %q, want %q", tt.path, got, tt.category)
		}
		if got := f.Coarsening(); got != tt.coarsening {
			t.Errorf("%s: coarsening %q, want %q", tt.path, got, tt.coarsening)
		}
	}
	for _, f := range Fields() {
		if f.Coarsening() == "undeclared" || f.Retention() == "undeclared" || f.Purpose() == "unspecified" {
			t.Errorf("%s.%s is not described: %s; %s; %s", f.Message, f.Path, f.Coarsening(), f.Retention(), f.Purpose())
		}
	}
}
