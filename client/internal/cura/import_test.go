package cura

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// The GUID of a material in the catalogue: Generic PLA, 1.24 g/cm³, 2.85 mm.
const genericPLA = "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9"

const nestedPayload = `{"schema_version": 0, "time_stamp": 1790000000.123456, "cura_version": "5.8.1-beta.2", "slice_uuid": "c0ffee",
	"active_machine": {"definition_id": "ultimaker_s5", "manufacturer": "Ultimaker B.V."},
	"machine_settings_changed_by_user": false, "language": "de_DE", "os": {"type": "Linux", "version": "#1 SMP builder@host"},
	"active_mode": "custom", "intent_category": "visual", "quality_profile": "normal",
	"user_modified_setting_keys": ["layer_height", "wall_line_count", "a_plugins_own"],
	"extruders": [
		{"active": true, "material": {"GUID": "506C9F0D-E3AA-4BD4-B2D2-23E2425B1AA9", "type": "PLA", "brand": "Generic"}, "material_used": 10.0, "nozzle_size": 0.4,
		 "extruder_settings": {"material_print_temperature": 203.0}},
		{"active": true, "material": {"GUID": "11111111-2222-3333-4444-555555555555", "type": "PETG", "brand": "Anna"}, "nozzle_size": 0.8,
		 "extruder_settings": {"material_print_temperature": 240.0}},
		{"active": false, "material": {"GUID": "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9"}, "material_used": 99.0, "nozzle_size": 1.0}],
	"models": [{"hash": "abc"}, {"hash": "def"}, {"hash": "ghi"}],
	"print_times": {"total": 7200, "travel": 60},
	"print_settings": {"layer_height": 0.15, "support_enabled": true, "infill_sparse_density": 18.0, "infill_pattern": "cross_3d", "wall_line_count": 3, "adhesion_type": "brim", "print_sequence": "all_at_once"},
	"output_to": "CloudOutputDevice", "engine_stats": {"time_backend": 12}}`

func coarse(s *telemetryv1.Slice) *telemetryv1.Slice {
	out := &telemetryv1.Slice{}
	rules.Coarsen(out, s, 0, nil)
	return out
}

// imported is what would be recorded of a payload.
func imported(data []byte) (*telemetryv1.Slice, *rules.Report, error) {
	s, report, err := Import(data)
	if err == nil {
		s = coarse(s)
	}
	return s, report, err
}

func wanted() *telemetryv1.Slice {
	return coarse(&telemetryv1.Slice{
		Application: "cura", VersionMajor: 5, VersionMinor: 8,
		Machine: "ultimaker_s5", MachineSettingsChanged: telemetryv1.Flag_FLAG_NO, ExtruderCount: 2,
		Language: "de", OperatingSystem: telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX,
		Mode: telemetryv1.Mode_MODE_CUSTOM, Intent: "visual", Quality: "normal",
		ChangedSettings: []string{"layer_height", "wall_line_count"}, ChangedSettingsCount: proto.Uint32(3),
		Extruders: []*telemetryv1.Extruder{
			// 10 m of 2.85 mm at 1.24 g/cm³ are 79.1 g.
			{MaterialType: "PLA", MaterialBrand: "Generic", UsedMm: 10_000, UsedMg: 79_100, NozzleUm: 400},
			{MaterialType: "PETG", MaterialBrand: "custom", NozzleUm: 800},
		},
		NozzleTemperatureCelsius: 205, ModelCount: 3, PrintTimeS: 7200, SlicingTimeMs: 12_000,
		LayerHeightUm: 150, Support: telemetryv1.Flag_FLAG_YES, InfillDensityPercent: proto.Uint32(20),
		InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_CROSS_3D, WallCount: proto.Uint32(3),
		Adhesion: telemetryv1.Adhesion_ADHESION_BRIM, PrintSequence: telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		Output: telemetryv1.OutputKind_OUTPUT_KIND_CLOUD,
	})
}

