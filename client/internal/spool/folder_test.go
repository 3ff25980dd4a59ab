package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Somebody empties the user's configuration folder while a slicer runs: what was
// in the segment is counted, and what comes afterwards is kept and delivered.
func TestFolderIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir)
	appendAll(t, s, week, "gone 1", "gone 2")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, week, "kept")
	if lost := s.Lost().Removed; lost != 2 {
		t.Errorf("%d records counted as removed, want 2", lost)
	}
	// Its lock is one that others see: nobody adopts the new segment.
	if n := len(sealed(t, open(t, dir))); n != 0 {
		t.Errorf("%d batches of a living process were adopted", n)
	}
	if batches := sealed(t, s); len(batches) != 1 || string(batches[0].Records[0].Payload) != "kept" {
		t.Errorf("%d batches, want what was kept", len(batches))
	}
}

func TestFolderIsRemovedBeforeSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir)
	appendAll(t, s, week, "gone")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(); err != nil || s.Lost().Removed != 1 {
		t.Errorf("Seal() = %v, %d removed, want nil and 1", err, s.Lost().Removed)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := s.Append(week, 1, Record{KindSlice, nil}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append() after Close() = %v, want ErrClosed", err)
	}
}

// A host that crashes again and again without ever sending does not fill the
// folder with segments that nobody adopts.
func TestCrashLoopKeepsTheCap(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 * MaxBytes / maxSegment {
		s := Open(dir, func() time.Time { return now })
		appendAll(t, s, week, fmt.Sprint(i))
		if err := s.lock.Unlock(); err != nil { // as the kernel does
			t.Fatal(err)
		}
		s.active.Close()
	}
	s := open(t, dir)
	appendAll(t, s, week, "last")
	if n := len(s.files(openSuffix)); n != 1 {
		t.Errorf("%d segments are open, want this process's", n)
	}
	if n := len(sealed(t, s)); n != 2*MaxBytes/maxSegment+1 {
		t.Errorf("%d batches", n)
	}
}

// What a week holds is known over restarts, and after it was sent.
func TestRecorded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := func(n int) {
		t.Helper()
		if got := open(t, dir).Recorded(week); got != n {
			t.Errorf("Recorded() = %d, want %d", got, n)
		}
	}
	want(0)
	appendAll(t, s, week, "1", "2")
	appendAll(t, s, week.Next(), "another week's")
	want(2)
	appendAll(t, s, week, "3")
	if _, err := s.Append(week, 1, Record{KindCounters, nil}); err != nil {
		t.Fatal(err)
	}
	want(3)
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range lease.Batches() {
		if err := lease.Done(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	want(3)
	appendAll(t, s, week, "4")
	want(4)
	if err := os.WriteFile(s.countPath(week), []byte("many"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(1)
}

// The disk is full: Append says so, nothing is torn, and it goes on afterwards.
func TestWriteFails(t *testing.T) {
	s := open(t, t.TempDir())
	appendAll(t, s, week, "before")
	// A file that is closed fails every write, as a full disk does.
	s.active.Close()
	if _, err := s.Append(week, 1, Record{KindSlice, []byte("lost")}); err == nil {
		t.Error("a failed write was not noticed")
	}
	appendAll(t, s, week, "after")
	if got := s.Usage().Records; got != 2 {
		t.Errorf("%d records are kept, want those before and after", got)
	}
}
