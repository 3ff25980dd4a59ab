package scrub

// Reason says why a batch will never be taken. The set is closed: it is a
// metric's label and part of a status text.
type Reason string

// The reasons.
const (
	Malformed     Reason = "malformed"           // no batch, or a token or id that is not 16 random octets
	Empty         Reason = "empty"               // neither slices nor counters
	TooManySlices Reason = "too_many_slices"     // more than one batch may hold
	BadPeriod     Reason = "bad_period"          // not the first day of a week
	PeriodClosed  Reason = "period_closed"       // its data is destroyed by now
	PeriodFuture  Reason = "period_future"       // it has not begun
	PolicyUnknown Reason = "policy_not_in_force" // consent to a policy that this collector does not serve
)

// Reasons lists them all.
var Reasons = []Reason{Malformed, Empty, TooManySlices, BadPeriod, PeriodClosed, PeriodFuture, PolicyUnknown}

// Error implements error.
func (r Reason) Error() string { return "batch refused: " + string(r) }
