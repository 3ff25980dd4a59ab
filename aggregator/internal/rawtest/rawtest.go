// Package rawtest puts raw rows into a test's database and says, independently
// of any SQL, what they contribute to a metric.
//
// A row is a message of the protocol, which need not be coarse: tests plant
// values that no client or collector would let through.
package rawtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/metrics"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// Row is one raw row, of slices or of counters, whichever is set.
type Row struct {
	Period   period.Period
	Unit     uint64
	Batch    uint64
	Index    uint16
	Slice    *telemetryv1.Slice
	Counters *telemetryv1.UsageCounters
}

// Insert stores rows as the administrator does.
func Insert(t testing.TB, s *localdb.Server, rows ...Row) {
	t.Helper()
	slicesBody, countersBody := &bytes.Buffer{}, &bytes.Buffer{}
	for _, r := range rows {
		columns := map[string]any{"period": r.Period.Start().Format(time.DateOnly), "unit": r.Unit, "batch": r.Batch}
		body, message := countersBody, protoreflect.Message(nil)
		if r.Slice != nil {
			columns["idx"] = r.Index
			body, message = slicesBody, r.Slice.ProtoReflect()
		} else {
			message = r.Counters.ProtoReflect()
		}
		addColumns(columns, "", message)
		if err := json.NewEncoder(body).Encode(columns); err != nil {
			t.Fatal(err)
		}
	}
	post(t, s, "INSERT INTO raw.slices FORMAT JSONEachRow", slicesBody)
	post(t, s, "INSERT INTO raw.counters FORMAT JSONEachRow", countersBody)
}

func post(t testing.TB, s *localdb.Server, statement string, body *bytes.Buffer) {
	t.Helper()
	if body.Len() == 0 {
		return
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+s.HTTPAddr()+"/", io.MultiReader(strings.NewReader(statement+"\n"), body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(localdb.Administrator, s.Password(localdb.Administrator))
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if text, _ := io.ReadAll(reply.Body); reply.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", statement, text)
	}
}

// addColumns writes a message as the columns of its table.
func addColumns(columns map[string]any, prefix string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := prefix + string(f.Name())
		switch {
		case f.IsList() && f.Message() != nil:
			addLists(columns, name+".", m.Get(f).List(), f.Message())
		case f.IsList():
			list := []any{}
			for j := range m.Get(f).List().Len() {
				list = append(list, m.Get(f).List().Get(j).String())
			}
			columns[name] = list
		case f.HasPresence() && !m.Has(f):
			columns[name] = nil
		default:
			columns[name] = scalar(f, m.Get(f))
		}
	}
}

func addLists(columns map[string]any, prefix string, list protoreflect.List, md protoreflect.MessageDescriptor) {
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		values := []any{}
		for j := range list.Len() {
			values = append(values, scalar(f, list.Get(j).Message().Get(f)))
		}
		columns[prefix+string(f.Name())] = values
	}
}

func scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	if f.Kind() == protoreflect.EnumKind {
		return rules.EnumNames(f.Enum())[v.Enum()]
	}
	return v.Interface()
}

// Contributions says what rows contribute to a metric in a period, be it nothing.
// Rows with the same key count once: the last one stored, as in the database.
func Contributions(m *metrics.Metric, p period.Period, rows []Row) iter.Seq[bound.Contribution] {
	type identity struct {
		unit, batch uint64
		index       uint16
		slice       bool
	}
	last := map[identity]Row{}
	for _, r := range rows {
		if r.Period == p {
			last[identity{r.Unit, r.Batch, r.Index, r.Slice != nil}] = r
		}
	}
	return func(yield func(bound.Contribution) bool) {
		for _, r := range last {
			for _, part := range expand(m.Source, r) {
				if !yield(contribution(m, r.Unit, part)) {
					return
				}
			}
		}
	}
}

// expand returns what a source makes of a row: messages that hold its fields,
// outer ones last.
func expand(source metrics.Source, r Row) [][]proto.Message {
	switch {
	case source == metrics.Counters && r.Counters != nil:
		return [][]proto.Message{{r.Counters}}
	case source == metrics.Counters || r.Slice == nil:
		return nil
	case source == metrics.Extruders:
		var parts [][]proto.Message
		for _, e := range r.Slice.Extruders {
			parts = append(parts, []proto.Message{e, r.Slice})
		}
		return parts
	case source == metrics.ChangedSettings:
		var parts [][]proto.Message
		for _, key := range r.Slice.ChangedSettings {
			parts = append(parts, []proto.Message{&telemetryv1.Slice{ChangedSettings: []string{key}}})
		}
		return parts
	}
	return [][]proto.Message{{r.Slice}}
}

func contribution(m *metrics.Metric, unit uint64, part []proto.Message) bound.Contribution {
	c, none := bound.Contribution{Unit: unit}, bound.Contribution{Unit: unit, Cell: -1}
	for _, k := range m.Keys {
		text, reported := lookUp(part, k.Column)
		if !reported {
			return none
		}
		position := slices.Index(k.Values, text)
		if position < 0 && k.Otherwise != "" {
			position = slices.Index(k.Values, k.Otherwise)
		}
		if position < 0 {
			return none
		}
		c.Cell = c.Cell*len(k.Values) + position
	}
	if m.Value != "" {
		text, _ := lookUp(part, m.Value)
		value, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return none
		}
		c.Value = value
	}
	return c
}

// lookUp returns a column's value as the public sets write it, and whether it
// was reported.
func lookUp(part []proto.Message, column string) (string, bool) {
	for _, message := range part {
		m := message.ProtoReflect()
		f := m.Descriptor().Fields().ByName(protoreflect.Name(column))
		switch {
		case f == nil:
			continue
		case f.IsList():
			return m.Get(f).List().Get(0).String(), true
		case f.HasPresence():
			return fmt.Sprint(m.Get(f).Interface()), m.Has(f)
		}
		text := fmt.Sprint(scalar(f, m.Get(f)))
		return text, text != "" && text != "unspecified" && (text != "0" || f.Kind() == protoreflect.Uint32Kind && hasZero(f))
	}
	return "", false
}

// hasZero says whether 0 is a value of a number without presence.
func hasZero(f protoreflect.FieldDescriptor) bool {
	field, ok := rules.FieldByPath(string(f.Parent().Name()), string(f.Name()))
	return ok && slices.Contains(field.Numbers(), 0)
}
