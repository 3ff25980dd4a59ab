package sink

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/column"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// sliceColumns are the columns of raw.slices. A test holds them against the
// table: its names, types and order.
type sliceColumns struct {
	period      proto.ColDate
	unit, batch proto.ColUInt64
	idx         proto.ColUInt16

	machine       column.Names
	extruderCount proto.ColUInt8

	extruders                   proto.ColUInt64 // where each row's extruders end, in the five columns below
	materialType, materialBrand column.Names
	usedMg, usedMm              proto.ColUInt32
	nozzle                      proto.ColUInt16

	layerHeight                     proto.ColUInt16
	walls, density, gradual         column.Optional
	nozzleTemperature, speed        proto.ColUInt16
	bedTemperature                  proto.ColUInt8
	intent, quality                 column.Names
	changed                         column.Names
	changedEnds                     proto.ColUInt64
	changedCount                    column.Optional
	application, language           column.Names
	major, minor, models            proto.ColUInt8
	printTime, slicingTime          proto.ColUInt32
	machineSettings, pattern        proto.ColEnum8
	support, adhesion               proto.ColEnum8
	primeTower, retraction          proto.ColEnum8
	sequence, mode, system, outputs proto.ColEnum8
}

func (c *sliceColumns) append(rows *scrub.Rows, idx uint16, s *telemetryv1.Slice) {
	c.period = append(c.period, proto.Date(rows.Period()))
	c.unit.Append(rows.Unit())
	c.batch.Append(rows.Batch())
	c.idx.Append(idx)

	c.machine.Append(s.Machine)
	c.machineSettings.Append(proto.Enum8(s.MachineSettingsChanged))
	c.extruderCount.Append(uint8(s.ExtruderCount))
	c.appendExtruders(s.Extruders)

	c.layerHeight.Append(uint16(s.LayerHeightUm))
	c.walls.Append(s.WallCount)
	c.density.Append(s.InfillDensityPercent)
	c.pattern.Append(proto.Enum8(s.InfillPattern))
	c.gradual.Append(s.GradualInfillSteps)
	c.support.Append(proto.Enum8(s.Support))
	c.adhesion.Append(proto.Enum8(s.Adhesion))
	c.primeTower.Append(proto.Enum8(s.PrimeTower))
	c.retraction.Append(proto.Enum8(s.Retraction))
	c.sequence.Append(proto.Enum8(s.PrintSequence))
	c.nozzleTemperature.Append(uint16(s.NozzleTemperatureCelsius))
	c.bedTemperature.Append(uint8(s.BedTemperatureCelsius))
	c.speed.Append(uint16(s.SpeedMmPerS))
	c.intent.Append(s.Intent)
	c.quality.Append(s.Quality)
	c.mode.Append(proto.Enum8(s.Mode))
	for _, setting := range s.ChangedSettings {
		c.changed.Append(setting)
	}
	c.changedEnds.Append(uint64(c.changed.Rows()))
	c.changedCount.Append(s.ChangedSettingsCount)

	c.application.Append(s.Application)
	c.major.Append(uint8(s.VersionMajor))
	c.minor.Append(uint8(s.VersionMinor))
	c.system.Append(proto.Enum8(s.OperatingSystem))
	c.language.Append(s.Language)
	c.outputs.Append(proto.Enum8(s.Output))
	c.models.Append(uint8(s.ModelCount))
	c.printTime.Append(s.PrintTimeS)
	c.slicingTime.Append(s.SlicingTimeMs)
}

func (c *sliceColumns) appendExtruders(extruders []*telemetryv1.Extruder) {
	for _, e := range extruders {
		c.materialType.Append(e.MaterialType)
		c.materialBrand.Append(e.MaterialBrand)
		c.usedMg.Append(e.UsedMg)
		c.usedMm.Append(e.UsedMm)
		c.nozzle.Append(uint16(e.NozzleUm))
	}
	c.extruders.Append(uint64(c.usedMg.Rows()))
}

// input names the columns, in the table's order.
func (c *sliceColumns) input() proto.Input {
	return proto.Input{
		{Name: "period", Data: &c.period}, {Name: "unit", Data: &c.unit}, {Name: "batch", Data: &c.batch}, {Name: "idx", Data: &c.idx},
		{Name: "machine", Data: &c.machine},
		choice("machine_settings_changed", &c.machineSettings),
		{Name: "extruder_count", Data: &c.extruderCount},
		{Name: "extruders.material_type", Data: column.List{Ends: &c.extruders, Items: &c.materialType}},
		{Name: "extruders.material_brand", Data: column.List{Ends: &c.extruders, Items: &c.materialBrand}},
		{Name: "extruders.used_mg", Data: column.List{Ends: &c.extruders, Items: &c.usedMg}},
		{Name: "extruders.used_mm", Data: column.List{Ends: &c.extruders, Items: &c.usedMm}},
		{Name: "extruders.nozzle_um", Data: column.List{Ends: &c.extruders, Items: &c.nozzle}},
		{Name: "layer_height_um", Data: &c.layerHeight},
		{Name: "wall_count", Data: &c.walls},
		{Name: "infill_density_percent", Data: &c.density},
		choice("infill_pattern", &c.pattern),
		{Name: "gradual_infill_steps", Data: &c.gradual},
		choice("support", &c.support),
		choice("adhesion", &c.adhesion),
		choice("prime_tower", &c.primeTower),
		choice("retraction", &c.retraction),
		choice("print_sequence", &c.sequence),
		{Name: "nozzle_temperature_celsius", Data: &c.nozzleTemperature},
		{Name: "bed_temperature_celsius", Data: &c.bedTemperature},
		{Name: "speed_mm_per_s", Data: &c.speed},
		{Name: "intent", Data: &c.intent},
		{Name: "quality", Data: &c.quality},
		choice("mode", &c.mode),
		{Name: "changed_settings", Data: column.List{Ends: &c.changedEnds, Items: &c.changed}},
		{Name: "changed_settings_count", Data: &c.changedCount},
		{Name: "application", Data: &c.application},
		{Name: "version_major", Data: &c.major},
		{Name: "version_minor", Data: &c.minor},
		choice("operating_system", &c.system),
		{Name: "language", Data: &c.language},
		choice("output", &c.outputs),
		{Name: "model_count", Data: &c.models},
		{Name: "print_time_s", Data: &c.printTime},
		{Name: "slicing_time_ms", Data: &c.slicingTime},
	}
}

// choice is the column of an enumeration, whose type the table spells out.
func choice(path string, data *proto.ColEnum8) proto.InputColumn {
	return proto.InputColumn{Name: path, Data: proto.Alias(data, enumTypes[path])}
}

// enumTypes is computed once: the rules are read by reflection.
var enumTypes = func() map[string]proto.ColumnType {
	types := map[string]proto.ColumnType{}
	for _, path := range []string{"machine_settings_changed", "infill_pattern", "support", "adhesion", "prime_tower",
		"retraction", "print_sequence", "mode", "operating_system", "output"} {
		types[path] = enumType(path)
	}
	return types
}()
