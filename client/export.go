package client

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/client/internal/spool"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Format is how Export writes.
type Format string

// The formats.
const (
	JSONLines Format = "json" // one object a line; "event" reads back as telemetry.v1.Slice
	CSV       Format = "csv"  // one row an event, a column for each field that any of them has
)

// exported is one event as Export writes it.
type exported struct {
	State string         `json:"state"` // "filling", "waiting", "sent", "refused"
	Week  string         `json:"week"`
	Kind  string         `json:"kind"` // "slice" or "counters"
	Event map[string]any `json:"event"`

	message proto.Message
}

// Export writes everything recorded that is held on this device, the last sent
// batches included.
func (c *Client) Export(w io.Writer, format Format) (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	if err := c.drainQueue(context.Background()); err != nil {
		return err
	}
	var events []exported
	for _, b := range c.spool.Held() {
		for _, r := range b.Records {
			e, err := newExported(b, r)
			if err != nil {
				return fmt.Errorf("client: export: %w", err)
			}
			events = append(events, e)
		}
	}
	switch format {
	case JSONLines:
		err = writeLines(w, events)
	case CSV:
		err = writeTable(w, events)
	default:
		err = fmt.Errorf("%q is no format; there are %s and %s", format, JSONLines, CSV)
	}
	if err != nil {
		return fmt.Errorf("client: export: %w", err)
	}
	return nil
}

func newExported(b *spool.Batch, r spool.Record) (exported, error) {
	e := exported{State: string(b.State), Week: period.Period(b.Period).String(), Kind: "slice", message: &telemetryv1.Slice{}}
	if r.Kind == spool.KindCounters {
		e.Kind, e.message = "counters", &telemetryv1.UsageCounters{}
	}
	if err := proto.Unmarshal(r.Payload, e.message); err != nil {
		return e, err
	}
	e.Event = tree(e.message.ProtoReflect())
	return e, nil
}

func writeLines(w io.Writer, events []exported) error {
	encoder := json.NewEncoder(w)
	for _, e := range events {
		if err := encoder.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

func writeTable(w io.Writer, events []exported) error {
	var columns []string
	rows := make([]map[string]string, len(events))
	for i, e := range events {
		rows[i] = map[string]string{"state": e.State, "week": e.Week, "kind": e.Kind}
		flatten(e.message.ProtoReflect(), "", func(column, value string) {
			rows[i][column] = value
			if !slices.Contains(columns, column) {
				columns = append(columns, column)
			}
		})
	}
	slices.Sort(columns)
	columns = append([]string{"state", "week", "kind"}, columns...)
	table := csv.NewWriter(w)
	if err := table.Write(columns); err != nil {
		return err
	}
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, column := range columns {
			cells[i] = row[column]
		}
		if err := table.Write(cells); err != nil {
			return err
		}
	}
	table.Flush()
	return table.Error()
}

// flatten calls f for each value of a message; the elements of a list are
// numbered: "extruders.1.used_mg".
func flatten(m protoreflect.Message, prefix string, f func(column, value string)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := prefix + string(fd.Name())
		if !fd.IsList() {
			f(name, scalar(fd, v))
			return true
		}
		for i := range v.List().Len() {
			element, numbered := v.List().Get(i), name+"."+strconv.Itoa(i+1)
			if fd.Message() != nil {
				flatten(element.Message(), numbered+".", f)
			} else {
				f(numbered, scalar(fd, element))
			}
		}
		return true
	})
}

// tree is a message as protobuf's JSON has it, for the kinds of field that an
// event has: protojson itself would add 0.4 MB to a host.
func tree(m protoreflect.Message) map[string]any {
	object := map[string]any{}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() {
			object[fd.JSONName()] = leaf(fd, v)
			return true
		}
		list := make([]any, v.List().Len())
		for i := range list {
			list[i] = leaf(fd, v.List().Get(i))
		}
		object[fd.JSONName()] = list
		return true
	})
	return object
}

func leaf(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case fd.Message() != nil:
		return tree(v.Message())
	case fd.Enum() != nil:
		return scalar(fd, v)
	}
	return v.Interface()
}

func scalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if fd.Enum() == nil {
		return v.String()
	}
	if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
		return string(value.Name())
	}
	return strconv.Itoa(int(v.Enum())) // of a newer version
}
