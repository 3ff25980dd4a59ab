package rules

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

func TestProtocolPassesLint(t *testing.T) {
	if err := Lint(telemetryv1.File_telemetry_v1_telemetry_proto); err != nil {
		t.Error(err)
	}
}

// goodRule is a complete rule for a text.
func goodRule() *privacyv1.Rule {
	return &privacyv1.Rule{
		Category:   privacyv1.Category_CATEGORY_MACHINE,
		Purpose:    privacyv1.Purpose_PURPOSE_PRINT_QUALITY,
		Retention:  privacyv1.Retention_RETENTION_RAW_30_DAYS,
		Metrics:    []string{"m"},
		Coarsening: &privacyv1.Rule_Allow{Allow: &privacyv1.Allow{List: "machine", Otherwise: "custom"}},
	}
}

func TestLintRefuses(t *testing.T) {
	type kind = descriptorpb.FieldDescriptorProto_Type
	text, number := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_UINT32
	with := func(change func(*privacyv1.Rule)) *privacyv1.Rule {
		r := goodRule()
		change(r)
		return r
	}
	tests := []struct {
		name string
		kind kind
		list bool
		rule *privacyv1.Rule
		want string
	}{
		{"nothing to refuse", text, false, goodRule(), ""},
		{"no rule", text, false, nil, "carries no privacy rule"},
		{"no category", text, false, with(func(r *privacyv1.Rule) { r.Category = 0 }), "has no category"},
		{"no purpose", text, false, with(func(r *privacyv1.Rule) { r.Purpose = 0 }), "has no purpose"},
		{"no retention", text, false, with(func(r *privacyv1.Rule) { r.Retention = 0 }), "has no retention"},
		{"no metric", text, false, with(func(r *privacyv1.Rule) { r.Metrics = nil }), "no metric uses it"},
		{"free text", text, false, with(func(r *privacyv1.Rule) { r.Coarsening = nil }), "without an allow-list"},
		{"unknown list", text, false, with(func(r *privacyv1.Rule) { r.GetAllow().List = "names" }), "does not have"},
		{"nothing for others", text, false, with(func(r *privacyv1.Rule) { r.GetAllow().Otherwise = "" }), "what other texts become"},
		{"unlimited list", text, true, goodRule(), "without a limit"},
		{"precise number", number, false, goodRule(), "without a grid"},
		{"uneven grid", number, false, with(func(r *privacyv1.Rule) {
			r.Coarsening = &privacyv1.Rule_Grid{Grid: &privacyv1.Grid{Minimum: 1, Maximum: 10, Step: 2}}
		}), "not a step"},
		{"float", descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, false, goodRule(), "of kind double"},
		{"fixed64", descriptorpb.FieldDescriptorProto_TYPE_FIXED64, false, goodRule(), "of kind fixed64"},
		{"octets", descriptorpb.FieldDescriptorProto_TYPE_BYTES, false, goodRule(), "octets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Lint(fileWith(t, tt.kind, tt.list, tt.rule))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no problem", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case tt.want != "" && !strings.Contains(err.Error(), "lint.M.field"):
				t.Errorf("%v does not name the field", err)
			}
		})
	}
}

// fileWith builds a protocol of one message with one field.
func fileWith(t *testing.T, kind descriptorpb.FieldDescriptorProto_Type, list bool, rule *privacyv1.Rule) protoreflect.FileDescriptor {
	t.Helper()
	label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	if list {
		label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	}
	options := &descriptorpb.FieldOptions{}
	if rule != nil {
		proto.SetExtension(options, privacyv1.E_Rule, rule)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("lint.proto"), Package: proto.String("lint"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("M"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("field"), Number: proto.Int32(1), Type: &kind, Label: &label, Options: options,
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
