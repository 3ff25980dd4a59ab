package client

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/spool"
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
	Dropped      Dropped   `json:"dropped"`               // by this process
}

// Dropped counts events that were not kept, by cause.
type Dropped struct {
	QueueFull int64 `json:"queue_full"` // recorded faster than the disk takes
	Disk      int64 `json:"disk"`       // the disk is full, or not writable
	TooMany   int64 `json:"too_many"`   // more than a week's limit
	Nil       int64 `json:"nil"`        // a nil event
	Defect    int64 `json:"defect"`     // a defect of this library's

	Capped  int `json:"capped"`  // kept, then dropped to stay below the spool's cap
	Expired int `json:"expired"` // kept for longer than 30 days
	Damaged int `json:"damaged"` // files with a damaged part, and events that cannot be sent without one
	Refused int `json:"refused"` // by the collector, for ever
}

// cause is why an event was not kept.
type cause int

const (
	dropQueueFull cause = iota
	dropDisk
	dropTooMany
	dropNil
	dropPanic
	causes
)

// drops counts.
type drops [causes]atomic.Int64

func (d *drops) add(c cause, n int64) { d[c].Add(n) }

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

// Status returns everything that the client did and does. It reads and changes
// nothing.
func (c *Client) Status() Status {
	if c == nil {
		return Status{Consent: c.Consent()}
	}
	decision, said := c.Consent(), loadSaid(c.cfg.Dir)
	var notice *Notice
	if said.Notice.Version > max(decision.PolicyVersion, c.cfg.PolicyVersion) {
		notice = &said.Notice
	}
	usage, lost := c.spool.Usage(), c.spool.Lost()
	c.sent.mu.Lock()
	slices, lastError := c.sent.slices, c.sent.lastError
	c.sent.mu.Unlock()
	schedule := c.loadSchedule()
	return Status{
		Consent: decision, Notice: notice,
		SpoolBytes: usage.Bytes, SpoolBatches: usage.Batches, SpoolEvents: usage.Records, Quarantined: usage.Bad, Oldest: usage.Oldest,
		NextUpload: schedule.Next, Sent: slices, LastError: cmp.Or(lastError, schedule.Code),
		Dropped: dropped(&c.drops, lost),
	}
}

func dropped(d *drops, lost spool.Lost) Dropped {
	return Dropped{
		QueueFull: d[dropQueueFull].Load(), Disk: d[dropDisk].Load(), TooMany: d[dropTooMany].Load(),
		Nil: d[dropNil].Load(), Defect: d[dropPanic].Load(),
		Capped: lost.Capped, Expired: lost.Expired, Damaged: lost.Damaged, Refused: lost.Refused,
	}
}
