package metrics

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Statistic is what is computed of the rows.
type Statistic string

// The statistics.
const (
	Installations Statistic = "installations" // units that report the key
	Events        Statistic = "events"        // rows with the key
	Sum           Statistic = "sum"           // of a column, over the rows with the key
	Histogram     Statistic = "histogram"     // one vote a unit, split over its keys
	Quantiles     Statistic = "quantiles"     // of a logarithmic field, read from its histogram
)

// Source is what a row is.
type Source string

// The sources.
const (
	Slices          Source = "slices"           // one completed output
	Extruders       Source = "extruders"        // one extruder that an output uses
	ChangedSettings Source = "changed_settings" // one sampled setting that differs from the profile
	Counters        Source = "counters"         // the counters of one batch
)

// Sources are all of them.
var Sources = []Source{Slices, Extruders, ChangedSettings, Counters}

// Vote is what a unit adds to a histogram in all, in millionths of an
// installation: each of its rows adds the same part, rounded down, and what
// rounding loses of a hundred rows is then no more than the ten-thousandth part.
const Vote = 1_000_000

// Bounds is what one unit can add to a metric.
type Bounds struct {
	Keys   int64 `json:"keys"`    // keys that it counts for
	PerKey int64 `json:"per_key"` // added to one key
	Total  int64 `json:"total"`   // added to all keys together
}

// Key is one dimension of a metric with its public set of values.
type Key struct {
	Column    string   `json:"column"`          // of the source: "machine", "material_type"
	Values    []string `json:"values"`          // the public set, in order
	Numeric   bool     `json:"numeric"`         // the values are numbers
	Otherwise string   `json:"otherwise"`       // takes the reported values outside of the set; "" drops them
	Optional  bool     `json:"optional"`        // 0 is a value, and a missing one is NULL
	Edges     []uint32 `json:"edges,omitempty"` // of a logarithmic field: the buckets' bounds
	Enum      []int32  `json:"-"`               // of an enumeration: the values' numbers in the database
}

// Metric is one approved statistic. Callers must not change it.
type Metric struct {
	Name      string    `json:"name"`
	Title     string    `json:"title"`
	Question  string    `json:"question"`
	Audience  string    `json:"audience"`
	Statistic Statistic `json:"statistic"`
	Source    Source    `json:"source"`
	Keys      []Key     `json:"keys"`
	Value     string    `json:"value,omitempty"` // column summed
	Bounds    Bounds    `json:"bounds"`
	Unit      string    `json:"unit"`
	Scale     int64     `json:"scale"`
	Typical   int64     `json:"typical"`
	Share     int64     `json:"share"` // of the budget, in Whole-ths
	// Open says that the keys are not public but selected by a threshold over
	// noise. No approved metric is: every text that is collected is a public name.
	Open bool `json:"open,omitempty"`

	fields []string
}

// Fields returns the paths of the collected fields that the metric reads, as
// rules.Field names them.
func (m *Metric) Fields() []string { return slices.Clone(m.fields) }

// Cells returns the number of keys that the metric publishes, the product of its
// dimensions. A metric without keys has one.
func (m *Metric) Cells() int {
	n := 1
	for _, k := range m.Keys {
		n *= len(k.Values)
	}
	return n
}

// Key returns the values of a cell, the first dimension varying slowest.
func (m *Metric) Key(cell int) []string {
	key := make([]string, len(m.Keys))
	for i := len(m.Keys) - 1; i >= 0; i-- {
		n := len(m.Keys[i].Values)
		key[i] = m.Keys[i].Values[cell%n]
		cell /= n
	}
	return key
}

// OneVote reports whether a unit's rows are made one vote.
func (m *Metric) OneVote() bool { return m.Statistic == Histogram || m.Statistic == Quantiles }

// Clips reports whether the bounds can cut what a unit reports. A vote is shared
// out instead, and loses what rounding takes.
func (m *Metric) Clips() bool {
	if m.Open {
		return false // a count of its own would depend on the number of keys
	}
	switch m.Statistic {
	case Events, Sum:
		return true
	case Installations:
		return m.Bounds.Keys < int64(m.Cells())
	}
	return false
}

// Hash identifies everything that decides what is computed: the definition, its
// bounds and every public key. Another hash is another query.
func (m *Metric) Hash() string {
	defining := *m
	// Words for people and assumptions for planning may be improved later.
	defining.Title, defining.Question, defining.Audience, defining.Typical, defining.Share = "", "", "", 0, 0
	text, err := json.Marshal(struct {
		Metric
		MaxRows int `json:"max_rows"`
	}{defining, MaxRows})
	if err != nil {
		panic(err) // strings and integers only: cannot fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
