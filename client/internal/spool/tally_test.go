package spool

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Counts that several processes add at once are all there, and a purge removes them.
func TestTally(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	const processes, each = 4, 100
	var adding sync.WaitGroup
	for range processes {
		s := Open(dir, time.Now)
		adding.Go(func() {
			for range each {
				for s.AddTally(map[string]int64{"capped": 1, "nil": 2}) != nil { // another one was slow
				}
			}
		})
	}
	adding.Wait()
	s := Open(dir, time.Now)
	if got := s.Tally(); len(got) != 2 || got["capped"] != processes*each || got["nil"] != 2*processes*each {
		t.Errorf("%v, want %d and %d", got, processes*each, 2*processes*each)
	}
	if err := s.Purge(); err != nil || len(s.Tally()) != 0 || !s.Empty() {
		t.Errorf("after a purge %v, %v", s.Tally(), err)
	}
}
