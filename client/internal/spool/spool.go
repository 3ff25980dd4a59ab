package spool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/slicemetry/slicemetry/internal/period"
)

// Limits of a spool.
const (
	// MaxBytes is the cap on everything in the folder: months of a busy user.
	MaxBytes = 2 << 20
	// MaxRecords and maxSegment end a segment: a batch that the collector takes.
	MaxRecords = 200
	maxSegment = 64 << 10
	// maxBad is how many refused batches are kept for the user to look at, and
	// maxSent how much of what was acknowledged.
	maxBad  = 4
	maxSent = 256 << 10
)

const (
	openSuffix  = ".open"
	batchSuffix = ".batch"
	badSuffix   = ".bad"
	sentSuffix  = ".sent"
	lockSuffix  = ".lock"
	tokenSuffix = ".token"
	countSuffix = ".count"
	uploadLock  = "upload.lock"
)

// The errors that Append tells apart.
var (
	// ErrFull says that the cap is reached and nothing older could make room.
	ErrFull = errors.New("spool: full")
	// ErrTooLarge says that a record alone exceeds what a segment holds.
	ErrTooLarge = errors.New("spool: record too large")
	// ErrClosed says that the spool was closed.
	ErrClosed = errors.New("spool: closed")
)

// Lost counts records that will never be sent, by cause.
type Lost struct {
	Capped  int // dropped, oldest first, to stay below the cap
	Expired int // not sent within 30 days of their week
	Removed int // in a segment that somebody else removed while it was written to
	Damaged int // files with a damaged part, and records that cannot be sent without one
	Refused int // records in batches that the collector will never take
}

// Spool is one process's access to a folder.
type Spool struct {
	dir     string
	process string
	now     func() time.Time

	mu      sync.Mutex
	lock    *flock.Flock // guarded by mu, as is all below; nil until the first Append
	active  *os.File
	header  Header
	records int
	bytes   int64
	number  int
	buffer  []byte
	ends    []int // of the frames in buffer
	lost    Lost
	damaged map[string]bool // files that are counted already
	expired time.Time       // when expire looked last
	closed  bool
}

// Open returns a spool in the folder. It touches nothing: the first Append makes
// the folder. now is time.Now outside of tests.
func Open(dir string, now func() time.Time) *Spool {
	return &Spool{dir: dir, process: rand.Text(), now: now, damaged: map[string]bool{}}
}

// Append stores records of one week, with one write for as many as a segment
// takes. Those that it returns as stored survive the process; err says what
// became of the others.
func (s *Spool) Append(p period.Period, policy uint32, records ...Record) (stored int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	var problems []error
	for len(records) > 0 {
		n, err := s.appendSome(uint32(p), policy, records)
		stored, records = stored+n, records[n:]
		if err != nil {
			problems, records = append(problems, err), records[1:]
		}
	}
	return stored, errors.Join(problems...)
}

// appendSome stores the first n records. err is about the one after them, which
// is lost.
func (s *Spool) appendSome(p, policy uint32, records []Record) (n int, err error) {
	if len(records[0].Payload) > maxPayload/2 {
		return 0, ErrTooLarge
	}
	if err := s.prepare(p, policy, frameSize(records[0])); err != nil {
		return 0, err
	}
	s.buffer = s.buffer[:0]
	s.ends = s.ends[:0]
	for _, r := range records {
		if s.records+len(s.ends) >= MaxRecords || len(s.ends) > 0 && s.bytes+int64(len(s.buffer))+frameSize(r) > maxSegment {
			break
		}
		s.buffer = appendFrame(s.buffer, r.Kind, r.Payload)
		s.ends = append(s.ends, len(s.buffer))
	}
	written, err := s.active.Write(s.buffer)
	for n < len(s.ends) && s.ends[n] <= written {
		n++
	}
	if n > 0 {
		s.records += n
		s.bytes += int64(s.ends[n-1])
	}
	if err != nil {
		// A part of a frame may be there. The segment ends before it, and a new one
		// is tried with the next record, when there may be space again.
		return n, errors.Join(fmt.Errorf("spool: append: %w", err), s.abandon())
	}
	return n, nil
}

