// Package metrics holds the approved statistics: what may be published about a
// period, and nothing else may. There is no other way to ask the raw rows.
//
// It guarantees of every metric that Load returns:
//
//   - Its keys are public: names of the catalogue, choices of the protocol or
//     points of a declared grid, known before a row is read. Data decides the
//     numbers in a table and never its rows.
//   - What one unit (one installation in one period) can add to it is bounded,
//     by integers small enough that no sum of them overflows.
//   - It reads declared columns only, each the column of one collected field.
//   - The shares of all metrics together are at most the whole budget.
//
// How: the YAML files beside this are reviewed and embedded; they are read
// strictly, and every problem is reported at once with its file and line.
//
//	metrics:
//	  - name: slices_by_machine          # also the name of the published view
//	    title: Outputs by machine
//	    question: Which machines is work prepared for?
//	    audience: profile authors        # for whom
//	    statistic: events                # installations | events | sum | histogram | quantiles
//	    source: slices                   # slices | extruders | changed_settings | counters
//	    keys:
//	      - column: machine              # only: [..] keeps some names, maximum: N some numbers
//	    value: used_mg                   # of a sum
//	    bounds: {keys: 2, per_key: 40, total: 50}
//	    unit: outputs                    # of the published number ...
//	    scale: 1                         # ... divided by this
//	    typical: 8                       # what an active unit adds, assumed; for `plan` only
//	    share: 90                        # of the period's budget, in thousandths
//
// A unit adds at most bounds.keys keys, at most bounds.per_key to each and at
// most bounds.total to all of them. A histogram takes one vote of a unit, split
// over its keys in millionths in proportion to its rows; quantiles are read
// from such a histogram over the logarithmic buckets of a field.
//
// A mean is no statistic of its own: mean/*.yaml names the two that it divides.
package metrics
