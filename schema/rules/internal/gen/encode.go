package main

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// encoder writes the function that encodes one message.
func (g *generator) encoder(function string, m proto.Message) {
	md := m.ProtoReflect().Descriptor()
	w := &g.functions
	fmt.Fprintf(w, `
// %s appends a coarse message as protobuf encodes it. What no rule lets through,
// such as an unknown field, is left out.
func %[1]s(b []byte, m *telemetryv1.%s) []byte {
`, function, md.Name())
	for i := range md.Fields().Len() {
		g.encode(md.Fields().Get(i))
	}
	fmt.Fprintln(w, "return b\n}")
}

// encode writes the lines that encode one field.
func (g *generator) encode(fd protoreflect.FieldDescriptor) {
	w, name := &g.functions, goName(fd)
	switch kind := fd.Kind(); {
	case fd.IsList() && kind == protoreflect.StringKind:
		fmt.Fprintf(w, "for _, v := range m.%s {\nb = append(b, %s)\nb = protowire.AppendString(b, v)\n}\n", name, tag(fd))
	case fd.IsList() && kind == protoreflect.MessageKind:
		fmt.Fprintf(w, "for _, v := range m.%s {\nb = append(b, %s, 0)\nstart := len(b)\nb = closeMessage(append%s(b, v), start)\n}\n", name, tag(fd), fd.Message().Name())
	case fd.IsList() || kind != protoreflect.StringKind && kind != protoreflect.Uint32Kind && kind != protoreflect.EnumKind:
		log.Fatalf("%s: no code to encode a %s", fd.FullName(), kind)
	case kind == protoreflect.StringKind:
		fmt.Fprintf(w, "if m.%s != \"\" {\nb = append(b, %s)\nb = protowire.AppendString(b, m.%[1]s)\n}\n", name, tag(fd))
	case fd.HasOptionalKeyword():
		fmt.Fprintf(w, "if m.%s != nil {\nb = append(b, %s)\nb = protowire.AppendVarint(b, uint64(*m.%[1]s))\n}\n", name, tag(fd))
	default:
		fmt.Fprintf(w, "if m.%s != 0 {\nb = append(b, %s)\nb = protowire.AppendVarint(b, uint64(m.%[1]s))\n}\n", name, tag(fd))
	}
}

// tag is a field's tag as octets of Go source.
func tag(fd protoreflect.FieldDescriptor) string {
	wire := protowire.VarintType
	if fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.MessageKind {
		wire = protowire.BytesType
	}
	var source string
	for i, octet := range protowire.AppendTag(nil, fd.Number(), wire) {
		if i > 0 {
			source += ", "
		}
		source += fmt.Sprintf("%#x", octet)
	}
	return source
}
