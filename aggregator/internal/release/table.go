package release

import (
	"fmt"
	"math"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Status says how far a number can be trusted.
type Status string

// The statuses of a row.
const (
	OK            Status = "ok"
	LowConfidence Status = "low_confidence" // the interval is wider than the value
)

// z95 is the 97.5 % quantile of the standard normal law.
const z95 = 1.959963984540054

// Row is one published number.
type Row struct {
	Cell   int
	Key    []string
	Raw    int64 // the bounded total plus noise: unbiased, may be negative
	Value  int64 // tidied: never negative
	StdErr float64
	Low    int64 // ends of the 95 % interval of the bounded total
	High   int64
	Status Status
}

// Clip is the noisy share of units that a bound cut.
type Clip struct {
	Share  float64
	StdErr float64
}

// Table is a released metric of a period.
type Table struct {
	design Design
	entry  ledger.Reservation
	rows   []Row
	clip   *Clip
}

// Design returns how the table was noised.
func (t Table) Design() Design { return t.design }

// Metric returns what the table holds.
func (t Table) Metric() *metrics.Metric { return t.design.Metric }

// Period returns the period.
func (t Table) Period() period.Period { return t.entry.Period }

// Reservation returns the ledger's entry for the table.
func (t Table) Reservation() ledger.Reservation { return t.entry }

// Rows returns a row for every public key, in their order. The caller must not
// change them.
func (t Table) Rows() []Row { return t.rows }

// Clip returns the share of units that a bound cut, nil where none can.
func (t Table) Clip() *Clip { return t.clip }

// New noises cells once. It uses the draw up, also when it fails.
func New(draw ledger.Draw, d Design, cells bound.Cells) (Table, error) {
	if err := draw.Covers(cells.Period(), d.Metric.Name, d.Metric.Hash()); err != nil {
		return Table{}, fmt.Errorf("release: %s: %w", d.Metric.Name, err)
	}
	if cells.Metric() != d.Metric {
		return Table{}, fmt.Errorf("release: the cells are of %s, the design is of %s", cells.Metric().Name, d.Metric.Name)
	}
	if spent := draw.Reservation().Mu2; spent < d.Mu2() {
		return Table{}, fmt.Errorf("release: %s: the reservation is smaller than what the design spends", d.Metric.Name)
	}
	if err := draw.Use(); err != nil {
		return Table{}, fmt.Errorf("release: %s: %w", d.Metric.Name, err)
	}
	rows, clip, err := Noise(d, cells, Gaussian())
	if err != nil {
		return Table{}, err
	}
	return Table{design: d, entry: draw.Reservation(), rows: rows, clip: clip}, nil
}

// Noise is the pure core of New: cells and noise in, rows out.
func Noise(d Design, cells bound.Cells, n Noiser) ([]Row, *Clip, error) {
	rows := make([]Row, d.Metric.Cells())
	for i := range rows {
		raw, err := d.Cells.add(n, cells.Total(i))
		if err != nil {
			return nil, nil, fmt.Errorf("release: noise %s: %w", d.Metric.Name, err)
		}
		rows[i] = newRow(d, i, raw)
	}
	if !d.Metric.Clips() {
		return rows, nil, nil
	}
	cut, uncut := cells.Clip()
	noisyCut, err := d.Clip.add(n, cut)
	if err != nil {
		return nil, nil, fmt.Errorf("release: noise the clip count of %s: %w", d.Metric.Name, err)
	}
	noisyUncut, err := d.Clip.add(n, uncut)
	if err != nil {
		return nil, nil, fmt.Errorf("release: noise the clip count of %s: %w", d.Metric.Name, err)
	}
	return rows, newClip(d.Clip.Sigma, noisyCut, noisyUncut), nil
}

// newRow says what a noised number means.
//
// The noise is a normal draw g, rounded: it is at most h in magnitude if and only
// if |g| < h + 1/2. So the smallest whole h with h + 1/2 >= 1.96 sigma gives an
// interval that holds the total in at least 95 of 100 cases. A total is never
// negative, so that what the interval has below 0 can go.
func newRow(d Design, cell int, raw int64) Row {
	r := rowOf(d, raw)
	r.Cell, r.Key = cell, d.Metric.Key(cell)
	return r
}

// rowOf makes a row without its key.
func rowOf(d Design, raw int64) Row {
	half := int64(math.Ceil(z95*d.Cells.Sigma - 0.5))
	r := Row{
		Raw: raw, Value: max(0, raw),
		StdErr: standardError(d.Cells.Sigma),
		Low:    max(0, raw-half), High: max(0, raw+half),
		Status: OK,
	}
	if r.Value < 2*half {
		r.Status = LowConfidence
	}
	return r
}

// standardError of rounded normal noise: rounding adds a twelfth to the variance
// (Sheppard; below a sigma of 1, which no plan comes near, it is a bit less).
func standardError(sigma float64) float64 { return math.Sqrt(sigma*sigma + 1.0/12) }

// newClip estimates a share from two noisy counts. Its standard error is that of
// a quotient c/(c+u) to first order: sigma sqrt(c^2 + u^2) / (c+u)^2. With next to
// nobody counted both are left at what says nothing: a share of 0 +- 1.
func newClip(sigma float64, cut, uncut int64) *Clip {
	c, u := float64(max(0, cut)), float64(max(0, uncut))
	units := c + u
	if units < 2*sigma {
		return &Clip{Share: 0, StdErr: 1}
	}
	return &Clip{Share: c / units, StdErr: min(1, standardError(sigma)*math.Hypot(c, u)/(units*units))}
}
