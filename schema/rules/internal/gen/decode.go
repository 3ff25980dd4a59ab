package main

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// decoder writes the function that decodes one message: receiver is what holds the
// message as m, with room for what has presence.
func (g *generator) decoder(function, receiver string, m proto.Message) {
	md := m.ProtoReflect().Descriptor()
	w := &g.functions
	if receiver == "" {
		fmt.Fprintf(w, "\n// %s adds an encoded message to m, texts as the lists have them.\nfunc %[1]s(m *telemetryv1.%s, last *lastTexts, b []byte) error {\n", function, md.Name())
	} else {
		optional := 0
		for i := range md.Fields().Len() {
			if md.Fields().Get(i).HasOptionalKeyword() {
				optional++
			}
		}
		fmt.Fprintf(w, `
// %s is a message with room for its numbers that have presence.
type %[1]s struct {
	m telemetryv1.%s
	last *lastTexts
	numbers [%d]uint32
}

// %s adds an encoded message to d.m, texts as the lists have them.
func (d *%[1]s) %[4]s(b []byte) error {
	m, last := &d.m, d.last
`, receiver, md.Name(), optional, function)
	}
	octets := ""
	for i := range md.Fields().Len() {
		if option.Rule(md.Fields().Get(i)).GetAllow() != nil {
			fmt.Fprintln(w, "s := state()")
			octets = "var v []byte\n"
			break
		}
	}
	fmt.Fprint(w, "var err error\nfor len(b) > 0 {\nvar tag, n uint64\n", octets, "if tag, b, err = varint(b); err != nil {\nreturn err\n}\nswitch tag {\n")
	room := 0
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		g.decode(fd, room)
		if fd.HasOptionalKeyword() {
			room++
		}
	}
	fmt.Fprint(w, "default:\nb, err = skip(tag, b)\n}\nif err != nil {\nreturn err\n}\n}\nreturn nil\n}\n")
}

// decode writes the case of one field.
func (g *generator) decode(fd protoreflect.FieldDescriptor, room int) {
	w, name := &g.functions, goName(fd)
	number := func(assign string, args ...any) {
		fmt.Fprintf(w, "case %d<<3: // %s\nn, b, err = varint(b)\n", fd.Number(), fd.Name())
		fmt.Fprintf(w, assign+"\n", args...)
	}
	octets := func(then string, args ...any) {
		fmt.Fprintf(w, "case %d<<3 | 2: // %s\nif v, b, err = octets(b); err == nil {\n", fd.Number(), fd.Name())
		fmt.Fprintf(w, then+"\n}\n", args...)
	}
	switch kind := fd.Kind(); {
	case kind == protoreflect.StringKind:
		allow := option.Rule(fd).GetAllow()
		if fd.IsList() {
			octets("var t string\nt, err = text(%s, %q, v)\nm.%s = append(m.%[3]s, t)", g.list(allow.List), allow.Otherwise, name)
		} else {
			octets("m.%s, err = last.text(%d, %s, %q, v)", name, g.texts, g.list(allow.List), allow.Otherwise)
			g.texts++
		}
	case kind == protoreflect.MessageKind && fd.IsList():
		octets("m.%s, err = item(m.%[1]s, %d, last, v, decode%s)", name, option.Rule(fd).GetNested().MaxItems, fd.Message().Name())
	case fd.HasOptionalKeyword():
		number("d.numbers[%d], m.%s = uint32(n), &d.numbers[%[1]d]", room, name)
	case kind == protoreflect.Uint32Kind:
		number("m.%s = uint32(n)", name)
	case kind == protoreflect.EnumKind:
		number("m.%s = telemetryv1.%s(n)", name, fd.Enum().Name())
	default:
		log.Fatalf("%s: no code to decode a %s", fd.FullName(), kind)
	}
}
