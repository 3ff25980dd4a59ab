package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/slicemetry/slicemetry/internal/period"
)

// tokenBytes is the length of a unit token: 128 bits never meet by chance.
const tokenBytes = 16

// staleLock: a lock file without a segment, of a process that died before it
// recorded anything, is removed after so long.
const staleLock = 24 * time.Hour

// ErrBusy says that another process is sending.
var ErrBusy = errors.New("spool: another process is sending")

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
	l.adopt()
	l.expire()
	return l, nil
}

// Release gives the right back.
func (l *Lease) Release() error { return l.lock.Unlock() }

// adopt seals the segments of processes that died. A process holds its lock
// before its first segment exists, so a segment whose lock is free has no owner.
func (l *Lease) adopt() {
	for _, f := range l.spool.files(openSuffix) {
		owner, _, _ := strings.Cut(filepath.Base(f.path), "-")
		if owner != l.spool.process {
			l.ifDead(owner, func() { l.sealOrphan(f.path) })
		}
	}
	for _, f := range l.spool.files(lockSuffix) {
		owner := strings.TrimSuffix(filepath.Base(f.path), lockSuffix)
		if owner+lockSuffix != uploadLock && owner != l.spool.process && time.Since(f.changed) > staleLock {
			l.ifDead(owner, func() { os.Remove(f.path) })
		}
	}
}

// ifDead calls f while it holds the lock of a process that is gone.
func (l *Lease) ifDead(process string, f func()) {
	lock := flock.New(filepath.Join(l.spool.dir, process+lockSuffix), flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return
	}
	defer lock.Unlock()
	f()
}

func (l *Lease) sealOrphan(path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	h, records, damaged, err := decode(b)
	if damaged {
		l.spool.lost.Damaged++
	}
	if err != nil || len(records) == 0 {
		os.Remove(path)
		return
	}
	if os.Rename(path, l.spool.batchPath(h)) == nil {
		process, _, _ := strings.Cut(filepath.Base(path), "-")
		os.Remove(filepath.Join(l.spool.dir, process+lockSuffix))
	}
}

// expire removes batches and tokens of weeks that ended more than 30 days ago.
func (l *Lease) expire() {
	now := l.spool.now()
	for _, f := range l.spool.files(tokenSuffix) {
		p, err := period.Parse(strings.TrimSuffix(filepath.Base(f.path), tokenSuffix))
		if err != nil || p.Expired(now) {
			os.Remove(f.path)
		}
	}
	for _, f := range l.spool.files(batchSuffix) {
		b, err := os.ReadFile(f.path)
		if err != nil {
			continue
		}
		h, records, _, err := decode(b)
		switch {
		case err != nil:
			l.spool.lost.Damaged++
			os.Remove(f.path)
		case period.Period(h.Period).Expired(now):
			l.spool.lost.Expired += len(records)
			os.Remove(f.path)
		}
	}
}

// Batch is a sealed segment.
type Batch struct {
	Header
	Records []Record
	path    string
}

// Batches returns the sealed segments, the oldest first.
func (l *Lease) Batches() []*Batch {
	var list []*Batch
	for _, f := range l.spool.files(batchSuffix) {
		b, err := os.ReadFile(f.path)
		if err != nil {
			continue
		}
		if h, records, _, err := decode(b); err == nil {
			list = append(list, &Batch{Header: h, Records: records, path: f.path})
		}
	}
	return list
}

// Done forgets a batch that was acknowledged.
func (l *Lease) Done(b *Batch) error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: forget a batch: %w", err)
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

// Token returns this installation's random number for a period, and draws it
// where there is none yet. Processes that draw at once agree on one.
func (l *Lease) Token(p period.Period) ([]byte, error) {
	path := filepath.Join(l.spool.dir, p.String()+tokenSuffix)
	token, err := os.ReadFile(path)
	if err == nil && len(token) == tokenBytes {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool: token: %w", err)
	}
	// Missing, or cut off by a crash of the system. The lease is held, so nobody
	// else draws now.
	token = make([]byte, tokenBytes)
	rand.Read(token)
	if err := replaceFile(path, token); err != nil {
		return nil, fmt.Errorf("spool: token: %w", err)
	}
	return token, nil
}

// replaceFile writes a private file as a whole or not at all, durably.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
