package sink

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// block gathers the rows of one period until they are inserted, each table's as
// columns. It is owned by the sink's lock while it grows and by one inserter
// afterwards.
type block struct {
	period  period.Period
	born    time.Time
	taken   time.Time // by its inserter
	commit  *Commit   // what its callers wait for
	token   string    // of the insert, the same for each attempt
	events  int       // slices, what the accounting counts
	pending int       // what it holds of the sink's bound
	batches int

	slices   sliceColumns
	counters counterColumns
	erasures erasureColumns
	origins  map[netip.Prefix]origin
}

func newBlock() *block { return &block{origins: map[netip.Prefix]origin{}} }

// reset empties a block for another period's rows and keeps its memory.
func (b *block) reset(p period.Period, now time.Time, token string) {
	b.period, b.born, b.token, b.commit = p, now, token, &Commit{done: make(chan struct{})}
	b.events, b.pending, b.batches = 0, 0, 0
	clear(b.origins)
	for _, t := range b.tables() {
		for _, column := range t.input {
			column.Data.(proto.Resettable).Reset()
		}
	}
}

// table is a table's name and its columns.
type table struct {
	name  string
	input proto.Input
}

// tables are those that a batch has to be stored in.
func (b *block) tables() []table {
	return []table{{"slices", b.slices.input()}, {"counters", b.counters.input()}, {"erasures", b.erasures.input()}}
}

// rows is how many rows the largest of the inserts has.
func (b *block) rows() int { return max(b.events, b.batches) }

// add copies a batch's rows into the columns.
func (b *block) add(rows *scrub.Rows) {
	b.batches++
	if rows.Erasure() {
		b.erasures.append(rows)
		return
	}
	for i, s := range rows.Slices() {
		b.slices.append(rows, uint16(i), s)
	}
	if c := rows.Counters(); c != nil {
		b.counters.append(rows, c)
	}
	if prefix := rows.Origin(); prefix.IsValid() {
		o := b.origins[prefix]
		o.batches++
		o.events += uint64(len(rows.Slices()))
		b.origins[prefix] = o
	}
	b.events += len(rows.Slices())
}

// erasureColumns are the columns of raw.erasures.
type erasureColumns struct {
	period proto.ColDate
	unit   proto.ColUInt64
}

func (c *erasureColumns) append(rows *scrub.Rows) {
	c.period = append(c.period, proto.Date(rows.Period()))
	c.unit.Append(rows.Unit())
}

func (c *erasureColumns) input() proto.Input {
	return proto.Input{{Name: "period", Data: &c.period}, {Name: "unit", Data: &c.unit}}
}

// counterColumns are the columns of raw.counters.
type counterColumns struct {
	period                               proto.ColDate
	unit, batch                          proto.ColUInt64
	started, finished, failed, cancelled proto.ColUInt16
}

func (c *counterColumns) append(rows *scrub.Rows, u *telemetryv1.UsageCounters) {
	c.period = append(c.period, proto.Date(rows.Period()))
	c.unit.Append(rows.Unit())
	c.batch.Append(rows.Batch())
	c.started.Append(uint16(u.SlicesStarted))
	c.finished.Append(uint16(u.SlicesFinished))
	c.failed.Append(uint16(u.SlicesFailed))
	c.cancelled.Append(uint16(u.SlicesCancelled))
}

func (c *counterColumns) input() proto.Input {
	return proto.Input{
		{Name: "period", Data: &c.period}, {Name: "unit", Data: &c.unit}, {Name: "batch", Data: &c.batch},
		{Name: "slices_started", Data: &c.started}, {Name: "slices_finished", Data: &c.finished},
		{Name: "slices_failed", Data: &c.failed}, {Name: "slices_cancelled", Data: &c.cancelled},
	}
}

// enumType is the ClickHouse type of a field that is a choice.
func enumType(path string) proto.ColumnType {
	field, ok := rules.FieldByPath("Slice", path)
	if !ok {
		panic("sink: no field " + path) // the column list is a constant, so this is a defect that every start shows
	}
	values := []string{"'unspecified' = 0"}
	for i, name := range field.Names() {
		values = append(values, "'"+name+"' = "+strconv.Itoa(i+1))
	}
	return proto.ColumnType("Enum8(" + strings.Join(values, ", ") + ")")
}
