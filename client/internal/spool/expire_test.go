package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

func TestOldBatchesExpire(t *testing.T) {
	dir := t.TempDir()
	clock := now
	s := Open(dir, func() time.Time { return clock })
	appendAll(t, s, week, "old", "older")
	clock = week.End().Add(period.Retention - time.Second)
	if n := len(sealed(t, s)); n != 1 {
		t.Fatalf("%d batches a second early", n)
	}
	clock = clock.Add(time.Second)
	if n := len(sealed(t, s)); n != 0 || s.Lost().Expired != 2 {
		t.Errorf("%d batches, %d expired, want 0 and 2", n, s.Lost().Expired)
	}
}

// A host that only records, and never sends, keeps nothing for too long either.
func TestRecordingExpires(t *testing.T) {
	clock := now
	s := Open(t.TempDir(), func() time.Time { return clock })
	t.Cleanup(func() { s.Close() })
	appendAll(t, s, week, "old")
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	clock = week.End().Add(period.Retention)
	appendAll(t, s, period.Of(clock), "new")
	if u := s.Usage(); u.Batches != 0 || s.Lost().Expired != 1 {
		t.Errorf("usage %+v, %d expired, want no batch and 1", u, s.Lost().Expired)
	}
}

// A clock was years ahead once. What was kept then does not stay until its week is
// over; what is of next week does, for clocks that are ahead by a little.
func TestWeeksToComeExpire(t *testing.T) {
	clock := now.AddDate(10, 0, 0)
	s := Open(t.TempDir(), func() time.Time { return clock })
	t.Cleanup(func() { s.Close() })
	fill(t, s, period.Of(clock))
	clock = now.AddDate(0, 0, 7)
	fill(t, s, period.Of(clock))
	clock = now
	s.Expire()
	if got := names(s); len(got) != 6 || strings.Contains(strings.Join(got, " "), "2036") {
		t.Errorf("there are %q, want next week's batches and token, count and draw", got)
	}
	if lost := s.Lost(); lost != (Lost{Expired: 1, Refused: 2}) {
		t.Errorf("lost %+v, want one expired", lost)
	}
}

// fill leaves one of each kind of file.
func fill(t *testing.T, s *Spool, p period.Period) {
	t.Helper()
	for _, payload := range []string{"sent", "refused", "waiting"} {
		appendAll(t, s, p, payload)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if _, err := lease.Token(p); err != nil {
		t.Fatal(err)
	}
	for _, b := range lease.Batches() {
		switch {
		case b.Period != uint32(p):
		case string(b.Records[0].Payload) == "sent":
			err = lease.Done(b)
		case string(b.Records[0].Payload) == "refused":
			err = lease.Quarantine(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, s, p.String()+".draw", "")
}

// What died while it replaced a file is swept, here and where the decision is.
func TestTemporariesAreSwept(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "spool"))
	appendAll(t, s, week, "x")
	then := time.Now().AddDate(0, 0, -1)
	for _, name := range []string{".slicemetry-1", "../.slicemetry-2"} {
		writeFile(t, s, name, "a decision")
		if err := os.Chtimes(filepath.Join(s.dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
	sealed(t, s)
	for _, name := range []string{".slicemetry-1", "../.slicemetry-2"} {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want that it is gone", name, err)
		}
	}
}

// A process that records nothing any more ends its segment with the week, and
// keeps it no longer than any other.
func TestIdleSegmentExpires(t *testing.T) {
	clock := now
	s := Open(t.TempDir(), func() time.Time { return clock })
	t.Cleanup(func() { s.Close() })
	appendAll(t, s, week, "old")
	clock = week.End()
	if s.Expire(); s.Usage().Batches != 1 {
		t.Errorf("when its week is over there are %q, want a batch", names(s))
	}
	clock = week.End().Add(period.Retention)
	if s.Expire(); len(names(s)) != 0 || s.Lost() != (Lost{Expired: 1}) {
		t.Errorf("30 days later there are %q, lost %+v", names(s), s.Lost())
	}
}

// The same of a process that lives and does not run.
func TestStoppedSegmentExpires(t *testing.T) {
	dir := t.TempDir()
	stopped := open(t, dir)
	appendAll(t, stopped, week, "old")
	later := Open(dir, func() time.Time { return week.End().Add(period.Retention) })
	if later.Expire(); len(names(later)) != 0 || later.Lost() != (Lost{Expired: 1}) {
		t.Errorf("there are %q, lost %+v", names(later), later.Lost())
	}
	appendAll(t, stopped, week, "when it runs again")
	if lost := stopped.Lost(); lost != (Lost{Removed: 1}) {
		t.Errorf("the process lost %+v", lost)
	}
}

// Crashes of a newer host neither keep an older one from recording nor stay.
func TestNewerOrphansMakeRoom(t *testing.T) {
	clock := now
	s := Open(t.TempDir(), func() time.Time { return clock })
	t.Cleanup(func() { s.Close() })
	const n = 2 * MaxBytes / maxSegment
	for i := range n {
		writeNewer(t, s, fmt.Sprintf("DIED%d-1%s", i, openSuffix))
	}
	appendAll(t, s, week, "ours")
	clock = week.End().Add(period.Retention)
	if s.Expire(); len(names(s)) != 0 || s.Lost() != (Lost{Expired: n + 1}) {
		t.Errorf("there are %q, lost %+v, want %d expired", names(s), s.Lost(), n+1)
	}
}

// Damage is counted by whatever finds it, and so is what was lost before it.
func TestDamageIsCounted(t *testing.T) {
	finders := map[string]struct {
		find func(s *Spool)
		lost Lost // of a batch whose last of three records is damaged
	}{
		"sent":    {func(s *Spool) { sealed(t, s) }, Lost{Damaged: 1}},
		"capped":  {func(s *Spool) { crowd(t, s) }, Lost{Damaged: 1, Capped: 2}},
		"expired": {func(s *Spool) { s.now = func() time.Time { return week.End().Add(period.Retention) }; s.Expire() }, Lost{Damaged: 1, Expired: 2}},
	}
	for name, f := range finders {
		t.Run(name, func(t *testing.T) {
			s := damagedBatch(t, func(b []byte) { b[len(b)-1] ^= 1 })
			if f.find(s); s.Lost() != f.lost {
				t.Errorf("lost %+v, want %+v", s.Lost(), f.lost)
			}
			s = damagedBatch(t, func(b []byte) { b[headerBytes+frameBytes+1] ^= 1 })
			if f.find(s); s.Lost() != (Lost{Damaged: 1}) || len(s.files(batchSuffix)) != 0 {
				t.Errorf("from the first record on: lost %+v, %d batches are left, want one damaged and none", s.Lost(), len(s.files(batchSuffix)))
			}
		})
	}
}

// damagedBatch returns a spool with one batch of three records, which damage
// changes.
func damagedBatch(t *testing.T, damage func(b []byte)) *Spool {
	t.Helper()
	s := open(t, t.TempDir())
	appendAll(t, s, week, "one", "two", "three")
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	path := s.files(batchSuffix)[0].path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage(b)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// crowd has s make room where only the segment that it begins has any.
func crowd(t *testing.T, s *Spool) {
	t.Helper()
	writeFile(t, s, "of somebody else", string(make([]byte, MaxBytes-spare-maxSegment)))
	appendAll(t, s, week, "x")
}
