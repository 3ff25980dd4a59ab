package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
)

// schedule is when to send next. It outlives the process, so that restarting a
// slicer does not make it send more often.
type schedule struct {
	Next      time.Time `json:"next"`
	NotBefore time.Time `json:"not_before,omitzero"` // a collector asked for it
	Code      string    `json:"code,omitempty"`      // why the last attempt failed
	Failures  int       `json:"failures"`            // in a row
	Protocol  int       `json:"protocol"`            // of the version that wrote it
}

// protocol is raised when the service changes: a version that a collector no
// longer serves is not what keeps the next version waiting.
const protocol = 1

const (
	scheduleFile = "schedule.json"
	// scheduleBytes is the length of every schedule, so that one can be written over
	// another on a disk that is full.
	scheduleBytes = 256
	// firstBackoff outlasts most outages. While a collector takes nothing it sees an
	// installation 6.4 times in the first day, on average, and 2 times in each one
	// after it, however often somebody calls UploadIfDue.
	firstBackoff = time.Hour
	lastBackoff  = 24 * time.Hour
	// longestWait bounds what a collector can ask for.
	longestWait = 7 * 24 * time.Hour
)

// QuietStart is for how long at least nothing is sent of itself after a start, and
// for less than twice as long nothing need be: a slicer has better things to do then,
// and the time would tell when it was started.
const QuietStart = 5 * time.Minute

func (c *Client) schedulePath() string { return filepath.Join(c.cfg.Dir, scheduleFile) }

// loadSchedule reads the schedule; the zero value where there is none.
func (c *Client) loadSchedule() schedule {
	var s schedule
	data, err := os.ReadFile(c.schedulePath())
	if err != nil || json.Unmarshal(data, &s) != nil {
		return schedule{}
	}
	if s.Protocol != protocol {
		return schedule{}
	}
	// A day more, for clocks that are set right by a little.
	if latest := c.cfg.Now().Add(max(longestWait, 2*c.cfg.UploadInterval) + day); s.Next.After(latest) {
		return schedule{} // the clock was wrong when it was written
	}
	return s
}

// saveSchedule writes the schedule as a whole. On a disk that is full it writes over
// the last one, or nobody could send, which is what makes room; what a power cut
// leaves of that counts as none.
func (c *Client) saveSchedule(s schedule) error {
	s.Protocol = protocol
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	data = append(data, bytes.Repeat([]byte{' '}, max(0, scheduleBytes-len(data)))...)
	err = durable.Replace(c.schedulePath(), data)
	// Where this folder cannot be written to, nor can the spool, perhaps.
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return err
	}
	f, opened := os.OpenFile(c.schedulePath(), os.O_WRONLY, 0)
	if opened != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// keepSchedule is saveSchedule where it does not matter whether it works.
func (c *Client) keepSchedule(s schedule) {
	if err := c.saveSchedule(s); err != nil {
		c.cfg.Logger.Warn("schedule not kept", "error", err)
	}
}

// plan writes what becomes of the schedule, and nothing comes between reading and
// writing it in this process: what a collector asked for would be overwritten.
func (c *Client) plan(change func(schedule) schedule) schedule {
	c.planning.Lock()
	defer c.planning.Unlock()
	s := change(c.loadSchedule())
	c.keepSchedule(s)
	return s
}

// noteAttempt writes the schedule that holds if the attempt which begins now does
// not end, and returns the one before.
func (c *Client) noteAttempt() (before schedule, err error) {
	c.planning.Lock() // as in plan
	defer c.planning.Unlock()
	before = c.loadSchedule()
	return before, c.saveSchedule(c.afterFailure(before, codeUnfinished, 0))
}

// codeUnfinished is the code of an attempt that is under way, or was when its
// process ended.
const codeUnfinished = "unfinished"

// next is when to send. The first time is drawn once and kept.
func (c *Client) next() time.Time {
	c.planning.Lock() // as in plan
	defer c.planning.Unlock()
	s := c.loadSchedule()
	if s.Next.IsZero() {
		s.Next = c.anyTime()
		if c.decision().State == Granted { // another process may have noted a refusal
			c.keepSchedule(s)
			_ = c.finishRefusal() // where another process noted one meanwhile
		}
	}
	return s.Next
}

// passOver draws another time where an upload was due and there was nothing to send:
// what comes next would be sent as soon as it is there, and tell when the slicer was
// used.
func (c *Client) passOver() {
	c.planning.Lock() // as in plan
	defer c.planning.Unlock()
	if s := c.loadSchedule(); !s.Next.IsZero() && !s.Next.After(c.cfg.Now()) {
		c.keepSchedule(schedule{Next: c.anyTime()})
	}
}

// anyTime is one within an interval from now, all alike.
func (c *Client) anyTime() time.Time { return c.cfg.Now().Add(random(c.cfg.UploadInterval)) }

// afterSuccess is the next time: a random one, so that installations spread
// evenly and the time says nothing of when a slicer is used.
func (c *Client) afterSuccess() schedule {
	return schedule{Next: c.cfg.Now().Add(c.cfg.UploadInterval + random(c.cfg.UploadInterval/2))}
}

// afterFailure backs off with full jitter (Brooker, "Exponential Backoff And
// Jitter", 2015), and no earlier than the collector asked.
func (c *Client) afterFailure(s schedule, code string, asked time.Duration) schedule {
	ceiling := lastBackoff
	if s.Failures < 5 { // 2^5 hours exceed the last one
		ceiling = min(lastBackoff, firstBackoff<<s.Failures)
	}
	asked = min(asked, longestWait)
	now := c.cfg.Now()
	next := schedule{Next: now.Add(max(random(ceiling), asked)), Code: code, Failures: s.Failures + 1}
	if asked > 0 {
		next.NotBefore = now.Add(asked)
	}
	return next
}

// quiet is how long nothing is sent from now on.
func quiet() time.Duration { return QuietStart + random(QuietStart) }

// random draws from [0, d).
func random(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
