package audit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// mutant is the release with one mistake planted. Each part that is nil is as in
// production; noise is fast, so that a mutant is quick to try.
type mutant struct {
	name  string
	rows  func([]Row) []Row                          // before anything
	cells func(*Spec, []bounded, []Row) error        // after bounding
	noise func() release.Noiser                      // instead of fresh noise
	out   func(*Spec, []bounded, []Row, []Out) []Out // before it is published
}

func (m mutant) release(s *Spec, rows []Row, trials int) ([][]Out, error) {
	if m.rows != nil {
		rows = m.rows(rows)
	}
	list, err := s.bound(rows)
	if err != nil {
		return nil, err
	}
	if m.cells != nil {
		if err := m.cells(s, list, rows); err != nil {
			return nil, err
		}
	}
	noise := release.Noiser(newFast())
	all := make([][]Out, trials)
	for trial := range all {
		if m.noise != nil {
			noise = m.noise()
		}
		for _, b := range list {
			if err := b.release(noise, func(o Out) error {
				all[trial] = append(all[trial], o)
				return nil
			}); err != nil {
				return nil, err
			}
		}
		if m.out != nil {
			all[trial] = m.out(s, list, rows, all[trial])
		}
	}
	return all, nil
}

// redesign plants other noise.
func redesign(change func(*Spec, *bounded) (release.Design, error)) func(*Spec, []bounded, []Row) error {
	return func(s *Spec, list []bounded, _ []Row) (err error) {
		for i := range list {
			if list[i].design, err = change(s, &list[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// total returns the exact total behind a published row of public keys.
func total(list []bounded, o Out) int64 {
	for _, b := range list {
		if b.metric.Name == o.Metric && b.metric.delta == 0 {
			cell, _ := b.metric.cell(Row{Keys: o.Keys})
			return b.cells.Total(cell)
		}
	}
	return math.MaxInt64
}

// rebound bounds with other bounds than the noise was made for.
func rebound(change func(*metrics.Bounds)) func(*Spec, []bounded, []Row) error {
	return func(_ *Spec, list []bounded, rows []Row) (err error) {
		for i, b := range list {
			if b.metric.delta != 0 {
				continue
			}
			other := *b.metric.Metric
			change(&other.Bounds)
			if list[i].cells, err = bound.Of(&other, week, b.metric.contributions(rows)); err != nil {
				return err
			}
		}
		return nil
	}
}

// each drops or changes published rows by the exact totals behind them.
func each(change func(exact int64, o *Out) (keep bool)) func(*Spec, []bounded, []Row, []Out) []Out {
	return func(_ *Spec, list []bounded, _ []Row, out []Out) []Out {
		return slices.DeleteFunc(out, func(o Out) bool { return !change(total(list, o), &o) })
	}
}

// mutants are mistakes that were made in real systems, or nearly.
func mutants() []mutant {
	const seed = 20261116
	return []mutant{
		{name: "noise ignores L0", cells: redesign(func(s *Spec, b *bounded) (release.Design, error) {
			one := *b.metric.Metric
			one.Bounds.Keys, one.Bounds.Total = 1, one.Bounds.PerKey
			d, err := release.NewDesign(&one, b.design.Mu2())
			d.Metric, d.Clip = b.design.Metric, b.design.Clip
			return d, err
		})},
		{name: "clamps each event, not the unit's sum", cells: rebound(func(b *metrics.Bounds) { b.PerKey, b.Total = b.PerKey*20, b.Total*20 })},
		{name: "keys of a unit are not limited", cells: rebound(func(b *metrics.Bounds) { b.Keys, b.Total = 4, 4*b.PerKey })},
		{name: "the whole epsilon for each metric", cells: redesign(func(s *Spec, b *bounded) (release.Design, error) {
			mu, err := s.Promise.Mu()
			if err != nil {
				return release.Design{}, err
			}
			return release.NewDesign(b.metric.Metric, mu*mu)
		})},
		{name: "threshold on raw counts", out: each(func(exact int64, _ *Out) bool { return exact >= 5 })},
		{name: "LIMIT over the table", rows: func(rows []Row) []Row { return rows[:min(len(rows), 60)] }},
		{name: "noise seeded by the date", noise: func() release.Noiser {
			f := newFast()
			f.random = rand.New(rand.NewPCG(seed, seed))
			return f
		}},
		{name: "no lower clamp", out: func(s *Spec, list []bounded, rows []Row, out []Out) []Out {
			for i := range out {
				for _, r := range rows {
					if out[i].Metric == "grams" && r.Value < 0 && r.Keys["k"] == out[i].Keys["k"] {
						out[i].Raw += r.Value / 2
					}
				}
			}
			return out
		}},
		{name: "exact total in the output", out: func(_ *Spec, list []bounded, _ []Row, out []Out) []Out {
			sum := int64(0)
			for _, o := range out {
				sum += min(total(list, o), 1<<40)
			}
			return append(out, Out{Metric: "total", Raw: sum})
		}},
		{name: "empty public keys dropped", out: each(func(exact int64, _ *Out) bool { return exact != 0 })},
		{name: "rows in the order of true counts", out: func(_ *Spec, list []bounded, _ []Row, out []Out) []Out {
			slices.SortStableFunc(out, func(a, b Out) int { return int(total(list, b)%1000 - total(list, a)%1000) })
			return out
		}},
		{name: "error bar of the true count", out: func(_ *Spec, list []bounded, _ []Row, out []Out) []Out {
			for i := range out {
				out[i].StdErr = math.Sqrt(float64(total(list, out[i])))
			}
			return out
		}},
		{name: "exact share of clipped units", out: func(_ *Spec, list []bounded, _ []Row, out []Out) []Out {
			cut, uncut := list[0].cells.Clip()
			share := float64(cut) / float64(max(1, cut+uncut))
			for i := range out {
				out[i].Clip = &share
			}
			return out
		}},
		{name: "selected keys without noise", out: func(_ *Spec, list []bounded, rows []Row, out []Out) []Out {
			for _, r := range rows {
				if list[0].metric.delta != 0 && r.Keys["k"] == "new" {
					out = append(out, Out{Metric: "brands", Keys: r.Keys})
				}
			}
			return out
		}},
		{name: "a clock of the data's size", out: func(_ *Spec, _ []bounded, rows []Row, out []Out) []Out {
			return append(out, Out{Metric: "duration", Raw: int64(len(rows))})
		}},
	}
}

// The auditor rejects every planted mistake. Failure by chance: a mutant escapes
// below 1e-6 of the times; the weakest findings, of 1.41 times the claimed mu, are
// four standard errors clear of the claim in each of three scenarios.
func TestMutants(t *testing.T) {
	trials := amount(10_000, 40_000)
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if by, f := rejected(t, m, trials); by == "" {
				t.Error("the auditor lets it pass")
			} else {
				t.Logf("rejected in %q: mu at least %.2f by %s", by, f.mu, f.by)
			}
		})
	}
}

// rejected returns the first scenario that refutes a mutant.
func rejected(t *testing.T, m mutant, trials int) (string, finding) {
	for _, sc := range scenarios() {
		with, without, c := sc.neighbours(t, m.release, trials)
		if f := inspect(with, without, c); f.refutes(c) {
			return sc.name, f
		}
	}
	return "", finding{}
}
