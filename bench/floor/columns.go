package floor

import (
	"errors"

	"github.com/ClickHouse/ch-go/proto"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/slicemetry/slicemetry/internal/column"
)

// columns are the columns of raw.slices, by their names.
type columns struct {
	period      proto.ColDate
	unit, batch proto.ColUInt64
	idx         proto.ColUInt16

	numbers   [maxField + 1]number // by field number of a slice
	texts     [maxField + 1]column.Names
	settings  column.Names
	ends      proto.ColUInt64 // of the lists of settings
	extruders proto.ColUInt64 // ends of the five columns below
	material  [3]column.Names // by field number of an extruder: type and brand
	used      [6]number       // likewise: milligrams, millimetres, nozzle
}

const maxField = 31

var errWire = errors.New("floor: not a request")

// fieldColumn is what is known of a field of a slice.
type fieldColumn struct {
	name string
	kind kind
}

type kind byte

const (
	none kind = iota
	octet
	word
	long
	optional
	name
)

// fields are those of a slice, by number; settings and extruders are apart.
var fields = [maxField + 1]fieldColumn{
	1: {"machine", name}, 2: {"machine_settings_changed", octet}, 3: {"extruder_count", octet},
	5: {"layer_height_um", word}, 6: {"wall_count", optional}, 7: {"infill_density_percent", optional}, 8: {"infill_pattern", octet},
	9: {"gradual_infill_steps", optional}, 10: {"support", octet}, 11: {"adhesion", octet}, 12: {"prime_tower", octet},
	13: {"retraction", octet}, 14: {"print_sequence", octet}, 15: {"nozzle_temperature_celsius", word}, 16: {"bed_temperature_celsius", octet},
	17: {"speed_mm_per_s", word}, 18: {"intent", name}, 19: {"quality", name}, 20: {"mode", octet},
	22: {"changed_settings_count", optional}, 23: {"application", name}, 24: {"version_major", octet}, 25: {"version_minor", octet},
	26: {"operating_system", octet}, 27: {"language", name}, 28: {"output", octet}, 29: {"model_count", octet},
	30: {"print_time_s", long}, 31: {"slicing_time_ms", long},
}

// addRequest appends a request's rows.
func (c *columns) addRequest(b []byte) error {
	_, batch, rest, err := field(b)
	if err != nil || len(rest) > 0 {
		return errWire
	}
	return c.addBatch(batch)
}

