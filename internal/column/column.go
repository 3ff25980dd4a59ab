// Package column has the columns that ch-go lacks, or has only with a copy of every
// value: dictionaries, lists and optional numbers, which are filled in place,
// inserted, and emptied to be filled again.
package column

import "github.com/ClickHouse/ch-go/proto"

// Names is a LowCardinality(String) column as ClickHouse takes it: a dictionary,
// which is built while rows are appended, and a number a row. The catalogue has
// far fewer than 65,536 names, so that two octets are enough for one.
type Names struct {
	numbers    map[string]uint16
	dictionary proto.ColStr
	rows       proto.ColUInt16
	recent     [recentNames]numbered // spares most look-ups
}

// recentNames is how many names are found without hashing them, a power of two.
const recentNames = 64

type numbered struct {
	name   string
	number uint16
}

// The format of a dictionary column: a version, then for each block what follows
// and how wide the numbers are.
const (
	dictionaryVersion = 1
	dictionaryFollows = 1<<9 | 1<<10 // additional keys, and they replace the last block's
	numbersOf2Octets  = 1
)

// Append appends a name.
func (c *Names) Append(name string) {
	slot := len(name)
	if slot > 0 {
		slot += int(name[0]) + 5*int(name[slot-1]) + 3*int(name[slot/2])
	}
	found := &c.recent[slot%recentNames]
	if name == "" || found.name != name { // equal texts are mostly the same, which is seen at once
		*found = numbered{name, c.number(name)}
	}
	c.rows = append(c.rows, found.number)
}

// AppendOctets appends a name, which is copied where it is the first of its kind.
func (c *Names) AppendOctets(name []byte) {
	n, ok := c.numbers[string(name)]
	if !ok {
		n = c.number(string(name))
	}
	c.rows = append(c.rows, n)
}

func (c *Names) number(name string) uint16 {
	if n, ok := c.numbers[name]; ok {
		return n
	}
	if c.numbers == nil {
		c.numbers = map[string]uint16{}
	}
	n := uint16(len(c.numbers))
	c.numbers[name] = n
	c.dictionary.Append(name)
	return n
}

// Reset implements proto.Resettable.
func (c *Names) Reset() {
	clear(c.numbers)
	c.dictionary.Reset()
	c.rows, c.recent = c.rows[:0], [recentNames]numbered{}
}

// Type implements proto.ColInput.
func (c *Names) Type() proto.ColumnType {
	return proto.ColumnTypeLowCardinality.Sub(proto.ColumnTypeString)
}

// Rows implements proto.ColInput.
func (c *Names) Rows() int { return len(c.rows) }

// EncodeState implements proto.StateEncoder.
func (c *Names) EncodeState(b *proto.Buffer) { b.PutInt64(dictionaryVersion) }

// EncodeColumn implements proto.ColInput.
func (c *Names) EncodeColumn(b *proto.Buffer) {
	if len(c.rows) == 0 {
		return
	}
	c.encodeHead(b)
	c.dictionary.EncodeColumn(b)
	b.PutInt64(int64(len(c.rows)))
	c.rows.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (c *Names) WriteColumn(w *proto.Writer) {
	if len(c.rows) == 0 {
		return
	}
	w.ChainBuffer(c.encodeHead)
	c.dictionary.WriteColumn(w)
	w.ChainBuffer(func(b *proto.Buffer) { b.PutInt64(int64(len(c.rows))) })
	c.rows.WriteColumn(w)
}

func (c *Names) encodeHead(b *proto.Buffer) {
	b.PutInt64(dictionaryFollows | numbersOf2Octets)
	b.PutInt64(int64(c.dictionary.Rows()))
}

// List is a column of lists: where each row's ends, and the items of all rows.
type List struct {
	Ends  *proto.ColUInt64
	Items proto.ColInput
}

// Type implements proto.ColInput.
func (l List) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(l.Items.Type()) }

// Rows implements proto.ColInput.
func (l List) Rows() int { return len(*l.Ends) }

// EncodeState implements proto.StateEncoder.
func (l List) EncodeState(b *proto.Buffer) {
	if items, ok := l.Items.(proto.StateEncoder); ok {
		items.EncodeState(b)
	}
}

// EncodeColumn implements proto.ColInput.
func (l List) EncodeColumn(b *proto.Buffer) {
	l.Ends.EncodeColumn(b)
	l.Items.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (l List) WriteColumn(w *proto.Writer) {
	l.Ends.WriteColumn(w)
	l.Items.WriteColumn(w)
}

// Reset implements proto.Resettable.
func (l List) Reset() {
	l.Ends.Reset()
	l.Items.(proto.Resettable).Reset()
}

// Optional is a column of small numbers that may be missing.
type Optional struct {
	nulls, values proto.ColUInt8
}

// Append appends a number, or that there is none.
func (o *Optional) Append(value *uint32) {
	if value == nil {
		o.nulls.Append(1)
		o.values.Append(0)
		return
	}
	o.nulls.Append(0)
	o.values.Append(uint8(*value))
}

// Type implements proto.ColInput.
func (o *Optional) Type() proto.ColumnType {
	return proto.ColumnTypeNullable.Sub(proto.ColumnTypeUInt8)
}

// Rows implements proto.ColInput.
func (o *Optional) Rows() int { return o.nulls.Rows() }

// EncodeColumn implements proto.ColInput.
func (o *Optional) EncodeColumn(b *proto.Buffer) {
	o.nulls.EncodeColumn(b)
	o.values.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (o *Optional) WriteColumn(w *proto.Writer) {
	o.nulls.WriteColumn(w)
	o.values.WriteColumn(w)
}

// Reset implements proto.Resettable.
func (o *Optional) Reset() {
	o.nulls.Reset()
	o.values.Reset()
}
