package aggregator

import (
	"context"
	"fmt"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/aggregator/internal/site"
	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Operator is who answers for what is published.
type Operator = operator.Operator

// ParseOperator reads who answers for the data from the policy file that collectors
// read, and reports everything that is missing.
func ParseOperator(data []byte) (Operator, error) { return operator.Parse(data) }

// Site writes static pages of everything published into dir, under the name of who
// answers for it: nobody named, nothing written. It reads published tables only; an
// analyst's rights suffice. It holds a year of one metric at a time.
func Site(ctx context.Context, conn Conn, c Config, who Operator, dir string) error {
	if err := who.Validate(); err != nil {
		return fmt.Errorf("aggregator: site: %w", err)
	}
	outlook, err := Plan(c)
	if err != nil {
		return err
	}
	return site.Write(ctx, dir, outlook, who, source{conn})
}

// source is what a site reads of the database.
type source struct{ conn Conn }

// Weeks implements site.Source.
func (s source) Weeks(ctx context.Context) ([]period.Period, error) {
	return publish.Weeks(ctx, s.conn)
}

// Table implements site.Source.
func (s source) Table(ctx context.Context, m *metrics.Metric, in publish.Span) (site.Table, error) {
	t := site.Table{Metric: m}
	var err error
	if t.Releases, err = publish.ReleasesOf(ctx, s.conn, m.Name, in); err != nil {
		return site.Table{}, err
	}
	if len(t.Releases) == 0 {
		return t, nil
	}
	if t.Rows, err = publish.Statistics(ctx, s.conn, m.Name, in); err != nil {
		return site.Table{}, err
	}
	if m.Statistic != metrics.Quantiles {
		return t, nil
	}
	if t.Quantiles, err = publish.Quantiles(ctx, s.conn, m.Name, in); err != nil {
		return site.Table{}, err
	}
	return t, nil
}

// Mean implements site.Source.
func (s source) Mean(ctx context.Context, m *metrics.Mean, in publish.Span) ([]publish.Mean, error) {
	return publish.Means(ctx, s.conn, m, in)
}
