package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// Purge removes everything that was recorded, durably, before it returns; only
// empty lock files stay. What another process appends afterwards is its own
// matter: it asks for consent too.
func (s *Spool) Purge() error {
	return s.remove(func(f file) bool { return f.suffix() != lockSuffix })
}

// PurgeWaiting removes what was recorded and not sent, in the same way.
func (s *Spool) PurgeWaiting() error {
	return s.remove(func(f file) bool {
		return slices.Contains([]string{openSuffix, batchSuffix, badSuffix}, f.suffix())
	})
}

// maxLooks bounds how often remove looks while another process goes on writing,
// which itself removes what it wrote.
const maxLooks = 10

func (s *Spool) remove(which func(file) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
	var problems []error
	// Another process may give a file its next name after it was listed: so it is
	// looked again until nothing is found.
	for found, looks := true, 0; found && looks < maxLooks; looks++ {
		found = false
		for _, f := range s.files("") {
			if !which(f) {
				continue
			}
			if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
				continue
			}
			found = true
		}
	}
	problems = append(problems, durable.SyncFolder(s.dir))
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("spool: purge: %w", err)
	}
	return nil
}

// Forget removes everything of a period, durably: its token last, so that who is
// interrupted can ask again.
func (l *Lease) Forget(p period.Period) error {
	s := l.spool
	var problems []error
	remove := func(f file) { problems = append(problems, durable.Remove(f.path)) }
	for _, f := range s.segmentsOf(p, batchSuffix, badSuffix, sentSuffix) {
		remove(f)
	}
	for _, f := range s.files("") {
		if week, err := f.week(); err == nil && week == p && f.suffix() != tokenSuffix {
			remove(f)
		}
	}
	remove(file{path: s.tokenPath(p)})
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("spool: forget %s: %w", p, err)
	}
	return nil
}
