package sink

import "github.com/ClickHouse/ch-go/proto"

// names is a LowCardinality(String) column as ClickHouse takes it: a dictionary,
// which is built while rows are appended, and a number a row. The catalogue has
// far fewer than 65,536 names, so that two octets are enough for one.
type names struct {
	numbers    map[string]uint16
	dictionary proto.ColStr
	rows       proto.ColUInt16
	last       string // the row before often has the same name
	lastNumber uint16
}

// The format of a dictionary column: a version, then for each block what follows
// and how wide the numbers are.
const (
	dictionaryVersion = 1
	dictionaryFollows = 1<<9 | 1<<10 // additional keys, and they replace the last block's
	numbersOf2Octets  = 1
)

func (c *names) Append(name string) {
	if name != c.last || len(c.rows) == 0 {
		c.last, c.lastNumber = name, c.number(name)
	}
	c.rows = append(c.rows, c.lastNumber)
}

func (c *names) number(name string) uint16 {
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
func (c *names) Reset() {
	clear(c.numbers)
	c.dictionary.Reset()
	c.rows, c.last = c.rows[:0], ""
}

// Type implements proto.ColInput.
func (c *names) Type() proto.ColumnType {
	return proto.ColumnTypeLowCardinality.Sub(proto.ColumnTypeString)
}

// Rows implements proto.ColInput.
func (c *names) Rows() int { return len(c.rows) }

// EncodeState implements proto.StateEncoder.
func (c *names) EncodeState(b *proto.Buffer) { b.PutInt64(dictionaryVersion) }

// EncodeColumn implements proto.ColInput.
func (c *names) EncodeColumn(b *proto.Buffer) {
	if len(c.rows) == 0 {
		return
	}
	c.encodeHead(b)
	c.dictionary.EncodeColumn(b)
	b.PutInt64(int64(len(c.rows)))
	c.rows.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (c *names) WriteColumn(w *proto.Writer) {
	if len(c.rows) == 0 {
		return
	}
	w.ChainBuffer(c.encodeHead)
	c.dictionary.WriteColumn(w)
	w.ChainBuffer(func(b *proto.Buffer) { b.PutInt64(int64(len(c.rows))) })
	c.rows.WriteColumn(w)
}

func (c *names) encodeHead(b *proto.Buffer) {
	b.PutInt64(dictionaryFollows | numbersOf2Octets)
	b.PutInt64(int64(c.dictionary.Rows()))
}

// list is a column of lists: where each row's ends, and the items of all rows.
type list struct {
	ends  *proto.ColUInt64
	items proto.ColInput
}

// Type implements proto.ColInput.
func (l list) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(l.items.Type()) }

// Rows implements proto.ColInput.
func (l list) Rows() int { return len(*l.ends) }

// EncodeState implements proto.StateEncoder.
func (l list) EncodeState(b *proto.Buffer) {
	if items, ok := l.items.(proto.StateEncoder); ok {
		items.EncodeState(b)
	}
}

// EncodeColumn implements proto.ColInput.
func (l list) EncodeColumn(b *proto.Buffer) {
	l.ends.EncodeColumn(b)
	l.items.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (l list) WriteColumn(w *proto.Writer) {
	l.ends.WriteColumn(w)
	l.items.WriteColumn(w)
}

// Reset implements proto.Resettable.
func (l list) Reset() {
	l.ends.Reset()
	l.items.(proto.Resettable).Reset()
}

// optional is a column of small numbers that may be missing.
type optional struct {
	nulls, values proto.ColUInt8
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

// Type implements proto.ColInput.
func (o *optional) Type() proto.ColumnType {
	return proto.ColumnTypeNullable.Sub(proto.ColumnTypeUInt8)
}

// Rows implements proto.ColInput.
func (o *optional) Rows() int { return o.nulls.Rows() }

// EncodeColumn implements proto.ColInput.
func (o *optional) EncodeColumn(b *proto.Buffer) {
	o.nulls.EncodeColumn(b)
	o.values.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (o *optional) WriteColumn(w *proto.Writer) {
	o.nulls.WriteColumn(w)
	o.values.WriteColumn(w)
}

// Reset implements proto.Resettable.
func (o *optional) Reset() {
	o.nulls.Reset()
	o.values.Reset()
}
