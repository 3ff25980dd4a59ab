package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// ErrBusy says that somebody else has the right to send.
var ErrBusy = errors.New("spool: an upload is under way")

// Lease is the right to send. The kernel takes it back from a process that dies.
type Lease struct {
	spool *Spool
	lock  *flock.Flock
}

// Lease takes the right to send, seals this process's segment and adopts those
// of processes that died.
func (s *Spool) Lease() (*Lease, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	lock := flock.New(filepath.Join(s.dir, uploadLock), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("spool: lease: %w", err)
	}
	if !ok {
		return nil, ErrBusy
	}
	l := &Lease{spool: s, lock: lock}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.seal(); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	s.adopt()
	s.expire()
	s.dropUnsendable()
	return l, nil
}

// Release gives the right back. The file stays: removing it would let two
// processes each hold a lock, one on the old file and one on the new.
func (l *Lease) Release() error { return l.lock.Unlock() }

// Batch is a segment.
type Batch struct {
	Header
	Records []Record
	State   State
	path    string
}

// slices counts the records that are slices.
func (b *Batch) slices() int {
	n := 0
	for _, r := range b.Records {
		if r.Kind == KindSlice {
			n++
		}
	}
	return n
}

// size is what a file takes that holds these records.
func (b *Batch) size() int64 {
	n := int64(headerBytes)
	for _, r := range b.Records {
		n += frameSize(r)
	}
	return n
}

// readBatch reads a segment. damaged says that a part of it is.
func readBatch(path string) (b *Batch, damaged bool, err error) {
	octets, err := os.ReadFile(path)
	if err != nil {
		return nil, false, err
	}
	b = &Batch{path: path}
	b.Header, b.Records, damaged, err = decode(octets)
	return b, damaged, err
}

// Batches returns the sealed segments, the oldest first.
func (l *Lease) Batches() []*Batch {
	l.spool.mu.Lock()
	defer l.spool.mu.Unlock()
	var list []*Batch
	for _, f := range l.spool.files(batchSuffix) {
		b, damaged, err := readBatch(f.path)
		if damaged {
			l.spool.countDamaged(f.path)
			if err == nil { // what is good ends it from now on: it is counted by no other process
				_ = os.Truncate(f.path, b.size())
			}
		}
		switch {
		case err != nil: // dropped meanwhile, or a newer host's to send
		case len(b.Records) == 0:
			os.Remove(f.path) // damaged from its first record on
		default:
			b.State = Waiting
			list = append(list, b)
		}
	}
	return list
}

// Has reports whether a batch is still there: to make room, or because the user
// takes it back, another process may remove it at any time.
func (l *Lease) Has(b *Batch) bool {
	_, err := os.Lstat(b.path)
	return err == nil
}

// Later puts a batch behind all others: one that fails for a reason of its own does
// not keep those from being sent.
func (l *Lease) Later(b *Batch) error {
	now := time.Now()
	if err := os.Chtimes(b.path, now, now); err != nil {
		return fmt.Errorf("spool: later: %w", err)
	}
	return nil
}

// Done moves a batch that was acknowledged to those that the user can look at.
func (l *Lease) Done(b *Batch) error {
	l.spool.mu.Lock()
	defer l.spool.mu.Unlock()
	// The count first: a crash in between counts a batch twice, which only makes
	// the week's limit come earlier.
	p := period.Period(b.Period)
	n := l.spool.acknowledged(p) + b.slices()
	err := durable.Replace(l.spool.countPath(p), []byte(strconv.Itoa(n)))
	sent := strings.TrimSuffix(b.path, batchSuffix) + sentSuffix
	if renamed := os.Rename(b.path, sent); renamed != nil && !errors.Is(renamed, fs.ErrNotExist) {
		// It must not be sent again and again.
		err = errors.Join(err, renamed, os.Remove(b.path))
	}
	l.spool.trimSent()
	if err != nil {
		return fmt.Errorf("spool: end a batch: %w", err)
	}
	return nil
}

// Quarantine sets aside a batch that the collector will never take.
func (l *Lease) Quarantine(b *Batch) error {
	l.spool.mu.Lock()
	defer l.spool.mu.Unlock()
	l.spool.lost.Refused += len(b.Records)
	if err := os.Rename(b.path, strings.TrimSuffix(b.path, batchSuffix)+badSuffix); err != nil {
		return fmt.Errorf("spool: quarantine: %w", err)
	}
	for bad := l.spool.files(badSuffix); len(bad) > maxBad; bad = bad[1:] {
		os.Remove(bad[0].path)
	}
	return nil
}