func TestNestedForm(t *testing.T) {
	got, report, err := imported([]byte(nestedPayload))
	if err != nil {
		t.Fatal(err)
	}
	if want := wanted(); !proto.Equal(got, want) {
		t.Errorf("imported\n%s\nwant\n%s", protojson.Format(got), protojson.Format(want))
	}
	for _, want := range []rules.Finding{
		{Field: "time_stamp", Action: rules.Dropped, Reason: exactTime},
		{Field: "slice_id", Action: rules.Dropped, Reason: linksEvents},
		{Field: "os_version", Action: rules.Dropped, Reason: fingerprint},
		{Field: "models_hash", Action: rules.Dropped, Reason: identifiesModel},
		{Field: "print_time_travel", Action: rules.Dropped, Reason: totalOnly},
		{Field: "extruders_material_guid", Action: rules.Generalised, Reason: customGUID},
		{Field: "infill_density_percent", Action: rules.Bucketed, Reason: "rounded to the grid"},
		{Field: "changed_settings", Action: rules.Dropped, Reason: "not in the catalogue"},
	} {
		if !slices.Contains(report.Findings, want) {
			t.Errorf("the report lacks %+v", want)
		}
	}
}

// The flat form of the same job gives the same event, as far as its lists can
// still be aligned: one that lost an element is left out as a whole.
func TestFlatForm(t *testing.T) {
	flat := `{"schema_version": 1000, "cura_version": "5.8.1-beta.2", "slice_id": "c0ffee", "definition_id": "ultimaker_s5", "machine_settings_changed_by_user": false,
	"language": "de_DE", "os_type": "Linux", "active_mode": "custom", "intent_category": "visual", "quality_profile": "normal",
	"user_modified_setting_keys": ["layer_height", "wall_line_count", "a_plugins_own"],
	"extruders_active": [true, true, false], "extruders_material_guid": ["` + genericPLA + `", "11111111-2222-3333-4444-555555555555", "` + genericPLA + `"],
	"extruders_material_type": ["PLA", "PETG", "PLA"], "extruders_material_used": [10.0, 99.0], "extruders_nozzle_size": [0.4, 0.8, 1.0], "extruders_material_print_temperature": [203, 240, 200],
	"models_hash": ["abc", "def", "ghi"], "print_time_total": 7200, "layer_height": 0.15, "support_enabled": true, "infill_sparse_density": 18.0, "infill_pattern": "cross_3d",
	"wall_line_count": 3, "adhesion_type": "brim", "print_sequence": "all_at_once", "output_to": "CloudOutputDevice", "engine_stats_time_backend": 12}`
	got, report, err := imported([]byte(flat))
	if err != nil {
		t.Fatal(err)
	}
	want := wanted()
	want.Extruders[0].UsedMm, want.Extruders[0].UsedMg = 0, 0
	if !proto.Equal(got, want) {
		t.Errorf("imported\n%s\nwant\n%s", protojson.Format(got), protojson.Format(want))
	}
	if !slices.Contains(report.Findings, rules.Finding{Field: "extruders_material_used", Action: rules.Dropped, Reason: notAligned}) {
		t.Errorf("the report does not say that the amounts were dropped: %v", report.Findings)
	}
}

