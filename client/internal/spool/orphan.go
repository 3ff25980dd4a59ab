package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// staleLock: a lock file without a segment, of a process that died before it
// recorded anything, is removed after so long.
const staleLock = 24 * time.Hour

// adopt seals the segments of processes that died. A process holds its lock
// before its first segment exists, so a segment whose lock is free has no owner;
// and who holds the lock meanwhile is the only one to adopt. mu is held.
func (s *Spool) adopt() {
	for _, f := range s.files("") {
		name := filepath.Base(f.path)
		switch {
		case strings.HasSuffix(name, openSuffix):
			if owner, _, _ := strings.Cut(name, "-"); owner != s.process {
				s.ifDead(owner, func() { s.sealOrphan(f) })
			}
		case strings.HasSuffix(name, lockSuffix) && name != uploadLock && name != tallyLock && time.Since(f.changed).Abs() > staleLock:
			if owner := strings.TrimSuffix(name, lockSuffix); owner != s.process {
				s.ifDead(owner, func() {})
			}
		}
	}
}

// ifDead calls f while it holds the lock of a process that is gone, and removes
// that lock: a dead process's name is never used again.
func (s *Spool) ifDead(process string, f func()) {
	path := filepath.Join(s.dir, process+lockSuffix)
	lock := flock.New(path, flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return
	}
	f()
	// Windows does not remove a file that is open. Whoever takes the lock in
	// between finds nothing of that process to adopt.
	_ = lock.Unlock()
	os.Remove(path)
}

// sealOrphan does what its process would have done. One of another version is
// renamed too, which is all that sealing is in every version.
func (s *Spool) sealOrphan(f file) {
	b, damaged, err := readBatch(f.path)
	switch {
	case errors.Is(err, ErrDamaged) || err == nil && len(b.Records) == 0:
		if damaged && f.size > 0 { // an empty file's process had not begun to write
			s.countDamaged(f.path)
		}
		os.Remove(f.path)
	case err == nil || errors.Is(err, errVersion):
		sealed := s.batchPath(b.Header)
		if damaged {
			s.countDamaged(sealed)
		}
		os.Rename(f.path, sealed) // where it fails the segment stays, for the next one
	}
}
