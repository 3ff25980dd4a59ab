package metrics

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

//go:embed *.yaml
var files embed.FS

// Whole is the budget of a period in the unit of Metric.Share.
const Whole = 1000

// All returns the approved metrics in the order of their names. The files are
// part of the build and every test of this package reads them; a defect in them
// is a defect of the build, hence the panic.
func All() []*Metric { return slices.Clone(loaded()) }

// ByName finds a metric.
func ByName(name string) (*Metric, bool) {
	for _, m := range loaded() {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

var loaded = sync.OnceValue(func() []*Metric {
	all, err := Load(files)
	if err != nil {
		panic(err)
	}
	return all
})

// Load reads and checks every YAML file at the top of fsys and returns every
// problem at once, each with its file and line.
func Load(fsys fs.FS) ([]*Metric, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	var all []*Metric
	var problems []error
	share := int64(0)
	seen := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		found, faults := parse(name, text)
		problems = append(problems, faults...)
		for _, p := range found {
			if first, twice := seen[p.metric.Name]; twice {
				problems = append(problems, fmt.Errorf("%s: metric %q is defined twice, first at %s", p.place(), p.metric.Name, first))
			}
			seen[p.metric.Name] = p.place()
			share += p.metric.Share
			all = append(all, p.metric)
		}
	}
	if share > Whole {
		problems = append(problems, fmt.Errorf("metrics: the shares add up to %d thousandths of the budget, want at most %d", share, Whole))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *Metric) int { return compare(a.Name, b.Name) })
	return all, nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// definition is a metric as it is written.
type definition struct {
	Name      string          `yaml:"name"`
	Title     string          `yaml:"title"`
	Question  string          `yaml:"question"`
	Audience  string          `yaml:"audience"`
	Statistic Statistic       `yaml:"statistic"`
	Source    Source          `yaml:"source"`
	Keys      []keyDefinition `yaml:"keys"`
	Value     string          `yaml:"value"`
	Bounds    struct {
		Keys   int64 `yaml:"keys"`
		PerKey int64 `yaml:"per_key"`
		Total  int64 `yaml:"total"`
	} `yaml:"bounds"`
	Unit    string `yaml:"unit"`
	Scale   int64  `yaml:"scale"`
	Typical int64  `yaml:"typical"`
	Share   int64  `yaml:"share"`
}

type keyDefinition struct {
	Column  string   `yaml:"column"`
	Only    []string `yaml:"only"`
	Maximum *uint32  `yaml:"maximum"`
}

// parsed is a metric with the place of its definition.
type parsed struct {
	metric *Metric
	file   string
	node   ast.Node
}

func (p parsed) place() string { return fmt.Sprintf("%s:%d", p.file, lineOf(p.node)) }

// parse reads one file.
func parse(file string, text []byte) ([]parsed, []error) {
	var found []parsed
	problems := eachDefinition(file, text, "metrics", func(node ast.Node, d *definition) (string, []fault) {
		metric, faults := resolve(d)
		found = append(found, parsed{metric, file, node})
		return d.Name, faults
	})
	return found, problems
}

// eachDefinition reads the list under a file's only key, and passes what is written
// to take, which returns its name and what is wrong with it. What cannot be read
// does not hide the problems of the next one.
func eachDefinition[D any](file string, text []byte, key string, take func(node ast.Node, d *D) (string, []fault)) []error {
	var tree *ast.File
	err := survive(func() (err error) {
		tree, err = parser.ParseBytes(text, 0)
		return err
	})
	if err != nil {
		return []error{located(file, nil, err)}
	}
	list, err := onlyList(tree, key)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", file, err)}
	}
	var problems []error
	for _, node := range list.Values {
		d := new(D)
		if err := survive(func() error { return yaml.NodeToValue(node, d, yaml.Strict()) }); err != nil {
			problems = append(problems, located(file, node, err))
			continue
		}
		name, faults := take(node, d)
		for _, f := range faults {
			place := fmt.Sprintf("%s:%d", file, lineOf(child(node, f.at)))
			problems = append(problems, fmt.Errorf("%s: %s: %s", place, name, f.text))
		}
	}
	return problems
}

var errNotYAML = errors.New("not valid YAML")

// survive makes a panic of the YAML library, which some malformed texts cause, an
// error like any other.
func survive(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errNotYAML
		}
	}()
	return f()
}

// onlyList returns the sequence under the only key of a file.
func onlyList(tree *ast.File, key string) (*ast.SequenceNode, error) {
	if len(tree.Docs) == 1 {
		if top, ok := tree.Docs[0].Body.(*ast.MappingNode); ok && len(top.Values) == 1 && top.Values[0].Key.String() == key {
			if list, ok := top.Values[0].Value.(*ast.SequenceNode); ok {
				return list, nil
			}
		}
	}
	return nil, fmt.Errorf("want one list, %s, and nothing else", key)
}

// located gives a problem of the YAML library its file and line.
func located(file string, node ast.Node, err error) error {
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", file, located.GetToken().Position.Line, located.GetMessage())
	}
	if node != nil {
		return fmt.Errorf("%s:%d: %w", file, lineOf(node), err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// child finds the node of a field such as "share", or the whole where it is missing.
func child(node ast.Node, name string) ast.Node {
	if m, ok := node.(*ast.MappingNode); ok {
		for _, v := range m.Values {
			if v.Key.String() == name {
				return v.Key
			}
		}
	}
	return node
}

// lineOf returns the line on which a node begins. The token of a mapping is the
// colon after its first key.
func lineOf(node ast.Node) int {
	if token := node.GetToken(); token != nil {
		return token.Position.Line
	}
	return 0
}