func frameSize(r Record) int64 { return int64(frameBytes + 1 + len(r.Payload)) }

// prepare makes the active segment one that takes a frame of this size.
func (s *Spool) prepare(p, policy uint32, frame int64) error {
	if s.active != nil {
		s.checkPresent()
	}
	if s.active != nil && (s.header.Period != p || s.header.Policy != policy ||
		s.records >= MaxRecords || s.bytes+frame > maxSegment) {
		if err := s.seal(); err != nil {
			return err
		}
	}
	if s.active != nil {
		return nil
	}
	return s.begin(newHeader(p, policy))
}

// checkPresent gives up a segment that somebody removed, with or without its
// folder: on Unix a write to it would succeed, into nothing. The look-up costs a
// microsecond, on the writer's thread.
func (s *Spool) checkPresent() {
	if _, err := os.Lstat(s.active.Name()); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	s.active.Close()
	s.active = nil
	s.lost.Removed += s.records
}

// begin starts a segment, where there is room or something older can make it.
func (s *Spool) begin(h Header) error {
	if err := s.register(); err != nil {
		return err
	}
	s.adopt()
	s.expireIfDue()
	s.number++
	path := filepath.Join(s.dir, fmt.Sprintf("%s-%d%s", s.process, s.number, openSuffix))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("spool: begin: %w", err)
	}
	// The file is there, and counts in full, before anybody looks for room: of
	// processes that begin at once the last one to look sees all the others.
	if err = s.makeRoom(); err == nil {
		_, err = f.Write(h.encode())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("spool: begin: %w", err), f.Close(), os.Remove(path))
	}
	s.active, s.header, s.records, s.bytes = f, h, 0, headerBytes
	return nil
}

// register makes the folder and takes this process's lock, by which others know
// that it lives.
func (s *Spool) register() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	path := filepath.Join(s.dir, s.process+lockSuffix)
	if s.lock != nil {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		// The folder was removed. The lock that is held is of a file that is gone,
		// and would keep nobody from adopting what is written now.
		_ = s.lock.Unlock()
		s.lock = nil
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil {
		os.Remove(path) // where nothing can be locked nobody else would
		return fmt.Errorf("spool: lock: %w", err)
	} else if !ok {
		return errors.New("spool: lock: held by another")
	}
	s.lock = lock
	return nil
}

// Seal ends this process's segment, so that it can be sent.
func (s *Spool) Seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seal()
}

func (s *Spool) seal() error {
	if s.active == nil {
		return nil
	}
	path := s.active.Name()
	err := s.active.Close() // before the rename: Windows does not move an open file
	s.active = nil
	if s.records == 0 {
		return errors.Join(err, os.Remove(path))
	}
	if renamed := os.Rename(path, s.batchPath(s.header)); errors.Is(renamed, fs.ErrNotExist) {
		s.lost.Removed += s.records
	} else {
		err = errors.Join(err, renamed)
	}
	if err != nil {
		return fmt.Errorf("spool: seal: %w", err)
	}
	return nil
}

// abandon ends a segment that a write failed on, keeping its good records.
func (s *Spool) abandon() error {
	_ = s.active.Truncate(s.bytes) // decode stops at the broken frame anyhow
	return s.seal()
}

func (s *Spool) batchPath(h Header) string {
	return filepath.Join(s.dir, hex.EncodeToString(h.BatchID[:])+batchSuffix)
}

// countDamaged counts a file with a damaged part, once. mu is held.
func (s *Spool) countDamaged(path string) {
	if !s.damaged[path] {
		s.damaged[path] = true
		s.lost.Damaged++
	}
}

// Close seals what is open and gives up this process's lock.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.seal()
	s.closed = true
	if s.lock != nil {
		// In this order for Windows. Who takes the lock in between finds nothing
		// to adopt, and removes the file itself.
		path := s.lock.Path()
		err = errors.Join(err, s.lock.Unlock())
		if removed := os.Remove(path); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
		s.lock = nil
	}
	return err
}

// Lost returns what this process saw lost.
func (s *Spool) Lost() Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}
