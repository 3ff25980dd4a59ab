package spool

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// expireEvery is how often a process looks for what is too old: it reads every
// file's first octets, which is some milliseconds for a spool of small files.
const expireEvery = time.Hour

// Expire removes what is too old, when it is time to look for that again. Lease
// and Append do it too.
func (s *Spool) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireIfDue()
}

// expireIfDue is expire, for those who come often. mu is held.
func (s *Spool) expireIfDue() {
	if since := s.now().Sub(s.expired); since < 0 || since >= expireEvery {
		s.expire()
	}
}

// expire removes what belongs to weeks that are not kept, and what cannot be
// read. mu is held.
func (s *Spool) expire() {
	now := s.now()
	s.expired = now
	if s.active != nil && s.header.Period != uint32(period.Of(now)) {
		_ = s.seal() // where it fails the segment expires under its old name
	}
	// Segments first: one that a crash in between leaves is not to find its week
	// without the token.
	for _, suffix := range []string{openSuffix, batchSuffix, badSuffix, sentSuffix} {
		for _, f := range s.files(suffix) {
			s.expireSegment(f, now)
		}
	}
	for _, f := range s.files("") {
		if p, err := f.week(); err == nil && !kept(p, now) {
			os.Remove(f.path)
		}
	}
	durable.Sweep(s.dir)
	durable.Sweep(filepath.Dir(s.dir)) // what is beside the spool is replaced often, and swept by nobody else
}

// kept reports whether a week's data may be here: until 30 days after the week,
// and not before it has come. Next week's may, for clocks that are set right by a
// little; what a clock wrote that was years ahead would stay for years.
func kept(p period.Period, now time.Time) bool {
	return !p.Expired(now) && p <= period.Of(now).Next()
}

// expireSegment looks at one segment. That of another process is not sealed first,
// since the process may be stopped: it notices that the file is gone.
func (s *Spool) expireSegment(f file, now time.Time) {
	h, err := readHeader(f.path)
	switch {
	case errors.Is(err, ErrDamaged) && f.suffix() != openSuffix: // whose header may be written just now
		s.countDamaged(f.path)
		os.Remove(f.path)
	case err == nil && !kept(period.Period(h.Period), now):
		_ = s.drop(f, &s.lost.Expired) // where it fails the next one tries again
	}
}
