// Package cura imports the slice information that Cura sends, in both of its
// forms: nested up to version 5.8, flat since.
//
// It guarantees that nothing of a payload gets into an event but by a named
// field of a known type, coarsened by the same rules as a recorded event; that
// what is not used is reported, field by field, with the reason; and that no
// report, error or panic holds a value of the payload.
package cura

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// Import turns one payload into the event to record, with a report of what is
// dropped, generalised or bucketed, and why. What it returns is not coarse yet:
// recording makes it so.
func Import(data []byte) (*telemetryv1.Slice, *rules.Report, error) {
	p, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	i := &importer{payload: p, slice: &telemetryv1.Slice{Application: "cura"}, report: &rules.Report{}}
	i.machine()
	i.technical()
	i.settings()
	i.extruders()
	i.models()
	i.reportRest()
	rules.Coarsen(&telemetryv1.Slice{}, i.slice, 0, i.report)
	return i.slice, i.report, nil
}

// importer is one import under way.
type importer struct {
	payload payload
	slice   *telemetryv1.Slice
	report  *rules.Report
}

func (i *importer) machine() {
	i.slice.Machine = i.text("definition_id")
	i.slice.MachineSettingsChanged = i.flag("machine_settings_changed_by_user")
	if m, ok := catalog.MachineByID(i.slice.Machine); ok {
		i.slice.ExtruderCount = uint32(m.Extruders)
	}
}

func (i *importer) technical() {
	if language := i.text("language"); language != "" {
		i.slice.Language, _, _ = strings.Cut(strings.ToLower(language), "_")
	}
	i.slice.OperatingSystem = choice(i, "os_type", map[string]telemetryv1.OperatingSystem{
		"windows": telemetryv1.OperatingSystem_OPERATING_SYSTEM_WINDOWS,
		"darwin":  telemetryv1.OperatingSystem_OPERATING_SYSTEM_MACOS,
		"linux":   telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX,
	}, telemetryv1.OperatingSystem_OPERATING_SYSTEM_OTHER)
	i.slice.Mode = choice(i, "active_mode", map[string]telemetryv1.Mode{
		"recommended": telemetryv1.Mode_MODE_RECOMMENDED, "custom": telemetryv1.Mode_MODE_CUSTOM,
	}, telemetryv1.Mode_MODE_UNSPECIFIED)
	if output := i.text("output_to"); output != "" {
		kind, known := outputs[output]
		if !known {
			kind = "OUTPUT_KIND_OTHER"
			i.report.Add("output_to", rules.Generalised, notRecognised)
		}
		i.slice.Output = telemetryv1.OutputKind(telemetryv1.OutputKind_value[kind])
	}
	i.version()
	i.slice.PrintTimeS = i.number("print_time_total", 1)
	i.slice.SlicingTimeMs = i.number("engine_stats_time_backend", 1000)
}

// Versions such as "5.9.0-beta.1" count as 5.9; a developer's build has none.
var version = regexp.MustCompile(`^(\d{1,2})\.(\d{1,2})(?:\.|-|\+|$)`)

func (i *importer) version() {
	text := i.text("cura_version")
	if text == "" {
		return
	}
	parts := version.FindStringSubmatch(text)
	if parts == nil {
		i.report.Add("cura_version", rules.Dropped, notRecognised)
		return
	}
	major, _ := strconv.ParseUint(parts[1], 10, 32) // digits, by the expression
	minor, _ := strconv.ParseUint(parts[2], 10, 32)
	i.slice.VersionMajor, i.slice.VersionMinor = uint32(major), uint32(minor)
}

func (i *importer) settings() {
	s := i.slice
	s.Intent, s.Quality = i.text("intent_category"), i.text("quality_profile")
	s.LayerHeightUm = i.number("layer_height", 1000)
	s.Support, s.Retraction, s.PrimeTower = i.flag("support_enabled"), i.flag("retraction_enable"), i.flag("prime_tower_enable")
	s.WallCount, s.InfillDensityPercent = i.optional("wall_line_count"), i.optional("infill_sparse_density")
	s.GradualInfillSteps = i.optional("gradual_infill_steps")
	s.Adhesion = choice(i, "adhesion_type", map[string]telemetryv1.Adhesion{
		"none": telemetryv1.Adhesion_ADHESION_NONE, "skirt": telemetryv1.Adhesion_ADHESION_SKIRT,
		"brim": telemetryv1.Adhesion_ADHESION_BRIM, "raft": telemetryv1.Adhesion_ADHESION_RAFT,
	}, telemetryv1.Adhesion_ADHESION_OTHER)
	s.PrintSequence = choice(i, "print_sequence", map[string]telemetryv1.PrintSequence{
		"all_at_once":   telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		"one_at_a_time": telemetryv1.PrintSequence_PRINT_SEQUENCE_ONE_AT_A_TIME,
	}, telemetryv1.PrintSequence_PRINT_SEQUENCE_UNSPECIFIED)
	s.InfillPattern = choice(i, "infill_pattern", patterns, telemetryv1.InfillPattern_INFILL_PATTERN_OTHER)
	i.changedSettings()
}

