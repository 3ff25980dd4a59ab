package rules

import (
	"fmt"
	"strings"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// Category returns the policy's name for the kind of data: "print settings".
func (f Field) Category() string { return words(f.Rule.Category.String(), "CATEGORY_") }

// Purpose returns what the field may be used for: "print quality".
func (f Field) Purpose() string { return words(f.Rule.Purpose.String(), "PURPOSE_") }

// Retention says how long a value is kept.
func (f Field) Retention() string {
	switch f.Rule.Retention {
	case privacyv1.Retention_RETENTION_RAW_30_DAYS:
		return "at most 30 days after the week"
	case privacyv1.Retention_RETENTION_HASHED_30_DAYS:
		return "only a keyed hash, at most 30 days after the week"
	case privacyv1.Retention_RETENTION_NONE:
		return "not stored"
	}
	return "undeclared"
}

// Coarsening says in words what becomes of a value before it leaves the device.
func (f Field) Coarsening() string {
	switch c := f.Rule.GetCoarsening().(type) {
	case *privacyv1.Rule_Allow:
		return describeAllow(c.Allow)
	case *privacyv1.Rule_Declared:
		return "one of: " + strings.Join(f.Names(), ", ")
	case *privacyv1.Rule_Grid:
		g := c.Grid
		if g.Step == 1 {
			return fmt.Sprintf("%d to %d", g.Minimum, g.Maximum)
		}
		return fmt.Sprintf("%d to %d, rounded to %d", g.Minimum, g.Maximum, g.Step)
	case *privacyv1.Rule_LogScale:
		s := c.LogScale
		return fmt.Sprintf("%d to %d, in logarithmic buckets, %d a doubling", s.Minimum, s.Maximum, s.StepsPerOctave)
	case *privacyv1.Rule_Nearest:
		return "the nearest of: " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(f.Numbers())), ", "), "[]")
	case *privacyv1.Rule_Nested:
		return fmt.Sprintf("at most %d, each field by its own rule", c.Nested.MaxItems)
	case *privacyv1.Rule_Random:
		return fmt.Sprintf("%d random octets", c.Random.Length)
	}
	return "undeclared"
}

func describeAllow(a *privacyv1.Allow) string {
	list := strings.ReplaceAll(a.List, "_", " ")
	text := fmt.Sprintf("one of %d names on the list %q", len(catalog.Values(a.List)), list)
	if a.MaxItems > 0 {
		return fmt.Sprintf("at most %d, drawn at random once a week, each %s; others are dropped", a.MaxItems, text)
	}
	return fmt.Sprintf("%s, else %q", text, a.Otherwise)
}

// words turns an enumeration's value into words.
func words(value, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(value, prefix), "_", " "))
}
