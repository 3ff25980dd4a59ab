package plan

import "github.com/slicemetry/slicemetry/schema/metrics"

// Influence is how far forged installations can move a metric, whatever they
// send: what the bounds of one allow, times their number. It is exact, and it is
// the most: noise neither helps nor hinders them.
type Influence struct {
	Metric string  `json:"metric"`
	Unit   string  `json:"unit"`
	Key    float64 `json:"key"`   // added to one key, in the unit
	Total  float64 `json:"total"` // added to all keys together
	// Errors are Key over the value of a cell with a tenth of the whole (of the
	// whole, where there is one cell), in fleets of AssumedFleets installations.
	Errors [3]float64 `json:"relative_errors"`
	// Hidden is how many forged installations move a key by less than its 95 %
	// interval: nobody can see these.
	Hidden int64 `json:"hidden"`
}

// Poison says how far that many forged installations can move each metric.
func (p Plan) Poison(forged int64) []Influence {
	list := make([]Influence, 0, len(p.Designs))
	for _, d := range p.Designs {
		b, scale := d.Metric.Bounds, float64(d.Metric.Scale)
		i := Influence{
			Metric: d.Metric.Name, Unit: d.Metric.Unit,
			Key: float64(forged) * float64(b.PerKey) / scale, Total: float64(forged) * float64(b.Total) / scale,
			Hidden: int64(1.96 * d.Cells.Sigma / float64(b.PerKey)),
		}
		for f, fleet := range AssumedFleets {
			i.Errors[f] = i.Key / Expected(d.Metric, fleet)
		}
		list = append(list, i)
	}
	return list
}

// Expected is the value, in the metric's unit, of the cell whose error is given.
func Expected(m *metrics.Metric, fleet int) float64 {
	part := 1.0
	if m.Cells() > 1 {
		part = AssumedCell
	}
	return float64(fleet) * AssumedActive * float64(m.Typical) * part / float64(m.Scale)
}
