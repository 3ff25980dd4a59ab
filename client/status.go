package client

import (
	"cmp"
	"sync"
	"time"
)

// Status is everything that a client did and does.
type Status struct {
	Consent Consent `json:"consent"`

	Notice *Notice `json:"policy_notice,omitempty"` // a change that the user must be told of

	SpoolBytes   int64     `json:"spool_bytes"`
	SpoolBatches int       `json:"spool_batches"`         // waiting to be sent
	SpoolEvents  int       `json:"spool_events"`          // in those, and in what is being filled
	Quarantined  int       `json:"quarantined"`           // batches that the collector will never take
	Oldest       time.Time `json:"oldest_batch,omitzero"` // of those waiting
	NextUpload   time.Time `json:"next_upload,omitzero"`  // not before
	Sent         int64     `json:"sent"`                  // slices acknowledged, by this process
	LastError    string    `json:"last_error,omitempty"`  // of the last upload, of whatever process
	Dropped      Dropped   `json:"dropped"`
	DroppedHere  Dropped   `json:"dropped_here"` // of those, by this process
}

// sent is what uploads achieved.
type sent struct {
	mu        sync.Mutex
	slices    int64  // guarded by mu
	lastError string // guarded by mu; the class, never a text of the network's
}

func (s *sent) add(slices int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slices, s.lastError = s.slices+int64(slices), ""
}

func (s *sent) failed(class string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastError = class
}

// Status returns everything that the client did and does. It changes nothing, but
// that the client follows the decision in force from then on, as with Consent.
func (c *Client) Status() (status Status) {
	if c == nil {
		return Status{Consent: c.Consent()}
	}
	status.Consent = Consent{State: Unknown, Rule: ruleDefect} // where it panics
	defer c.survive()
	decision, said := c.Consent(), loadSaid(c.cfg.Dir)
	var notice *Notice
	if said.Notice.Version > max(decision.PolicyVersion, c.cfg.PolicyVersion) {
		notice = &said.Notice
	}
	usage := c.spool.Usage()
	c.sent.mu.Lock()
	slices, lastError := c.sent.slices, c.sent.lastError
	c.sent.mu.Unlock()
	schedule := c.loadSchedule()
	return Status{
		Consent: decision, Notice: notice,
		SpoolBytes: usage.Bytes, SpoolBatches: usage.Batches, SpoolEvents: usage.Records, Quarantined: usage.Bad, Oldest: usage.Oldest,
		NextUpload: schedule.Next, Sent: slices, LastError: cmp.Or(lastError, schedule.Code),
		Dropped: c.dropped(), DroppedHere: c.own(),
	}
}