func TestTraps(t *testing.T) {
	tests := []struct {
		name, payload string
		want          *telemetryv1.Slice
		finding       rules.Finding
	}{
		{"wrong type", `{"definition_id": {"x": 1}, "layer_height": 0.2}`, &telemetryv1.Slice{LayerHeightUm: 200}, rules.Finding{Field: "(unknown)", Action: rules.Dropped, Reason: unknownField}},
		{"number for text", `{"definition_id": 7, "layer_height": 0.2}`, &telemetryv1.Slice{LayerHeightUm: 200}, rules.Finding{Field: "definition_id", Action: rules.Dropped, Reason: wrongType}},
		{"text for number", `{"layer_height": "0.2"}`, &telemetryv1.Slice{}, rules.Finding{Field: "layer_height", Action: rules.Dropped, Reason: wrongType}},
		{"negative", `{"print_time_total": -5}`, &telemetryv1.Slice{}, rules.Finding{Field: "print_time_total", Action: rules.Dropped, Reason: outOfRange}},
		{"huge", `{"print_time_total": 1e300}`, &telemetryv1.Slice{}, rules.Finding{Field: "print_time_total", Action: rules.Dropped, Reason: outOfRange}},
		{"beyond floats", `{"print_time_total": 1e999}`, &telemetryv1.Slice{}, rules.Finding{Field: "print_time_total", Action: rules.Dropped, Reason: outOfRange}},
		{"custom machine", `{"definition_id": "my_printer"}`, &telemetryv1.Slice{Machine: "custom"}, rules.Finding{Field: "machine", Action: rules.Generalised, Reason: "not in the catalogue"}},
		{"developer's build", `{"cura_version": "master", "layer_height": 0.2}`, &telemetryv1.Slice{LayerHeightUm: 200}, rules.Finding{Field: "cura_version", Action: rules.Dropped, Reason: notRecognised}},
		{"plug-in's output", `{"output_to": "MyOwnDevice"}`, &telemetryv1.Slice{Output: telemetryv1.OutputKind_OUTPUT_KIND_OTHER}, rules.Finding{Field: "output_to", Action: rules.Generalised, Reason: notRecognised}},
		{"keys as a text", `{"user_modified_setting_keys": "layer_height,speed_print"}`, &telemetryv1.Slice{ChangedSettings: []string{"layer_height", "speed_print"}, ChangedSettingsCount: proto.Uint32(2)}, rules.Finding{}},
		{"no keys", `{"user_modified_setting_keys": []}`, &telemetryv1.Slice{ChangedSettingsCount: proto.Uint32(0)}, rules.Finding{}},
		{"hollow", `{"infill_sparse_density": 0}`, &telemetryv1.Slice{InfillDensityPercent: proto.Uint32(0)}, rules.Finding{}},
		{"a thousand extruders", `{"layer_height": 0.2, "extruders_nozzle_size": [` + strings.Repeat("0.4,", 999) + `0.4]}`, &telemetryv1.Slice{LayerHeightUm: 200}, rules.Finding{Field: "extruders_nozzle_size", Action: rules.Dropped, Reason: notAligned}},
		{"unknown language", `{"language": "erika_DE"}`, &telemetryv1.Slice{Language: "other"}, rules.Finding{Field: "language", Action: rules.Generalised, Reason: "not in the catalogue"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := imported([]byte(tt.payload))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Application = "cura"
			if !proto.Equal(got, tt.want) {
				t.Errorf("imported %v, want %v", got, tt.want)
			}
			if tt.finding != (rules.Finding{}) && !slices.Contains(report.Findings, tt.finding) {
				t.Errorf("found %v, want %v", report.Findings, tt.finding)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		payload string
		want    error
	}{
		{"", ErrSyntax}, {"null", ErrSyntax}, {"[]", ErrSyntax}, {`"text"`, ErrSyntax}, {"{", ErrSyntax}, {`{"layer_height": 0.2} {}`, ErrSyntax},
		{"{}", ErrNotCura}, {`{"some": "thing"}`, ErrNotCura},
		{`{"layer_height": "` + strings.Repeat("x", MaxPayload) + `"}`, ErrTooLarge},
		{strings.Repeat(`{"a":`, 200_000), ErrSyntax},
	}
	for _, tt := range tests {
		if _, _, err := Import([]byte(tt.payload)); !errors.Is(err, tt.want) {
			t.Errorf("%.20q: %v, want %v", tt.payload, err, tt.want)
		}
	}
	if _, _, err := Import([]byte(`{"secret name": secret value}`)); strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("%v repeats the payload", err)
	}
}

// The sample payloads, of both forms and with planted identifiers, import; no
// text of theirs that is not in the catalogue is in an event or a report.
func TestSamples(t *testing.T) {
	data, err := os.ReadFile("testdata/payloads.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[bool]int{}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	for n, line := range lines {
		slice, report, err := imported(line)
		if err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatal(err)
		}
		forms[nested(object)]++
		said := protojson.Format(slice) + fmt.Sprint(report.Findings)
		for _, planted := range []string{"CANARY", "erika", "192.0.2.77", "DE8937", "Anna", "attic", "Ñandú", "builder@", "my_diy", "Homebrew", "transformation=", ".gcode", ".3mf"} {
			if strings.Contains(said, planted) {
				t.Errorf("line %d: %q survives: %s", n+1, planted, said)
			}
		}
		if slice.Application != "cura" || slice.Machine == "" || len(slice.Extruders) == 0 || slice.LayerHeightUm == 0 {
			t.Errorf("line %d lacks the essentials: %v", n+1, slice)
		}
	}
	if len(lines) != 50 || forms[true] != 25 || forms[false] != 25 {
		t.Errorf("%d samples, %v nested, want 50 and half of them", len(lines), forms)
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(nestedPayload))
	f.Add([]byte(`{"definition_id": "x", "extruders_active": [true], "extruders_material_used": [1, null]}`))
	f.Add([]byte(`{"extruders": [{"material": {"GUID": 1}}, 2, null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		slice, _, err := imported(data)
		if err != nil {
			return
		}
		if again := coarse(slice); !proto.Equal(slice, again) {
			t.Errorf("%v is not coarse", slice)
		}
	})
}
