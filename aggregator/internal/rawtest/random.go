package rawtest

import (
	"math/rand/v2"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// Random returns rows of about that many units: most of them ordinary, some of
// units that do everything too much, some with values that nobody may send, some
// of another period, some twice.
func Random(random *rand.Rand, p period.Period, units int) []Row {
	var rows []Row
	for range units {
		unit := random.Uint64()
		n := 1 + random.IntN(6)
		if random.IntN(20) == 0 {
			n = 100 + random.IntN(100) // far above every cap
		}
		for i := range n {
			r := Row{Period: p, Unit: unit, Batch: uint64(i / 50), Index: uint16(i % 50)}
			if random.IntN(10) == 0 {
				r.Period = p.Previous()
			}
			r.Slice = RandomSlice(random)
			rows = append(rows, r)
			if random.IntN(10) == 0 {
				rows = append(rows, r) // a batch that was sent again
			}
			if i%50 == 0 {
				rows = append(rows, Row{Period: r.Period, Unit: unit, Batch: r.Batch, Counters: &telemetryv1.UsageCounters{
					SlicesStarted: number(random, 300), SlicesFinished: number(random, 30), SlicesFailed: number(random, 30), SlicesCancelled: number(random, 3),
				}})
			}
		}
	}
	return rows
}

func number(random *rand.Rand, limit uint32) uint32 {
	if random.IntN(20) == 0 {
		return 1<<32 - 1
	}
	return random.Uint32N(limit)
}

// RandomSlice returns a slice of random values, a few of them outside of what
// the rules allow.
func RandomSlice(random *rand.Rand) *telemetryv1.Slice {
	s := &telemetryv1.Slice{}
	for range random.IntN(4) {
		e := &telemetryv1.Extruder{}
		fill(random, "Slice", "extruders.", e.ProtoReflect())
		s.Extruders = append(s.Extruders, e)
	}
	fill(random, "Slice", "", s.ProtoReflect())
	return s
}

func fill(random *rand.Rand, message, prefix string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		field, ok := rules.FieldByPath(message, prefix+string(f.Name()))
		if !ok || random.IntN(6) == 0 {
			continue // not reported
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for range random.IntN(5) {
				list.Append(text(random, field))
			}
			continue
		}
		switch f.Kind() {
		case protoreflect.StringKind:
			m.Set(f, text(random, field))
		case protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(f.Enum().Values().Len()))))
		case protoreflect.Uint32Kind:
			numbers := field.Numbers()
			value := numbers[random.IntN(len(numbers))]
			if random.IntN(10) == 0 {
				value++ // off the grid; fits into the column
			}
			m.Set(f, protoreflect.ValueOfUint32(value))
		}
	}
}

// text prefers the first names of a list, so that units meet in cells.
func text(random *rand.Rand, field rules.Field) protoreflect.Value {
	names := field.Names()
	if random.IntN(20) == 0 {
		return protoreflect.ValueOfString(`o'brien\ "; DROP TABLE raw.slices --`)
	}
	if random.IntN(2) == 0 {
		names = names[:min(len(names), 5)]
	}
	return protoreflect.ValueOfString(names[random.IntN(len(names))])
}