// patterns are Cura's names of infill patterns: those of the protocol, but for
// one that is called "tetrahedral" there and one with "3d" in it.
var patterns = func() map[string]telemetryv1.InfillPattern {
	byName := map[string]telemetryv1.InfillPattern{}
	for name, number := range telemetryv1.InfillPattern_value {
		byName[strings.ToLower(strings.TrimPrefix(name, "INFILL_PATTERN_"))] = telemetryv1.InfillPattern(number)
	}
	return byName
}()

// changedSettings takes the keys as a list or, as early versions sent them, as
// one text. All of them are counted; a sample of the listed ones is kept.
func (i *importer) changedSettings() {
	const name = "user_modified_setting_keys"
	var keys []string
	switch v := i.payload[name].(type) {
	case nil:
		return
	case string:
		if v != "" {
			keys = strings.Split(v, ",")
		}
	case []any:
		for _, element := range v {
			if key, ok := element.(string); ok {
				keys = append(keys, key)
			}
		}
	default:
		i.report.Add(name, rules.Dropped, wrongType)
		return
	}
	i.slice.ChangedSettings = keys
	i.slice.ChangedSettingsCount = proto.Uint32(uint32(len(keys)))
}

// models counts the models: as many as the longest list about them has.
func (i *importer) models() {
	count := 0
	for _, name := range []string{"models_hash", "models_extruder", "models_mime_type"} {
		if list, ok := i.payload[name].([]any); ok {
			count = max(count, len(list))
		}
	}
	i.slice.ModelCount = uint32(count)
}

// reportRest reports every field that is present and not imported. The name of
// an unknown field may be somebody's data, so it is not repeated.
func (i *importer) reportRest() {
	for _, name := range i.payload.names() {
		reason, known := fields[name]
		switch {
		case !known:
			i.report.Add("(unknown)", rules.Dropped, unknownField)
		case reason != "":
			i.report.Add(name, rules.Dropped, reason)
		}
	}
}

func (p payload) names() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// text returns a field that is a text, "" where it is missing.
func (i *importer) text(name string) string {
	switch v := i.payload[name].(type) {
	case nil:
		return ""
	case string:
		return v
	}
	i.report.Add(name, rules.Dropped, wrongType)
	return ""
}

func (i *importer) flag(name string) telemetryv1.Flag {
	switch v := i.payload[name].(type) {
	case nil:
		return telemetryv1.Flag_FLAG_UNSPECIFIED
	case bool:
		if v {
			return telemetryv1.Flag_FLAG_YES
		}
		return telemetryv1.Flag_FLAG_NO
	}
	i.report.Add(name, rules.Dropped, wrongType)
	return telemetryv1.Flag_FLAG_UNSPECIFIED
}

// number returns a field times a factor, rounded; 0 where it is missing.
func (i *importer) number(name string, factor float64) uint32 {
	if n := i.numberOf(name, i.payload[name], factor); n != nil {
		return *n
	}
	return 0
}

// optional returns a field where 0 is a value of its own.
func (i *importer) optional(name string) *uint32 { return i.numberOf(name, i.payload[name], 1) }

func (i *importer) numberOf(name string, value any, factor float64) *uint32 {
	if value == nil {
		return nil
	}
	text, ok := value.(json.Number)
	if !ok {
		i.report.Add(name, rules.Dropped, wrongType)
		return nil
	}
	n, err := text.Float64()
	n = math.Round(n * factor)
	if err != nil || !(n >= 0 && n <= math.MaxUint32) { // so written that NaN fails
		i.report.Add(name, rules.Dropped, outOfRange)
		return nil
	}
	return proto.Uint32(uint32(n))
}

// choice looks a text up; other is what an unknown one becomes.
func choice[E ~int32](i *importer, name string, known map[string]E, other E) E {
	text := i.text(name)
	if text == "" {
		return 0
	}
	if e, ok := known[strings.ToLower(text)]; ok {
		return e
	}
	i.report.Add(name, rules.Generalised, notRecognised)
	return other
}
