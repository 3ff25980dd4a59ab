package aggregator

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/slicemetry/slicemetry/aggregator/internal/audit"
	"github.com/slicemetry/slicemetry/aggregator/internal/bound"
	"github.com/slicemetry/slicemetry/aggregator/internal/release"
	"github.com/slicemetry/slicemetry/aggregator/internal/tune"
)

// syntheticUnits are made up where no rows are given: enough to know what a cap
// cuts to a hundredth.
const syntheticUnits = 20_000

// CapChoice is what other caps of a metric would lead to.
type CapChoice = tune.Choice

// BestCaps returns the index of the choice of the smallest error in a fleet, an
// index of Outlook's errors.
func BestCaps(list []CapChoice, fleet int) int { return tune.Best(list, fleet) }

// Tune tries other caps of a metric on made-up rows, as Audit reads them, or on
// some of its own where in is nil.
func Tune(c Config, metric string, name string, in io.Reader) ([]CapChoice, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.Designs, func(d release.Design) bool { return d.Metric.Name == metric })
	if i < 0 {
		return nil, fmt.Errorf("aggregator: there is no metric %q", metric)
	}
	d := p.Designs[i]
	var rows []bound.Contribution
	if in == nil {
		rows = tune.Synthetic(d.Metric, syntheticUnits, rand.New(rand.NewPCG(1, 1))) // the same at every call
	} else {
		reports, err := audit.ReadRows(name, in)
		if err != nil {
			return nil, err
		}
		rows = slices.Collect(audit.Contributions(d.Metric, reports))
	}
	return tune.Caps(d, rows)
}
