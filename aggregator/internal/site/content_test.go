package site

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// lastWeek is the latest week of the made-up content.
var lastWeek = period.Of(time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC))

// stored is a Source of made-up content.
type stored struct {
	plan   plan.Plan
	tables map[string]*Table
	most   publish.Span // the longest that was asked for
}

func (s *stored) Weeks(context.Context) ([]period.Period, error) {
	var list []period.Period
	for _, t := range s.tables {
		for _, r := range t.Releases {
			list = append(list, r.Period)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func (s *stored) Table(_ context.Context, m *metrics.Metric, in publish.Span) (Table, error) {
	if in.Last-in.First > s.most.Last-s.most.First {
		s.most = in
	}
	first, last := in.First.String(), in.Last.String()
	from := s.tables[m.Name]
	t := Table{Metric: m}
	for _, r := range from.Releases {
		if r.Week >= first && r.Week <= last {
			t.Releases = append(t.Releases, r)
		}
	}
	at := sort.Search(len(from.Rows), func(i int) bool { return from.Rows[i].Week >= first })
	after := sort.Search(len(from.Rows), func(i int) bool { return from.Rows[i].Week > last })
	t.Rows = from.Rows[at:after]
	for _, q := range from.Quantiles {
		if q.Week >= first && q.Week <= last {
			t.Quantiles = append(t.Quantiles, q)
		}
	}
	return t, nil
}

// Mean divides rows as the database does, without its care for small counts.
func (s *stored) Mean(ctx context.Context, m *metrics.Mean, in publish.Span) ([]publish.Mean, error) {
	total, _ := s.Table(ctx, m.Total, in)
	count, _ := s.Table(ctx, m.Count, in)
	counts := map[string]publish.Statistic{}
	for _, y := range count.Rows {
		counts[y.Week+joined(y.Key)] = y
	}
	var list []publish.Mean
	for _, x := range total.Rows {
		y, both := counts[x.Week+joined(x.Key)]
		if !both {
			continue
		}
		r := publish.Mean{Week: x.Week, Key: x.Key, Status: "low_confidence", Low: m.Minimum, High: m.Maximum,
			Total: float64(x.Raw) / float64(x.Scale), TotalError: x.StdErr / float64(x.Scale), Count: float64(y.Raw), CountError: y.StdErr}
		raw := r.Total / r.Count
		if r.Count != 0 {
			r.Raw = &raw
		}
		if r.Count > 4*r.CountError {
			value, stdErr := max(0, raw), math.Hypot(r.TotalError, raw*r.CountError)/r.Count
			r.Value, r.StdErr, r.Low, r.High = &value, &stdErr, max(0, raw-z95*stdErr), raw+z95*stdErr
			if r.High-r.Low < value {
				r.Status = "ok"
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// madeUp is what a site of a fleet of some thousand installations holds:
// the shapes of real content, with the noise of the plan. A week is missing, one
// metric was changed, one was withheld, one never published.
func madeUp(t *testing.T, weeks int) *stored {
	t.Helper()
	return madeUpOf(t, weeks, func(string, int) bool { return true })
}

// madeUpOf is madeUp of some metrics only: chosen is asked for each metric and week,
// counted from the last.
func madeUpOf(t *testing.T, weeks int, chosen func(metric string, ago int) bool) *stored {
	t.Helper()
	split, err := plan.New(gdp.Week)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	tables := map[string]*Table{}
	for _, m := range metrics.All() {
		tables[m.Name] = &Table{Metric: m}
	}
	for w := weeks - 1; w >= 0; w-- {
		week := lastWeek - period.Period(7*w)
		if w == 4 {
			continue // nobody ran the publisher
		}
		for _, d := range split.Designs {
			if !chosen(d.Metric.Name, w) {
				continue
			}
			release := publish.Release{Period: week, Week: week.String(), Metric: d.Metric.Name, Status: publish.Released, Definition: "one"}
			switch {
			case d.Metric.Name == "wall_count":
				continue
			case d.Metric.Name == "prime_tower_use" && w == 0:
				release.Status = publish.Withheld
			case d.Metric.Name == "slices" && w > 6:
				release.Definition = "before"
			}
			table := tables[d.Metric.Name]
			table.Releases = append(table.Releases, release)
			if release.Status == publish.Released {
				table.Rows = append(table.Rows, madeUpRows(random, d.Metric, week, d.Cells.Sigma, 9_000*(1+0.02*float64(weeks-w)))...)
				table.Quantiles = append(table.Quantiles, madeUpQuantiles(d.Metric, week)...)
			}
		}
	}
	return &stored{plan: split, tables: tables}
}

func madeUpRows(random *rand.Rand, m *metrics.Metric, week period.Period, sigma, installations float64) []publish.Statistic {
	var rows []publish.Statistic
	n := m.Cells()
	peak := float64(n) * 0.3
	for i := range n {
		part := 1.0
		if n > 1 && m.Keys[0].Numeric {
			part = math.Exp(-math.Pow((float64(i)-peak)/(0.08*float64(n)+1), 2)) / (0.08*float64(n) + 1)
		} else if n > 1 {
			part = 0.4 / math.Pow(1+float64((i*7919+3)%n), 1.15)
		}
		total := installations * part * float64(max(1, m.Typical)) * 0.8
		raw := int64(math.Round(total + sigma*random.NormFloat64()))
		half := int64(1.96 * sigma)
		r := publish.Statistic{Week: week.String(), Metric: m.Name, Key: m.Key(i), Raw: raw, Value: max(0, raw), StdErr: sigma,
			Low: max(0, raw-half), High: max(0, raw+half), Status: "ok", Scale: m.Scale, Unit: m.Unit}
		if r.Value < 2*half {
			r.Status = "low_confidence"
		}
		if m.Clips() {
			share, shareError := 0.031, 0.004
			r.ClipShare, r.ClipShareError = &share, &shareError
		}
		rows = append(rows, r)
	}
	return rows
}

func madeUpQuantiles(m *metrics.Metric, week period.Period) []publish.Quantile {
	if m.Statistic != metrics.Quantiles {
		return nil
	}
	var list []publish.Quantile
	for i, q := range []float64{0.1, 0.25, 0.5, 0.75, 0.9} {
		v := 900 * math.Pow(3, float64(i)) * (1 + 0.01*float64(week%5))
		list = append(list, publish.Quantile{Week: week.String(), Metric: m.Name, Quantile: q, Value: v, Low: 0.95 * v, High: 1.05 * v, Status: "ok"})
	}
	return list
}
