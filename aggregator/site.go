package aggregator

import (
	"context"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/aggregator/internal/site"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Site writes static pages of everything published into dir. It reads published
// tables only; an analyst's rights suffice.
func Site(ctx context.Context, conn Conn, c Config, dir string) error {
	outlook, err := Plan(c)
	if err != nil {
		return err
	}
	content := site.Content{Plan: outlook}
	if content.Releases, err = publish.Releases(ctx, conn); err != nil {
		return err
	}
	for _, m := range metrics.All() {
		t := site.Table{Metric: m}
		if t.Rows, err = publish.Statistics(ctx, conn, m.Name); err != nil {
			return err
		}
		if t.Quantiles, err = publish.Quantiles(ctx, conn, m.Name); err != nil {
			return err
		}
		content.Tables = append(content.Tables, t)
	}
	return site.Write(dir, content)
}
