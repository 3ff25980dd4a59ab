package audit

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// maxCells is where a table of one metric ends, as in production.
const maxCells = 20_000

// Spec is what is audited: a promise and the metrics that share it.
type Spec struct {
	Promise gdp.Promise
	metrics []*metric
	plan    plan.Plan
}

// metric is one statistic of a spec: of public keys, or open.
type metric struct {
	*metrics.Metric
	columns []string
	cells   map[string]int // of public keys, joined
	delta   float64        // of the selection of open keys; 0: they are public
}

// The spec as it is written.
type (
	specText struct {
		Epsilon float64      `yaml:"epsilon"`
		Delta   float64      `yaml:"delta"`
		Metrics []metricText `yaml:"metrics"`
	}
	metricText struct {
		Name      string            `yaml:"name"`
		Statistic metrics.Statistic `yaml:"statistic"`
		Keys      []keyText         `yaml:"keys"`
		Bounds    boundsText        `yaml:"bounds"`
		Share     int64             `yaml:"share"`
		Threshold float64           `yaml:"threshold_delta"`
	}
	keyText struct {
		Column    string   `yaml:"column"`
		Values    []string `yaml:"values"`
		Otherwise string   `yaml:"otherwise"`
	}
	boundsText struct {
		Keys   int64 `yaml:"keys"`
		PerKey int64 `yaml:"per_key"`
		Total  int64 `yaml:"total"`
	}
)

// ErrSpec says that a spec makes no sense; the text has every reason.
var ErrSpec = errors.New("audit: the spec is refused")

// ParseSpec reads a spec, YAML or JSON, and returns every problem at once with
// its line. name is what the text is called in errors.
func ParseSpec(name string, text []byte) (*Spec, error) {
	r := reader{name: name, spec: &Spec{}}
	written, err := r.decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	r.promise(written)
	if len(written.Metrics) == 0 {
		r.problem("$.metrics", "there is no metric")
	}
	for i := range written.Metrics {
		r.metric(fmt.Sprintf("$.metrics[%d]", i), &written.Metrics[i], len(written.Metrics))
	}
	r.shares()
	if err := errors.Join(r.problems...); err != nil {
		return nil, fmt.Errorf("%w:\n%w", ErrSpec, err)
	}
	if err := r.spec.split(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return r.spec, nil
}

// reader turns a text into a spec and collects what is wrong with it.
type reader struct {
	name     string
	file     *ast.File
	spec     *Spec
	problems []error
}

func (r *reader) problem(path, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %s", r.name, r.line(path), fmt.Sprintf(format, args...)))
}

// line finds the line of a path such as $.metrics[0].bounds, or that of what it
// would be in.
func (r *reader) line(path string) int {
	for ; path != "$" && path != ""; path = parent(path) {
		p, err := yaml.PathString(path)
		if err != nil {
			continue
		}
		node, err := p.FilterFile(r.file)
		if err == nil && node != nil && node.GetToken() != nil {
			return node.GetToken().Position.Line
		}
	}
	return 1
}

var lastStep = regexp.MustCompile(`(\.[a-z_]+|\[\d+\])$`)

func parent(path string) string { return lastStep.ReplaceAllString(path, "") }

// decode reads the text strictly. Some malformed texts make the library panic.
func (r *reader) decode(text []byte) (s *specText, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, fmt.Errorf("%s: not valid YAML", r.name)
		}
	}()
	if r.file, err = parser.ParseBytes(text, 0); err == nil {
		s = &specText{}
		err = yaml.UnmarshalWithOptions(text, s, yaml.Strict())
	}
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		return nil, fmt.Errorf("%s:%d: %s", r.name, located.GetToken().Position.Line, located.GetMessage())
	}
	return s, err
}

func (r *reader) promise(s *specText) {
	r.spec.Promise = gdp.Promise{Epsilon: s.Epsilon, Delta: s.Delta}
	if err := r.spec.Promise.Validate(); err != nil {
		r.problem("$.epsilon", "%v", err)
	}
}

func (r *reader) metric(path string, d *metricText, all int) {
	m := &metric{Metric: &metrics.Metric{Name: d.Name, Statistic: d.Statistic, Source: metrics.Slices, Scale: 1, Typical: 1, Share: d.Share}}
	if d.Share == 0 {
		m.Share = int64(metrics.Whole / all)
	}
	if d.Name == "" {
		r.problem(path, "the metric has no name")
	}
	if slices.ContainsFunc(r.spec.metrics, func(other *metric) bool { return other.Name == d.Name }) {
		r.problem(path+".name", "metric %q is there twice", d.Name)
	}
	if m.Share < 1 || m.Share > metrics.Whole {
		r.problem(path+".share", "share is %d, want 1 to %d thousandths", m.Share, metrics.Whole)
	}
	for i := range d.Keys {
		r.key(fmt.Sprintf("%s.keys[%d]", path, i), m, &d.Keys[i], d.Threshold != 0)
	}
	r.spec.metrics = append(r.spec.metrics, m)
	if d.Threshold != 0 {
		r.open(path, m, d)
		return
	}
	r.public(path, m, d)
}

func (r *reader) key(path string, m *metric, d *keyText, open bool) {
	m.columns = append(m.columns, d.Column)
	m.Keys = append(m.Keys, metrics.Key{Column: d.Column, Values: slices.Clone(d.Values), Otherwise: d.Otherwise})
	seen := map[string]bool{}
	for _, v := range d.Values {
		if seen[v] {
			r.problem(path+".values", "%q is there twice", v)
		}
		seen[v] = true
	}
	switch {
	case d.Column == "":
		r.problem(path, "the key has no column")
	case open && (d.Values != nil || d.Otherwise != ""):
		r.problem(path+".values", "keys are either public values or selected by threshold_delta")
	case !open && len(d.Values) == 0:
		r.problem(path, "%s has an empty set of public values", d.Column)
	case !open && d.Otherwise != "" && !seen[d.Otherwise]:
		r.problem(path+".otherwise", "%q is not among the values", d.Otherwise)
	}
}

// public completes a metric whose keys are known before a row is read.
func (r *reader) public(path string, m *metric, d *metricText) {
	cells := m.Cells()
	if cells > maxCells {
		r.problem(path+".keys", "%d cells, want at most %d", cells, maxCells)
		return
	}
	m.index()
	if d.Statistic == metrics.Quantiles {
		r.problem(path+".statistic", "quantiles are read from a histogram: audit that")
	}
	r.bounds(path, m, d, int64(cells))
}

func (r *reader) bounds(path string, m *metric, d *metricText, cells int64) {
	bounds, problems := metrics.NewBounds(d.Statistic, metrics.Bounds{Keys: d.Bounds.Keys, PerKey: d.Bounds.PerKey, Total: d.Bounds.Total}, cells)
	for _, p := range problems {
		r.problem(path+"."+p.At, "%s: %s", m.Name, p.Text)
	}
	m.Bounds = bounds
}

func (r *reader) shares() {
	sum := int64(0)
	for _, m := range r.spec.metrics {
		sum += m.Share
	}
	if sum > metrics.Whole {
		r.problem("$.metrics", "the shares add up to %d thousandths of the budget, want at most %d", sum, metrics.Whole)
	}
}
