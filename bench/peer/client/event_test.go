package client

import (
	"fmt"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Every library records the same outputs, and a call includes what a slicer does
// for it: it fills in a message, or a map where the library knows no schema.

// output is output i as slicemetry takes it.
func output(i int) *telemetryv1.Slice {
	walls, density, steps, changed := uint32(4), uint32(30), uint32(0), uint32(2)
	return &telemetryv1.Slice{
		Machine:                "koonovo_elf",
		MachineSettingsChanged: telemetryv1.Flag_FLAG_NO,
		ExtruderCount:          1,
		Extruders: []*telemetryv1.Extruder{
			{MaterialType: "PETG", MaterialBrand: "Fiberlogy HD", UsedMg: 38_291, UsedMm: 12_827, NozzleUm: 600},
		},
		LayerHeightUm:            160,
		WallCount:                &walls,
		InfillDensityPercent:     &density,
		InfillPattern:            telemetryv1.InfillPattern_INFILL_PATTERN_GRID,
		GradualInfillSteps:       &steps,
		Support:                  telemetryv1.Flag_FLAG_YES,
		Adhesion:                 telemetryv1.Adhesion_ADHESION_NONE,
		PrimeTower:               telemetryv1.Flag_FLAG_NO,
		Retraction:               telemetryv1.Flag_FLAG_NO,
		PrintSequence:            telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		NozzleTemperatureCelsius: 230,
		BedTemperatureCelsius:    50,
		SpeedMmPerS:              190,
		Intent:                   "default",
		Quality:                  "normal",
		Mode:                     telemetryv1.Mode_MODE_RECOMMENDED,
		ChangedSettings:          []string{"small_feature_speed_factor", "speed_travel"},
		ChangedSettingsCount:     &changed,
		Application:              "prusaslicer",
		VersionMajor:             uint32(i / 100), // the event's number, as the server reads it
		VersionMinor:             uint32(i % 100),
		OperatingSystem:          telemetryv1.OperatingSystem_OPERATING_SYSTEM_MACOS,
		Language:                 "fr",
		Output:                   telemetryv1.OutputKind_OUTPUT_KIND_FILE,
		ModelCount:               4,
		PrintTimeS:               11_710,
		SlicingTimeMs:            91,
	}
}

// fields is the same output as names and values.
func fields() map[string]any {
	return map[string]any{
		"machine":                    "koonovo_elf",
		"machine_settings_changed":   false,
		"extruder_count":             1,
		"extruders.0.material_type":  "PETG",
		"extruders.0.material_brand": "Fiberlogy HD",
		"extruders.0.used_mg":        38_291,
		"extruders.0.used_mm":        12_827,
		"extruders.0.nozzle_um":      600,
		"layer_height_um":            160,
		"wall_count":                 4,
		"infill_density_percent":     30,
		"infill_pattern":             "grid",
		"gradual_infill_steps":       0,
		"support":                    true,
		"adhesion":                   "none",
		"prime_tower":                false,
		"retraction":                 false,
		"print_sequence":             "all_at_once",
		"nozzle_temperature_celsius": 230,
		"bed_temperature_celsius":    50,
		"speed_mm_per_s":             190,
		"intent":                     "default",
		"quality":                    "normal",
		"mode":                       "recommended",
		"changed_settings.0":         "small_feature_speed_factor",
		"changed_settings.1":         "speed_travel",
		"changed_settings_count":     2,
		"application":                "prusaslicer",
		"version_major":              2,
		"version_minor":              9,
		"operating_system":           "macos",
		"language":                   "fr",
		"output":                     "file",
		"model_count":                4,
		"print_time_s":               11_710,
		"slicing_time_ms":            91,
	}
}

// marker is the text by which the server tells events apart.
func marker(i int) string { return fmt.Sprintf("evt-%06d", i) }
