package otlp

import (
	"strconv"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Attributes writes an event as a host would that has OpenTelemetry's SDK and no
// schema, one attribute for each value that is reported:
//
//	text, number        the same
//	flag                true, false
//	other enumeration   its value's name, in lower case
//	list                one attribute an item: changed_settings.0
//	extruder            one attribute a field: extruders.0.used_mg
func Attributes(event *telemetryv1.Slice) []*commonpb.KeyValue {
	return appendFields(nil, "", event.ProtoReflect())
}

func appendFields(list []*commonpb.KeyValue, prefix string, m protoreflect.Message) []*commonpb.KeyValue {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() { // in the order of the declaration, which Range does not keep
		field := fields.Get(i)
		if !m.Has(field) {
			continue
		}
		name, value := prefix+string(field.Name()), m.Get(field)
		if !field.IsList() {
			list = appendValue(list, name, field, value)
			continue
		}
		for j := range value.List().Len() {
			list = appendValue(list, name+"."+strconv.Itoa(j), field, value.List().Get(j))
		}
	}
	return list
}

func appendValue(list []*commonpb.KeyValue, name string, field protoreflect.FieldDescriptor, value protoreflect.Value) []*commonpb.KeyValue {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return appendFields(list, name+".", value.Message())
	case protoreflect.EnumKind:
		return append(list, &commonpb.KeyValue{Key: name, Value: enumeration(field.Enum(), value.Enum())})
	case protoreflect.StringKind:
		return append(list, text(name, value.String()))
	default:
		return append(list, number(name, int64(value.Uint())))
	}
}

func enumeration(kind protoreflect.EnumDescriptor, n protoreflect.EnumNumber) *commonpb.AnyValue {
	if kind == telemetryv1.Flag(0).Descriptor() {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: n == telemetryv1.Flag_FLAG_YES.Number()}}
	}
	name := strings.TrimPrefix(string(kind.Values().ByNumber(n).Name()), namesPrefix(kind))
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.ToLower(name)}}
}

// namesPrefix is what an enumeration's values begin with: the first of them is
// called INFILL_PATTERN_UNSPECIFIED.
func namesPrefix(kind protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(kind.Values().Get(0).Name()), "UNSPECIFIED")
}

func text(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(name string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}

// encodedAttributes are the attributes of an event as fields of a LogRecord.
func encodedAttributes(event *telemetryv1.Slice) ([]byte, error) {
	var b []byte
	for _, a := range Attributes(event) {
		encoded, err := proto.Marshal(a)
		if err != nil {
			return nil, err
		}
		b = appendMessage(b, recordAttributes, encoded)
	}
	return b, nil
}
