package site

import (
	"testing"

	"github.com/slicemetry/slicemetry/schema/metrics"
)

func TestLabel(t *testing.T) {
	tests := []struct {
		metric string
		key    []string
		want   string
	}{
		{"installations", []string{}, "Active installations"},
		{"installations_by_machine", []string{"ultimaker_s5"}, "UltiMaker S5"},
		{"installations_by_version", []string{"prusaslicer", "2", "9"}, "PrusaSlicer 2.9"},
		{"machine_by_material", []string{"ultimaker_s5", "Tough PLA"}, "UltiMaker S5, Tough PLA"},
		{"layer_height", []string{"200"}, "0.20 mm"},
		{"infill_density", []string{"15"}, "15 %"},
		{"nozzle_temperature", []string{"205"}, "205 °C"},
		{"print_speed", []string{"60"}, "60 mm/s"},
		{"infill_pattern", []string{"quarter_cubic"}, "quarter cubic"},
		{"changed_settings", []string{"infill_pattern"}, "infill_pattern"},
		{"print_time", []string{"5400"}, "1 h 30"},
		{"wall_count", []string{"3"}, "3"},
	}
	for _, tt := range tests {
		m, ok := metrics.ByName(tt.metric)
		if !ok {
			t.Fatalf("there is no metric %s", tt.metric)
		}
		if got := label(m, tt.key); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.metric, tt.key, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{
		0.13: "0.1 s", 42: "42 s", 66: "1.1 min", 1500: "25 min", 5400: "1 h 30", 90_000: "25 h 00", 200_000: "2.3 d",
	} {
		if got := duration(seconds); got != want {
			t.Errorf("%g seconds: %q, want %q", seconds, got, want)
		}
	}
}

func TestAmount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 7: "7", 6.44: "6.4", -0.2: "−0.2", -0.01: "0.0", 12.6: "13", -30: "−30", 999.6: "1000", 1234: "1\u202f234", -1234567: "−1\u202f234\u202f567",
	} {
		if got := amount(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}

func TestDelta(t *testing.T) {
	for v, want := range map[float64]string{1e-8: "1e-8", 1e-12: "1e-12", 0.01: "0.01"} {
		if got := delta(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}
