package metrics

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/slicemetry/slicemetry/schema/rules"
)

const (
	// maxCells keeps a metric's table readable, and its noise and site quick.
	maxCells = 20_000
	// maxTypical is a sanity limit on an assumption.
	maxTypical = MaxCap
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{2,60}$`)

// fault is a problem at one field of a definition.
type fault struct{ at, text string }

// resolver turns a definition into a metric and collects its faults.
type resolver struct {
	d      *definition
	m      *Metric
	faults []fault
}

// resolve checks a definition and looks up its public keys.
func resolve(d *definition) (*Metric, []fault) {
	r := &resolver{d: d, m: &Metric{
		Name: d.Name, Title: d.Title, Question: d.Question, Audience: d.Audience,
		Statistic: d.Statistic, Source: d.Source, Value: d.Value,
		Unit: d.Unit, Scale: d.Scale, Typical: d.Typical, Share: d.Share,
	}}
	r.words()
	r.keys()
	r.value()
	r.bounds()
	if len(r.m.fields) == 0 {
		r.m.fields = []string{"slices"} // counts the slices themselves
	}
	return r.m, r.faults
}

func (r *resolver) fault(at, format string, args ...any) {
	r.faults = append(r.faults, fault{at, fmt.Sprintf(format, args...)})
}

func (r *resolver) words() {
	if !namePattern.MatchString(r.d.Name) {
		r.fault("name", "the name must match %s", namePattern)
	}
	for _, w := range []struct{ at, text string }{{"title", r.d.Title}, {"question", r.d.Question}, {"audience", r.d.Audience}, {"unit", r.d.Unit}} {
		if w.text == "" {
			r.fault(w.at, "%s is missing", w.at)
		}
	}
	if r.d.Share < 1 || r.d.Share > Whole {
		r.fault("share", "share is %d, want 1 to %d thousandths", r.d.Share, Whole)
	}
	if r.d.Typical < 1 || r.d.Typical > maxTypical {
		r.fault("typical", "typical is %d, want 1 to %d", r.d.Typical, maxTypical)
	}
	if r.d.Scale < 1 {
		r.fault("scale", "scale is %d, want at least 1", r.d.Scale)
	}
	if !slices.Contains([]Source{Slices, Extruders, ChangedSettings, Counters}, r.d.Source) {
		r.fault("source", "source %q is not one of slices, extruders, changed_settings, counters", r.d.Source)
	}
}

func (r *resolver) keys() {
	for _, d := range r.d.Keys {
		f, ok := r.field(d.Column)
		if !ok {
			r.fault("keys", "the source %s has no column %q", r.d.Source, d.Column)
			continue
		}
		r.m.fields = append(r.m.fields, f.Path)
		r.m.Keys = append(r.m.Keys, r.key(d, f))
	}
	if n := r.m.Cells(); n > maxCells {
		r.fault("keys", "%d cells, want at most %d", n, maxCells)
	}
}

// field finds the collected field behind a column of the source.
func (r *resolver) field(column string) (rules.Field, bool) {
	switch r.d.Source {
	case Counters:
		return rules.FieldByPath("UsageCounters", column)
	case Extruders:
		if f, ok := rules.FieldByPath("Slice", "extruders."+column); ok {
			return f, ok
		}
	case ChangedSettings:
		if column == "changed_settings" {
			return rules.FieldByPath("Slice", column)
		}
	}
	f, ok := rules.FieldByPath("Slice", column)
	return f, ok && !f.Repeated()
}

// key resolves the public values of a dimension.
func (r *resolver) key(d keyDefinition, f rules.Field) Key {
	k := Key{Column: d.Column, Values: f.Names(), Optional: f.HasPresence(), Otherwise: f.Rule.GetAllow().GetOtherwise()}
	if k.Values == nil {
		k.Numeric, k.Edges = true, f.Edges()
		for _, n := range f.Numbers() {
			if d.Maximum == nil || n <= *d.Maximum {
				k.Values = append(k.Values, strconv.Itoa(int(n)))
			}
		}
	} else if d.Maximum != nil {
		r.fault("keys", "%s holds names, which have no maximum", d.Column)
	}
	if d.Only != nil {
		r.only(&k, d.Only)
	}
	if f.IsEnum() {
		for _, name := range k.Values {
			k.Enum = append(k.Enum, int32(slices.Index(f.Names(), name)+1)) // 0 is "unspecified"
		}
	}
	if len(k.Values) == 0 {
		r.fault("keys", "%s has no public values", d.Column)
	}
	return k
}

// only restricts a dimension to some of its names; the others join "otherwise".
func (r *resolver) only(k *Key, names []string) {
	for _, name := range names {
		if !slices.Contains(k.Values, name) {
			r.fault("keys", "%s cannot be %q", k.Column, name)
		}
	}
	if k.Otherwise != "" && !slices.Contains(names, k.Otherwise) {
		names = append(slices.Clone(names), k.Otherwise)
	}
	k.Values = names
}

func (r *resolver) value() {
	if r.d.Statistic != Sum {
		if r.d.Value != "" {
			r.fault("value", "only a sum has a value")
		}
		return
	}
	f, ok := r.field(r.d.Value)
	if !ok || f.Numbers() == nil || f.HasPresence() {
		r.fault("value", "the source %s has no number %q to add up", r.d.Source, r.d.Value)
		return
	}
	r.m.fields = append(r.m.fields, f.Path)
}

// bounds completes and checks what a unit can add.
func (r *resolver) bounds() {
	if r.m.OneVote() {
		r.oneVote()
	}
	if r.d.Source == Counters && len(r.d.Keys) > 0 {
		r.fault("keys", "counters have no keys")
	}
	asked := Bounds{Keys: r.d.Bounds.Keys, PerKey: r.d.Bounds.PerKey, Total: r.d.Bounds.Total}
	bounds, problems := NewBounds(r.d.Statistic, asked, int64(r.m.Cells()))
	for _, problem := range problems {
		r.fault(problem.At, "%s", problem.Text)
	}
	r.m.Bounds = bounds
}

func (r *resolver) oneVote() {
	if r.d.Scale != Vote {
		r.fault("scale", "scale is %d, want %d: votes are counted in millionths", r.d.Scale, Vote)
	}
	if len(r.m.Keys) == 0 {
		r.fault("keys", "a vote needs something to choose from")
	}
	if r.d.Statistic == Quantiles && (len(r.m.Keys) != 1 || r.m.Keys[0].Edges == nil) {
		r.fault("keys", "quantiles need one logarithmic column")
	}
}
