package bound

import (
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Queries returns the queries of metrics of one source over n ranges of units.
func Queries(p period.Period, n uint64, list ...*metrics.Metric) []string {
	s := newScan(list[0].Source, p, list)
	var queries []string
	for _, units := range allUnits.split(n) {
		queries = append(queries, s.query(units))
	}
	return queries
}
