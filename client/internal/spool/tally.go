package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	tallyFile = "lost.json"
	tallyLock = "lost.lock"
	// tallyPatience is many times what another process takes to add its counts.
	tallyPatience = 100 * time.Millisecond
)

// Tally returns what all processes added up, by name; nothing where nothing was
// added since the last purge, or where it cannot be read.
func (s *Spool) Tally() map[string]int64 {
	counts := map[string]int64{}
	b, err := os.ReadFile(filepath.Join(s.dir, tallyFile))
	if err != nil || json.Unmarshal(b, &counts) != nil {
		return map[string]int64{}
	}
	return counts
}

// AddTally adds counts to those of all processes. It is written in place and not
// synced: the text only grows, and a power cut costs no more than some counts.
func (s *Spool) AddTally(counts map[string]int64) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("spool: tally: %w", err)
	}
	lock := flock.New(filepath.Join(s.dir, tallyLock), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), tallyPatience)
	defer cancel()
	if ok, err := lock.TryLockContext(ctx, time.Millisecond); err != nil || !ok {
		return errors.Join(errors.New("spool: tally: held by another"), err)
	}
	defer lock.Unlock()
	if err := s.writeTally(counts); err != nil {
		return fmt.Errorf("spool: tally: %w", err)
	}
	return nil
}

// writeTally adds under the lock.
func (s *Spool) writeTally(counts map[string]int64) error {
	f, err := os.OpenFile(filepath.Join(s.dir, tallyFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	sum := map[string]int64{}
	if json.Unmarshal(before, &sum) != nil {
		sum = map[string]int64{}
	}
	for name, n := range counts {
		sum[name] += n
	}
	b, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Truncate(int64(len(b)))
}