func (c *columns) addBatch(b []byte) error {
	var unit, id, period uint64
	idx := uint16(0)
	for len(b) > 0 {
		tag, v, rest, err := field(b)
		if err != nil {
			return err
		}
		b = rest
		switch tag >> 3 {
		case 1:
			unit = first8(v)
		case 2:
			id = first8(v)
		case 3:
			period, _ = protowire.ConsumeVarint(v)
		case 5:
			c.period = append(c.period, proto.Date(period))
			c.unit = append(c.unit, unit)
			c.batch = append(c.batch, id)
			c.idx = append(c.idx, idx)
			idx++
			if err := c.addSlice(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func first8(v []byte) (n uint64) {
	for i := range min(8, len(v)) {
		n = n<<8 | uint64(v[i])
	}
	return n
}

func (c *columns) addSlice(b []byte) error {
	var numbers [maxField + 1]uint32
	var present uint32
	var texts [maxField + 1][]byte
	for len(b) > 0 {
		tag, v, rest, err := field(b)
		if err != nil {
			return err
		}
		b = rest
		n := tag >> 3
		switch {
		case n == 21:
			c.settings.AppendOctets(v)
		case n == 4:
			if err := c.addExtruder(v); err != nil {
				return err
			}
		case n > maxField:
		case tag&7 == 0:
			value, _ := protowire.ConsumeVarint(v)
			numbers[n] = uint32(value)
			present |= 1 << n
		default:
			texts[n] = v
		}
	}
	c.ends = append(c.ends, uint64(c.settings.Rows()))
	c.extruders = append(c.extruders, uint64(len(c.used[3].long)))
	for n := range fields {
		switch fields[n].kind {
		case none:
		case name:
			c.texts[n].AppendOctets(texts[n])
		default:
			c.numbers[n].append(fields[n].kind, numbers[n], present&(1<<n) != 0)
		}
	}
	return nil
}

func (c *columns) addExtruder(b []byte) error {
	var numbers [6]uint32
	var texts [6][]byte
	for len(b) > 0 {
		tag, v, rest, err := field(b)
		if err != nil {
			return err
		}
		b = rest
		switch n := tag >> 3; {
		case n > 5:
		case tag&7 == 0:
			value, _ := protowire.ConsumeVarint(v)
			numbers[n] = uint32(value)
		default:
			texts[n] = v
		}
	}
	c.material[1].AppendOctets(texts[1])
	c.material[2].AppendOctets(texts[2])
	c.used[3].append(long, numbers[3], true)
	c.used[4].append(long, numbers[4], true)
	c.used[5].append(word, numbers[5], true)
	return nil
}

// field cuts the first field off: its tag, and its octets, which are a number's
// own or what follows a length.
func field(b []byte) (tag uint64, v, rest []byte, err error) {
	tag, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, nil, nil, errWire
	}
	b = b[n:]
	switch tag & 7 {
	case 0:
		_, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return 0, nil, nil, errWire
		}
		return tag, b[:n], b[n:], nil
	case 2:
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return 0, nil, nil, errWire
		}
		return tag, v, b[n:], nil
	}
	return 0, nil, nil, errWire
}

func (c *columns) rows() int { return len(c.idx) }

func (c *columns) reset(types map[string]proto.ColumnType) {
	for _, in := range c.input(types) {
		in.Data.(proto.Resettable).Reset()
	}
}

// input names the columns; types has those that ch-go cannot know, the choices'.
func (c *columns) input(types map[string]proto.ColumnType) proto.Input {
	input := proto.Input{
		{Name: "period", Data: &c.period}, {Name: "unit", Data: &c.unit}, {Name: "batch", Data: &c.batch}, {Name: "idx", Data: &c.idx},
		{Name: "changed_settings", Data: column.List{Ends: &c.ends, Items: &c.settings}},
		{Name: "extruders.material_type", Data: column.List{Ends: &c.extruders, Items: &c.material[1]}},
		{Name: "extruders.material_brand", Data: column.List{Ends: &c.extruders, Items: &c.material[2]}},
		{Name: "extruders.used_mg", Data: column.List{Ends: &c.extruders, Items: &c.used[3].long}},
		{Name: "extruders.used_mm", Data: column.List{Ends: &c.extruders, Items: &c.used[4].long}},
		{Name: "extruders.nozzle_um", Data: column.List{Ends: &c.extruders, Items: &c.used[5].word}},
	}
	for n := range fields {
		switch fields[n].kind {
		case none:
		case name:
			input = append(input, proto.InputColumn{Name: fields[n].name, Data: &c.texts[n]})
		default:
			data := c.numbers[n].column(fields[n].kind)
			if t, choice := types[fields[n].name]; choice { // all of them are octets
				data = proto.Alias(&c.numbers[n].octet, t)
			}
			input = append(input, proto.InputColumn{Name: fields[n].name, Data: data})
		}
	}
	return input
}

// number is a column of numbers, of which one kind is in use.
type number struct {
	octet    proto.ColUInt8
	word     proto.ColUInt16
	long     proto.ColUInt32
	optional column.Optional
}

func (n *number) append(k kind, value uint32, present bool) {
	switch {
	case k == octet:
		n.octet = append(n.octet, uint8(value))
	case k == word:
		n.word = append(n.word, uint16(value))
	case k == long:
		n.long = append(n.long, value)
	case present:
		n.optional.Append(&value)
	default:
		n.optional.Append(nil)
	}
}

func (n *number) column(k kind) proto.ColInput {
	switch k {
	case octet:
		return &n.octet
	case word:
		return &n.word
	case long:
		return &n.long
	}
	return &n.optional
}
