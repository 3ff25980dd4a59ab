package rules

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// Lint checks that every field of the messages in a file is justified and
// bounded: it carries a rule; its kind cannot hold free text, a precise number
// or anything undeclared; and it says which metrics need it. It returns every
// problem at once.
func Lint(file protoreflect.FileDescriptor) error {
	var problems []error
	for i := range file.Messages().Len() {
		fields := file.Messages().Get(i).Fields()
		for j := range fields.Len() {
			fd := fields.Get(j)
			for _, problem := range lintField(fd) {
				problems = append(problems, fmt.Errorf("%s: %s", fd.FullName(), problem))
			}
		}
	}
	return errors.Join(problems...)
}

func lintField(fd protoreflect.FieldDescriptor) []string {
	rule := option.Rule(fd)
	if rule == nil {
		return []string{"carries no privacy rule"}
	}
	var problems []string
	if rule.Category == privacyv1.Category_CATEGORY_UNSPECIFIED {
		problems = append(problems, "has no category")
	}
	if rule.Purpose == privacyv1.Purpose_PURPOSE_UNSPECIFIED {
		problems = append(problems, "has no purpose")
	}
	if rule.Retention == privacyv1.Retention_RETENTION_UNSPECIFIED {
		problems = append(problems, "has no retention")
	}
	delivery := rule.Purpose == privacyv1.Purpose_PURPOSE_DELIVERY
	if len(rule.Metrics) == 0 && !delivery && rule.GetNested() == nil {
		problems = append(problems, "no metric uses it")
	}
	if problem := lintKind(fd, rule); problem != "" {
		problems = append(problems, problem)
	}
	return problems
}

// lintKind checks that the coarsening fits the field's kind, and that the kind
// is one of the few that a rule can bound.
func lintKind(fd protoreflect.FieldDescriptor, rule *privacyv1.Rule) string {
	if fd.IsMap() || fd.ContainingOneof() != nil && !fd.HasOptionalKeyword() {
		return "is a map or one of several: neither can be bounded"
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return lintText(fd, rule.GetAllow())
	case protoreflect.EnumKind:
		if rule.GetDeclared() == nil {
			return "is an enumeration without the rule declared"
		}
	case protoreflect.Uint32Kind:
		return lintNumber(rule)
	case protoreflect.BytesKind:
		if rule.GetRandom().GetLength() == 0 || rule.Purpose != privacyv1.Purpose_PURPOSE_DELIVERY {
			return "is octets that are not random ones for delivery"
		}
	case protoreflect.MessageKind:
		if rule.GetNested().GetMaxItems() == 0 {
			return "is a message without the rule nested and a limit"
		}
	default:
		return fmt.Sprintf("is of kind %s, which no rule bounds", fd.Kind())
	}
	return ""
}

func lintText(fd protoreflect.FieldDescriptor, allow *privacyv1.Allow) string {
	switch {
	case allow == nil:
		return "is text without an allow-list"
	case catalog.Lookup(allow.List) == nil:
		return fmt.Sprintf("names the list %q, which the catalogue does not have", allow.List)
	case fd.IsList() && (allow.MaxItems == 0 || allow.MaxItems > maxItems):
		return fmt.Sprintf("is a list of texts without a limit of at most %d", maxItems)
	case !fd.IsList() && allow.Otherwise == "":
		return "does not say what other texts become"
	}
	return ""
}

func lintNumber(rule *privacyv1.Rule) string {
	switch c := rule.GetCoarsening().(type) {
	case *privacyv1.Rule_Grid:
		g := c.Grid
		if g.Step == 0 || g.Maximum < g.Minimum || (g.Maximum-g.Minimum)%g.Step != 0 {
			return "has a grid whose maximum is not a step from its minimum"
		}
	case *privacyv1.Rule_LogScale:
		if s := c.LogScale; s.Minimum == 0 || s.Maximum <= s.Minimum || s.StepsPerOctave == 0 {
			return "has a logarithmic scale without a range"
		}
	case *privacyv1.Rule_Nearest:
		if len(c.Nearest.Values) == 0 {
			return "has no values to choose from"
		}
	default:
		return "is a number without a grid, a logarithmic scale or a list of values"
	}
	return ""
}
