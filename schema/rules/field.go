package rules

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// Field is one field that can be collected, with the rule it carries.
type Field struct {
	Message string // "Slice", "UsageCounters" or "Batch"
	Path    string // within the message: "machine", "extruders.used_mg"
	Rule    *privacyv1.Rule

	descriptor protoreflect.FieldDescriptor
}

// Repeated reports whether the field is a list, or inside of one.
func (f Field) Repeated() bool { return f.descriptor.IsList() || strings.Contains(f.Path, ".") }

// HasPresence reports whether 0 is a value of its own, apart from "not reported".
func (f Field) HasPresence() bool { return f.descriptor.HasOptionalKeyword() }

// IsEnum reports whether the field is a choice of an enumeration.
func (f Field) IsEnum() bool { return f.descriptor.Kind() == protoreflect.EnumKind }

// Names returns the texts that a coarsened value can have, "not reported" left
// out: the names on the list and what others become, or the names of the
// enumeration's values in lower case without its prefix. Nil for numbers.
func (f Field) Names() []string {
	switch f.descriptor.Kind() {
	case protoreflect.StringKind:
		allow := f.Rule.GetAllow()
		names := slices.Clone(catalog.Values(allow.GetList()))
		if other := allow.GetOtherwise(); other != "" && !slices.Contains(names, other) {
			names = append(names, other)
		}
		return names
	case protoreflect.EnumKind:
		return EnumNames(f.descriptor.Enum())[1:]
	}
	return nil
}

// Numbers returns the values that a coarsened number can have, in order. Nil for
// texts. For a field without presence 0 means "not reported" and is left out.
func (f Field) Numbers() []uint32 {
	var numbers []uint32
	switch c := f.Rule.GetCoarsening().(type) {
	case *privacyv1.Rule_Grid:
		for v := c.Grid.Minimum; v <= c.Grid.Maximum; v += c.Grid.Step {
			numbers = append(numbers, v)
		}
		return numbers
	case *privacyv1.Rule_Nearest:
		numbers = slices.Clone(c.Nearest.Values)
	case *privacyv1.Rule_LogScale:
		numbers = slices.Clone(newLogScale(c.LogScale).representatives)
	}
	if len(numbers) > 0 && numbers[0] == 0 && !f.HasPresence() {
		numbers = numbers[1:]
	}
	return numbers
}

// Edges returns the lower bounds of the buckets of a logarithmic field, and last
// the upper bound of the last one. Nil for other fields.
func (f Field) Edges() []uint32 {
	if s := f.Rule.GetLogScale(); s != nil {
		return slices.Clone(newLogScale(s).edges)
	}
	return nil
}

// EnumNames returns the names of an enumeration's values in the order of their
// numbers, in lower case without the enumeration's prefix. ClickHouse and every
// published table use these.
func EnumNames(e protoreflect.EnumDescriptor) []string {
	names := make([]string, e.Values().Len())
	prefix := enumPrefix(e)
	for i := range names {
		v := e.Values().ByNumber(protoreflect.EnumNumber(i))
		names[i] = strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
	}
	return names
}

// enumPrefix is what protobuf's style puts before each value: FLAG_, PRINT_SEQUENCE_.
func enumPrefix(e protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(e.Values().ByNumber(0).Name()), "UNSPECIFIED")
}

// Fields returns every field that can be collected, in the protocol's order: the
// slices first, then the counters, then what delivers them.
func Fields() []Field { return allFields() }

// FieldByPath finds a field of a message.
func FieldByPath(message, path string) (Field, bool) {
	for _, f := range allFields() {
		if f.Message == message && f.Path == path {
			return f, true
		}
	}
	return Field{}, false
}

var allFields = sync.OnceValue(func() []Field {
	var fields []Field
	for _, m := range []proto.Message{&telemetryv1.Slice{}, &telemetryv1.UsageCounters{}, &telemetryv1.Batch{}} {
		md := m.ProtoReflect().Descriptor()
		fields = append(fields, leaves(string(md.Name()), "", md)...)
	}
	return fields
})

// leaves lists a message's own fields; of the messages inside of it, the fields
// of those that are not listed on their own.
func leaves(message, prefix string, md protoreflect.MessageDescriptor) []Field {
	var fields []Field
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		path := prefix + string(fd.Name())
		if inner := fd.Message(); inner != nil && inner.Name() == "Extruder" {
			fields = append(fields, leaves(message, path+".", inner)...)
			continue
		}
		fields = append(fields, Field{Message: message, Path: path, Rule: option.Rule(fd), descriptor: fd})
	}
	return fields
}
