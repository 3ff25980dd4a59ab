package aggregator

import "github.com/slicemetry/slicemetry/aggregator/internal/plan"

// Outlook is what will be published, how exactly, and what that promises.
type Outlook = plan.Outlook

// Plan says how the budget is split and what results. It reads no data.
func Plan(c Config) (Outlook, error) {
	p, err := c.plan()
	if err != nil {
		return Outlook{}, err
	}
	return p.Outlook(), nil
}
