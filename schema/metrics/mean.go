package metrics

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"
)

//go:embed mean/*.yaml
var meanFiles embed.FS

// Mean is the quotient of two published statistics of one week: a total by a count
// of the same keys. It is arithmetic on what is published and spends nothing.
type Mean struct {
	Name     string `json:"name"` // also of its view
	Title    string `json:"title"`
	Question string `json:"question"`
	Audience string `json:"audience"`
	// Total and Count let an installation count for equally many of the same keys.
	Total *Metric `json:"-"`
	Count *Metric `json:"-"`
	Unit  string  `json:"unit"` // of a total, for one
	// A mean lies between Minimum and Maximum, whatever is reported.
	Minimum float64 `json:"minimum"`
	Maximum float64 `json:"maximum"`
}

// Means returns the approved means in the order of their names. As those of All,
// a defect in them is a defect of the build.
func Means() []*Mean { return slices.Clone(loadedMeans()) }

var loadedMeans = sync.OnceValue(func() []*Mean {
	list, err := LoadMeans(meanFiles, All())
	if err != nil {
		panic(err)
	}
	return list
})

// meanDefinition is a mean as it is written.
type meanDefinition struct {
	Name     string  `yaml:"name"`
	Title    string  `yaml:"title"`
	Question string  `yaml:"question"`
	Audience string  `yaml:"audience"`
	Total    string  `yaml:"total"`
	Count    string  `yaml:"count"`
	Unit     string  `yaml:"unit"`
	Minimum  float64 `yaml:"minimum"`
	Maximum  float64 `yaml:"maximum"`
}

// LoadMeans reads and checks every YAML file in the folder mean of fsys, as means
// of the metrics given, and returns every problem at once, each with its file and
// line.
func LoadMeans(fsys fs.FS, of []*Metric) ([]*Mean, error) {
	names, err := fs.Glob(fsys, "mean/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	byName := map[string]*Metric{}
	taken := map[string]bool{}
	for _, m := range of {
		byName[m.Name], taken[m.Name] = m, true
	}
	var all []*Mean
	var problems []error
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		found, faults := parseMeans(name, text, byName, taken)
		all, problems = append(all, found...), append(problems, faults...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *Mean) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// parseMeans reads one file. It notes the names that it finds as taken.
func parseMeans(file string, text []byte, byName map[string]*Metric, taken map[string]bool) ([]*Mean, []error) {
	var found []*Mean
	problems := eachDefinition(file, text, "means", func(_ ast.Node, d *meanDefinition) (string, []fault) {
		m, faults := resolveMean(d, byName)
		if taken[d.Name] {
			faults = append(faults, fault{"name", "there is a statistic of this name"})
		}
		taken[d.Name] = true
		found = append(found, m)
		return d.Name, faults
	})
	return found, problems
}

// resolveMean checks a definition and looks up what it divides.
func resolveMean(d *meanDefinition, byName map[string]*Metric) (*Mean, []fault) {
	m := &Mean{Name: d.Name, Title: d.Title, Question: d.Question, Audience: d.Audience, Unit: d.Unit, Minimum: d.Minimum, Maximum: d.Maximum}
	var faults []fault
	check := func(ok bool, at, format string, args ...any) bool {
		if !ok {
			faults = append(faults, fault{at, fmt.Sprintf(format, args...)})
		}
		return ok
	}
	check(namePattern.MatchString(d.Name), "name", "the name must match %s", namePattern)
	for _, w := range []struct{ at, text string }{{"title", d.Title}, {"question", d.Question}, {"audience", d.Audience}, {"unit", d.Unit}} {
		check(w.text != "", w.at, "%s is missing", w.at)
	}
	check(d.Minimum >= 0 && d.Minimum < d.Maximum && d.Maximum <= MaxCap, "maximum", "want 0 <= minimum < maximum <= %d", int64(MaxCap))
	m.Total, m.Count = byName[d.Total], byName[d.Count]
	known := check(m.Total != nil, "total", "there is no statistic %q", d.Total)
	known = check(m.Count != nil, "count", "there is no statistic %q", d.Count) && known
	if !known {
		return m, faults
	}
	check(m.Total.Statistic == Sum || m.Total.Statistic == Events, "total", "%s adds nothing up", d.Total)
	check(m.Count.Statistic == Events || m.Count.Statistic == Installations, "count", "%s counts nothing", d.Count)
	check(m.Total != m.Count, "count", "a statistic by itself is 1")
	check(slices.EqualFunc(m.Total.Keys, m.Count.Keys, sameKey), "count", "%s and %s have other keys", d.Total, d.Count)
	// Where more is cut from one than from the other, the quotient is of neither.
	check(m.Total.Bounds.Keys == m.Count.Bounds.Keys, "count", "an installation counts for %d keys of %s, and %d of %s", m.Total.Bounds.Keys, d.Total, m.Count.Bounds.Keys, d.Count)
	return m, faults
}

func sameKey(a, b Key) bool { return a.Column == b.Column && slices.Equal(a.Values, b.Values) }
