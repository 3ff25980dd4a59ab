package main

import (
	"bytes"
	"fmt"
	"log"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// field writes the line that coarsens one field.
func (g *generator) field(b *bytes.Buffer, fd protoreflect.FieldDescriptor) {
	rule := option.Rule(fd)
	if rule == nil {
		log.Fatalf("%s carries no rule", fd.FullName())
	}
	name, path := goName(fd), path(fd)
	src := "src." + name
	switch c := rule.GetCoarsening().(type) {
	case *privacyv1.Rule_Allow:
		list := g.list(c.Allow.List)
		if fd.IsList() {
			fmt.Fprintf(b, "dst.%s = allowItems(dst.%[1]s[:0], %s, %s, %d, draw, %q, r)\n", name, list, src, c.Allow.MaxItems, path)
			return
		}
		fmt.Fprintf(b, "dst.%s = allow(%s, %s, %q, %q, r)\n", name, list, src, c.Allow.Otherwise, path)
	case *privacyv1.Rule_Declared:
		last, other := enumBounds(fd.Enum())
		fmt.Fprintf(b, "dst.%s = declared(%s, %d, %d, %q, r)\n", name, src, last, other, path)
	case *privacyv1.Rule_Grid:
		number(b, fd, fmt.Sprintf("grid(%%s, %d, %d, %d, %t, %q, r)",
			c.Grid.Minimum, c.Grid.Maximum, c.Grid.Step, c.Grid.ZeroIsUnset, path))
	case *privacyv1.Rule_Nearest:
		function := "nearestSet"
		if fd.HasOptionalKeyword() {
			function = "nearest"
		}
		number(b, fd, fmt.Sprintf("%s(%%s, s.%s, %q, r)", function, g.nearest(fd, c.Nearest.Values), path))
	case *privacyv1.Rule_LogScale:
		number(b, fd, fmt.Sprintf("s.%s.coarsen(%%s, %q, r)", g.logScale(fd, c.LogScale), path))
	case *privacyv1.Rule_Nested:
		fmt.Fprintf(b, `dst.%[1]s = nested(dst.%[1]s[:0], %[2]s, %[3]d, coarsen%[4]s, %[5]q, r)
`, name, src, c.Nested.MaxItems, fd.Message().Name(), path)
	default:
		log.Fatalf("%s: no code for the rule %T", fd.FullName(), c)
	}
}

// number writes the call for a number; format has a place for the value.
func number(b *bytes.Buffer, fd protoreflect.FieldDescriptor, format string) {
	name := goName(fd)
	if !fd.HasOptionalKeyword() {
		fmt.Fprintf(b, "dst.%s = %s\n", name, fmt.Sprintf(format, "src."+name))
		return
	}
	fmt.Fprintf(b, "dst.%s = optional(src.%[1]s, func(v uint32) uint32 { return %s })\n", name, fmt.Sprintf(format, "v"))
}

func (g *generator) list(list string) string {
	field := "list" + camel(list)
	if !bytes.Contains(g.state.Bytes(), []byte(field+" ")) {
		fmt.Fprintf(&g.state, "%s *catalog.List\n", field)
		fmt.Fprintf(&g.init, "%s: catalog.Lookup(%q),\n", field, list)
	}
	g.usesState = true
	return "s." + field
}

func (g *generator) nearest(fd protoreflect.FieldDescriptor, values []uint32) string {
	if !slices.IsSorted(values) {
		log.Fatalf("%s: the nearest values are not in order", fd.FullName())
	}
	field := "nearest" + camel(string(fd.Name()))
	fmt.Fprintf(&g.state, "%s []uint32\n", field)
	fmt.Fprintf(&g.init, "%s: []uint32{%s},\n", field, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(values)), ", "), "[]"))
	g.usesState = true
	return field
}

func (g *generator) logScale(fd protoreflect.FieldDescriptor, s *privacyv1.LogScale) string {
	field := "log" + camel(string(fd.Name()))
	fmt.Fprintf(&g.state, "%s *logScale\n", field)
	fmt.Fprintf(&g.init, "%s: newLogScale(&privacyv1.LogScale{Minimum: %d, Maximum: %d, StepsPerOctave: %d}),\n",
		field, s.Minimum, s.Maximum, s.StepsPerOctave)
	g.usesState = true
	return field
}

// enumBounds returns the last number of an enumeration whose numbers are
// contiguous from 0, and the number that stands for others: *_OTHER or 0.
func enumBounds(e protoreflect.EnumDescriptor) (last, other protoreflect.EnumNumber) {
	values := e.Values()
	for i := range values.Len() {
		v := values.Get(i)
		if int(v.Number()) != i {
			log.Fatalf("%s: numbers must run from 0 without a gap", e.FullName())
		}
		if strings.HasSuffix(string(v.Name()), "_OTHER") {
			other = v.Number()
		}
	}
	return protoreflect.EnumNumber(values.Len() - 1), other
}

// path is the field's path in findings; an extruder's fields lie below the slice.
func path(fd protoreflect.FieldDescriptor) string {
	if fd.ContainingMessage().Name() == "Extruder" {
		return "extruders." + string(fd.Name())
	}
	return string(fd.Name())
}

func goName(fd protoreflect.FieldDescriptor) string { return camel(string(fd.Name())) }

func camel(snake string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(snake, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
