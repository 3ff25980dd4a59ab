package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Row is one report: {"unit": "a", "keys": {"machine": "x"}, "value": 3}.
type Row struct {
	Unit  string
	Keys  map[string]string
	Value int64 // of sums; below 0 counts as 0, absent too
}

// maxProblems is how many wrong lines are listed: all of a file of another kind
// would be of no use.
const maxProblems = 10

// ErrRows says that the input is not rows.
var ErrRows = errors.New("audit: the rows cannot be read")

// ReadRows reads rows, one JSON object a line, and returns the wrong ones with
// their lines. name is what the input is called in errors.
func ReadRows(name string, in io.Reader) ([]Row, error) {
	var list []Row
	var problems []error
	lines := bufio.NewReader(in)
	for number := 1; len(problems) < maxProblems; number++ {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			row, wrong := parseRow(line)
			if wrong != nil {
				problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, wrong))
			}
			list = append(list, row)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrRows, name, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("%w:\n%w", ErrRows, err)
	}
	return list, nil
}

func parseRow(line []byte) (Row, error) {
	var text struct {
		Unit  *string        `json:"unit"`
		Keys  map[string]any `json:"keys"`
		Value *json.Number   `json:"value"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&text); err != nil {
		return Row{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Row{}, errors.New("something follows the object")
	}
	if text.Unit == nil || *text.Unit == "" {
		return Row{}, errors.New("unit is missing")
	}
	row := Row{Unit: *text.Unit, Keys: map[string]string{}}
	for column, v := range text.Keys {
		switch v := v.(type) {
		case string:
			row.Keys[column] = v
		case json.Number:
			row.Keys[column] = v.String()
		default:
			return Row{}, fmt.Errorf("key %q is neither a text nor a number", column)
		}
	}
	var err error
	if text.Value != nil {
		row.Value, err = integer(text.Value.String())
	}
	return row, err
}

// integer reads an integer of any size; what is beyond int64 is its end, and
// bounds cut it anyway.
func integer(text string) (int64, error) {
	v, ok := new(big.Int).SetString(text, 10)
	switch {
	case !ok:
		return 0, fmt.Errorf("value %s is not an integer: there are milligrams, seconds and counts", text)
	case v.IsInt64():
		return v.Int64(), nil
	case v.Sign() < 0:
		return math.MinInt64, nil
	}
	return math.MaxInt64, nil
}

// number is a unit's number: a function of its name and of nothing else, so that
// no other unit has an influence on which of its keys are kept.
func (r Row) number() uint64 {
	sum := sha256.Sum256([]byte(r.Unit))
	return binary.LittleEndian.Uint64(sum[:8])
}

// key returns a row's key over columns, and whether all are reported.
func (r Row) key(columns []string) ([]string, bool) {
	key := make([]string, len(columns))
	for i, c := range columns {
		v, ok := r.Keys[c]
		if !ok {
			return nil, false
		}
		key[i] = v
	}
	return key, true
}

// index prepares looking up public cells.
func (m *metric) index() {
	m.cells = map[string]int{}
	for i := range m.Cells() {
		m.cells[join(m.Key(i))] = i
	}
}

// Contributions is what made-up rows add to an approved metric: their keys are
// named after its columns.
func Contributions(approved *metrics.Metric, rows []Row) iter.Seq[bound.Contribution] {
	m := &metric{Metric: approved}
	for _, k := range approved.Keys {
		m.columns = append(m.columns, k.Column)
	}
	m.index()
	return m.contributions(rows)
}

// cell finds a row's public cell. A value outside of its set is "otherwise", or
// drops the row.
func (m *metric) cell(r Row) (int, bool) {
	key, ok := r.key(m.columns)
	if !ok {
		return 0, false
	}
	for i, k := range m.Keys {
		if k.Otherwise != "" && !slices.Contains(k.Values, key[i]) {
			key[i] = k.Otherwise
		}
	}
	cell, ok := m.cells[join(key)]
	return cell, ok
}

// join makes one text of a key, injectively.
func join(key []string) string {
	var b strings.Builder
	for _, k := range key {
		fmt.Fprintf(&b, "%d:%s", len(k), k)
	}
	return b.String()
}
