package aggregator

import "github.com/slicemetry/slicemetry/aggregator/internal/plan"

// Influence is how far forged installations can move a metric.
type Influence = plan.Influence

// Poison says how far that many forged installations can move each metric,
// whatever they send. It reads no data.
func Poison(c Config, forged int64) ([]Influence, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	return p.Poison(forged), nil
}
