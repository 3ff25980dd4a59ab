package sink

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// sliceColumns are the columns of raw.slices. A test holds them against the
// table: its names, types and order.
type sliceColumns struct {
	period      proto.ColDate
	unit, batch proto.ColUInt64
	idx         proto.ColUInt16

	machine       *text
	extruderCount proto.ColUInt8

	materialType, materialBrand textArray
	usedMg, usedMm              numberArray[proto.ColUInt32]
	nozzle                      numberArray[proto.ColUInt16]

	layerHeight                     proto.ColUInt16
	walls, density, gradual         optional
	nozzleTemperature, speed        proto.ColUInt16
	bedTemperature                  proto.ColUInt8
	intent, quality                 *text
	changed                         textArray
	changedCount                    optional
	application, language           *text
	major, minor, models            proto.ColUInt8
	printTime, slicingTime          proto.ColUInt32
	machineSettings, pattern        proto.ColEnum8
	support, adhesion               proto.ColEnum8
	primeTower, retraction          proto.ColEnum8
	sequence, mode, system, outputs proto.ColEnum8
}

// text is a column of names: a dictionary and a number a row.
type text = proto.ColLowCardinality[string]

func newText() *text { return new(proto.ColStr).LowCardinality() }

func (c *sliceColumns) init() {
	for _, column := range []**text{&c.machine, &c.intent, &c.quality, &c.application, &c.language,
		&c.materialType.names, &c.materialBrand.names, &c.changed.names} {
		*column = newText()
	}
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
	c.walls.append(s.WallCount)
	c.density.append(s.InfillDensityPercent)
	c.pattern.Append(proto.Enum8(s.InfillPattern))
	c.gradual.append(s.GradualInfillSteps)
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
	c.changed.append(s.ChangedSettings...)
	c.changedCount.append(s.ChangedSettingsCount)

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
		c.materialType.names.Append(e.MaterialType)
		c.materialBrand.names.Append(e.MaterialBrand)
		c.usedMg.values.Append(e.UsedMg)
		c.usedMm.values.Append(e.UsedMm)
		c.nozzle.values.Append(uint16(e.NozzleUm))
	}
	c.materialType.end()
	c.materialBrand.end()
	c.usedMg.end(c.usedMg.values.Rows())
	c.usedMm.end(c.usedMm.values.Rows())
	c.nozzle.end(c.nozzle.values.Rows())
}

// input names the columns, in the table's order.
func (c *sliceColumns) input() proto.Input {
	return proto.Input{
		{Name: "period", Data: &c.period}, {Name: "unit", Data: &c.unit}, {Name: "batch", Data: &c.batch}, {Name: "idx", Data: &c.idx},
		{Name: "machine", Data: c.machine},
		choice("machine_settings_changed", &c.machineSettings),
		{Name: "extruder_count", Data: &c.extruderCount},
		{Name: "extruders.material_type", Data: c.materialType.column()},
		{Name: "extruders.material_brand", Data: c.materialBrand.column()},
		{Name: "extruders.used_mg", Data: array(c.usedMg.offsets, &c.usedMg.values)},
		{Name: "extruders.used_mm", Data: array(c.usedMm.offsets, &c.usedMm.values)},
		{Name: "extruders.nozzle_um", Data: array(c.nozzle.offsets, &c.nozzle.values)},
		{Name: "layer_height_um", Data: &c.layerHeight},
		{Name: "wall_count", Data: c.walls.column()},
		{Name: "infill_density_percent", Data: c.density.column()},
		choice("infill_pattern", &c.pattern),
		{Name: "gradual_infill_steps", Data: c.gradual.column()},
		choice("support", &c.support),
		choice("adhesion", &c.adhesion),
		choice("prime_tower", &c.primeTower),
		choice("retraction", &c.retraction),
		choice("print_sequence", &c.sequence),
		{Name: "nozzle_temperature_celsius", Data: &c.nozzleTemperature},
		{Name: "bed_temperature_celsius", Data: &c.bedTemperature},
		{Name: "speed_mm_per_s", Data: &c.speed},
		{Name: "intent", Data: c.intent},
		{Name: "quality", Data: c.quality},
		choice("mode", &c.mode),
		{Name: "changed_settings", Data: c.changed.column()},
		{Name: "changed_settings_count", Data: c.changedCount.column()},
		{Name: "application", Data: c.application},
		{Name: "version_major", Data: &c.major},
		{Name: "version_minor", Data: &c.minor},
		choice("operating_system", &c.system),
		{Name: "language", Data: c.language},
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

// textArray is a column of lists of names.
type textArray struct {
	names   *text
	offsets proto.ColUInt64
}

func (a *textArray) append(names ...string) {
	for _, name := range names {
		a.names.Append(name)
	}
	a.end()
}

// end ends a row's list.
func (a *textArray) end() { a.offsets.Append(uint64(len(a.names.Values))) }

func (a *textArray) column() *proto.ColArr[string] {
	return &proto.ColArr[string]{Offsets: a.offsets, Data: a.names}
}

// numberArray is a column of lists of numbers.
type numberArray[C any] struct {
	values  C
	offsets proto.ColUInt64
}

func (a *numberArray[C]) end(values int) { a.offsets.Append(uint64(values)) }

func array[T any](offsets proto.ColUInt64, values proto.ColumnOf[T]) *proto.ColArr[T] {
	return &proto.ColArr[T]{Offsets: offsets, Data: values}
}

// optional is a column of small numbers that may be missing.
type optional struct {
	nulls  proto.ColUInt8
	values proto.ColUInt8
}

func (o *optional) append(value *uint32) {
	if value == nil {
		o.nulls.Append(1)
		o.values.Append(0)
		return
	}
	o.nulls.Append(0)
	o.values.Append(uint8(*value))
}

func (o *optional) column() *proto.ColNullable[uint8] {
	return &proto.ColNullable[uint8]{Nulls: o.nulls, Values: &o.values}
}
