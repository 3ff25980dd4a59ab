package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// week is the period of every run: it only salts the order in which keys are kept.
var week = period.Period(4 + 7*2600)

// Out is one published row of one trial.
type Out struct {
	Trial      int               `json:"trial"`
	Metric     string            `json:"metric"`
	Keys       map[string]string `json:"keys"`
	Raw        int64             `json:"value_raw"`
	Value      int64             `json:"value"`
	StdErr     float64           `json:"std_err"`
	Low        int64             `json:"ci95_lo"`
	High       int64             `json:"ci95_hi"`
	Status     release.Status    `json:"status"`
	Clip       *float64          `json:"clip_share,omitempty"`
	ClipStdErr *float64          `json:"clip_share_std_err,omitempty"`
}

// bounded is one metric with its exact totals, ready to be noised.
type bounded struct {
	metric *metric
	design release.Design
	cells  bound.Cells
	open   bound.OpenCells
}

// Run bounds rows and passes on the rows of that many trials. It stops at the
// first error of yield.
func Run(s *Spec, rows []Row, trials int, yield func(Out) error) error {
	if trials < 1 {
		return errors.New("audit: want at least one trial")
	}
	return run(s, rows, trials, release.Gaussian(), yield)
}

// run is Run with the noise as a parameter, which the auditor's own tests replace.
func run(s *Spec, rows []Row, trials int, n release.Noiser, yield func(Out) error) error {
	list, err := s.bound(rows)
	if err != nil {
		return err
	}
	for trial := range trials {
		for _, b := range list {
			if err := b.release(n, func(o Out) error {
				o.Trial = trial
				return yield(o)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Write runs trials and writes a line of JSON for each row.
func Write(s *Spec, rows []Row, trials int, out io.Writer) error {
	buffer := bufio.NewWriterSize(out, 1<<16)
	e := json.NewEncoder(buffer)
	if err := Run(s, rows, trials, func(o Out) error { return e.Encode(o) }); err != nil {
		return err
	}
	return buffer.Flush()
}

// split gives each metric its part of the budget. What a threshold may let
// through comes off delta first.
func (s *Spec) split() error {
	promise := s.Promise
	var list []*metrics.Metric
	for _, m := range s.metrics {
		promise.Delta -= m.delta
		list = append(list, m.Metric)
	}
	if promise.Delta <= 0 {
		return fmt.Errorf("thresholds spend %g of a delta of %g", s.Promise.Delta-promise.Delta, s.Promise.Delta)
	}
	var err error
	s.plan, err = plan.Split(promise, list)
	return err
}

// Mu returns the mu of everything that a run publishes.
func (s *Spec) Mu() float64 { return s.plan.Mu() }

func (s *Spec) bound(rows []Row) ([]bounded, error) {
	var list []bounded
	for i, m := range s.metrics {
		b := bounded{metric: m, design: s.plan.Designs[i]}
		var err error
		if m.delta == 0 {
			b.cells, err = bound.Of(m.Metric, week, m.contributions(rows))
		} else {
			b.open, err = bound.OfOpen(m.Metric, week, m.reports(rows))
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// contributions is what rows add to public cells. A value below 0 adds nothing.
func (m *metric) contributions(rows []Row) iter.Seq[bound.Contribution] {
	return func(yield func(bound.Contribution) bool) {
		for _, r := range rows {
			cell, ok := m.cell(r)
			if !ok {
				cell = -1
			}
			if !yield(bound.Contribution{Unit: r.number(), Cell: cell, Value: uint64(max(0, r.Value))}) {
				return
			}
		}
	}
}

// reports is what rows say of open keys.
func (m *metric) reports(rows []Row) iter.Seq[bound.Report] {
	return func(yield func(bound.Report) bool) {
		for _, r := range rows {
			key, ok := r.key(m.columns)
			if ok && !yield(bound.Report{Unit: r.number(), Key: key}) {
				return
			}
		}
	}
}

func (b bounded) release(n release.Noiser, yield func(Out) error) error {
	rows, clip, err := b.noise(n)
	if err != nil {
		return err
	}
	for _, r := range rows {
		o := Out{Metric: b.metric.Name, Keys: map[string]string{}, Raw: r.Raw, Value: r.Value, StdErr: r.StdErr, Low: r.Low, High: r.High, Status: r.Status}
		for i, c := range b.metric.columns {
			o.Keys[c] = r.Key[i]
		}
		if clip != nil {
			o.Clip, o.ClipStdErr = &clip.Share, &clip.StdErr
		}
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

func (b bounded) noise(n release.Noiser) ([]release.Row, *release.Clip, error) {
	if b.metric.delta == 0 {
		return release.Noise(b.design, b.cells, n)
	}
	rows, err := release.Select(b.design, b.open, b.metric.delta, n)
	return rows, nil, err
}

// open completes a metric whose keys are selected by a threshold.
func (r *reader) open(path string, m *metric, d *metricText) {
	// No number of cells limits its keys, and a clip count would depend on it.
	r.bounds(path, m, d, math.MaxInt32)
	m.delta, m.Open = d.Threshold, true
	if d.Statistic != metrics.Installations || len(d.Keys) == 0 {
		r.problem(path, "%s: a threshold selects keys of installations", m.Name)
	}
	if err := release.CheckThreshold(m.Bounds.Keys, d.Threshold); err != nil {
		r.problem(path+".threshold_delta", "%s: %v", m.Name, err)
	}
}
