package rules

// Action is what a rule did to a value.
type Action string

// The actions. The set is closed: the collector counts by it.
const (
	Generalised Action = "generalised" // not on the list: replaced by the list's word for others
	Bucketed    Action = "bucketed"    // replaced by the representative of its grid point or bucket
	Clamped     Action = "clamped"     // outside of the range: moved to its end
	Dropped     Action = "dropped"     // left out
)

// Finding says that a rule changed a field. It never holds the value.
type Finding struct {
	Field  string // "machine", "extruders.used_mg"
	Action Action
	Reason string // one of a closed set
}

// Report collects findings, up to a number that no honest batch reaches. A nil
// Report takes none, at no cost.
type Report struct {
	Findings []Finding
}

const (
	// maxFindings is more than a batch of 200 slices gives whose every value is changed,
	// some 80 each. A message of 256 KiB can name 87,000 settings that are on no list.
	maxFindings = 20_000
	// keptFindings is how much room is kept for the next report.
	keptFindings = 1024
)

// Add notes a finding.
func (r *Report) Add(field string, action Action, reason string) {
	if r != nil && len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, Finding{Field: field, Action: action, Reason: reason})
	}
}

// Reset forgets the findings. It keeps the room of an ordinary report.
func (r *Report) Reset() {
	if cap(r.Findings) > keptFindings {
		r.Findings = nil
	}
	r.Findings = r.Findings[:0]
}

// The reasons that coarsening gives.
const (
	reasonNotListed  = "not in the catalogue"
	reasonUndeclared = "not a declared choice"
	reasonGrid       = "rounded to the grid"
	reasonRange      = "outside of the range"
	reasonLog        = "replaced by the middle of its logarithmic bucket"
	reasonNearest    = "replaced by the nearest listed value"
	reasonTooMany    = "more items than are kept"
)
