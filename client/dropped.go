package client

import (
	"encoding/json"
	"sync"
	"sync/atomic"
)

// Dropped counts events that were not kept, by cause: by all processes of this
// installation since the user agreed. What a process that was killed, or that met
// a full disk, dropped may be missing from it when it is gone.
type Dropped struct {
	QueueFull int64 `json:"queue_full"` // recorded faster than the disk takes
	Disk      int64 `json:"disk"`       // the disk is full, or not writable
	TooMany   int64 `json:"too_many"`   // more than a week's limit
	Nil       int64 `json:"nil"`        // a nil event
	Defect    int64 `json:"defect"`     // a defect of this library's or of what the host gave it

	Capped  int `json:"capped"`  // kept, then dropped to stay below the spool's cap
	Expired int `json:"expired"` // kept for longer than 30 days
	Removed int `json:"removed"` // kept, then removed by somebody else
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

// told is what of this process's drops the folder's count has.
type told struct {
	mu      sync.Mutex
	dropped Dropped // guarded by mu
}

// dropped returns what all processes dropped, this one included.
func (c *Client) dropped() Dropped {
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	sum := c.spool.Tally()
	for name, n := range c.untold() {
		sum[name] += n
	}
	var d Dropped
	if b, err := json.Marshal(sum); err != nil || json.Unmarshal(b, &d) != nil {
		return c.own() // somebody else wrote into the folder
	}
	return d
}

// own returns what this process dropped.
func (c *Client) own() Dropped {
	d, lost := &c.drops, c.spool.Lost()
	return Dropped{
		QueueFull: d[dropQueueFull].Load(), Disk: d[dropDisk].Load(), TooMany: d[dropTooMany].Load(),
		Nil: d[dropNil].Load(), Defect: d[dropPanic].Load(),
		Capped: lost.Capped, Expired: lost.Expired, Removed: lost.Removed, Damaged: lost.Damaged, Refused: lost.Refused,
	}
}

// untold returns what of it the folder's count has not, by name. told.mu is held.
func (c *Client) untold() map[string]int64 {
	counts := c.own().counts()
	for name, n := range c.told.dropped.counts() {
		counts[name] -= n
	}
	return counts
}

func (d Dropped) counts() map[string]int64 {
	counts := map[string]int64{}
	b, _ := json.Marshal(d) // of numbers: it does not fail
	_ = json.Unmarshal(b, &counts)
	return counts
}

// tell adds what this process dropped to the folder's count. Where the disk does
// not take it, the next one tries again.
func (c *Client) tell() {
	if c.tellUntold() {
		_ = c.finishRefusal() // where another process noted one meanwhile
	}
}

func (c *Client) tellUntold() (added bool) {
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	own := c.own()
	if own == c.told.dropped || c.decision().State != Granted || c.spool.AddTally(c.untold()) != nil {
		return false
	}
	c.told.dropped = own
	return true
}

// startOver leaves out what was dropped before a refusal.
func (c *Client) startOver() {
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	c.told.dropped = c.own()
}
