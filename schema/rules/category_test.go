package rules_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func TestKeep(t *testing.T) {
	full := func() *telemetryv1.Slice {
		return &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200, Application: "cura", WallCount: proto.Uint32(3),
			Extruders: []*telemetryv1.Extruder{{MaterialType: "PLA", UsedMg: 1000}}}
	}
	for _, tt := range []struct {
		names []string
		want  *telemetryv1.Slice
	}{
		{[]string{"machine", "material", "slice_counts", "print_settings", "technical"}, full()},
		{[]string{"machine"}, &telemetryv1.Slice{Machine: "ultimaker_s5"}},
		{[]string{"print_settings", "technical"}, &telemetryv1.Slice{LayerHeightUm: 200, WallCount: proto.Uint32(3), Application: "cura"}},
		{nil, &telemetryv1.Slice{}},
	} {
		c, err := rules.ParseCategories(tt.names)
		if err != nil || !slices.Equal(c.Names(), tt.names) {
			t.Fatalf("%v: %v, %v", tt.names, c.Names(), err)
		}
		s := full()
		rules.Keep(s, c)
		if !proto.Equal(s, tt.want) {
			t.Errorf("%v keeps %v, want %v", tt.names, s, tt.want)
		}
	}
	if c, _ := rules.ParseCategories(rules.AllCategories.Names()); c != rules.AllCategories {
		t.Errorf("all is %v", c.Names())
	}
	for _, name := range []string{"", "unspecified", "geometry"} {
		if _, err := rules.ParseCategories([]string{name}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	counters := &telemetryv1.UsageCounters{SlicesStarted: 3}
	if rules.Keep(counters, 0); counters.SlicesStarted != 0 {
		t.Error("a counter is kept without its kind")
	}
}
