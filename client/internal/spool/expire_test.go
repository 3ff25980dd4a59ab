package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// What goes first to make room is what need not be sent any more, then the
// oldest; each loss is counted.
func TestWhatMakesRoom(t *testing.T) {
	s := open(t, t.TempDir())
	var unsent []string
	add := func(suffix string) {
		t.Helper()
		full := appendFrame(newHeader(uint32(week), 1).encode(), KindSlice, make([]byte, maxSegment-headerBytes-frameBytes-1))
		age := len(names(s))
		name := fmt.Sprintf("%02d%s", 99-age, suffix) // their order is not that of the names
		writeFile(t, s, name, string(full))
		then := now.Add(time.Duration(age) * time.Minute)
		if err := os.Chtimes(filepath.Join(s.dir, name), then, then); err != nil {
			t.Fatal(err)
		}
		if suffix == batchSuffix {
			unsent = append(unsent, name)
		}
	}
	for range 10 {
		add(batchSuffix)
	}
	add(sentSuffix)
	add(badSuffix)
	for range 18 { // and the cap is reached
		add(batchSuffix)
	}
	for i := range 6 {
		appendAll(t, open(t, s.dir), week, "x")
		left := names(s)
		gone := slices.DeleteFunc(slices.Clone(unsent), func(name string) bool { return slices.Contains(left, name) })
		if want := unsent[:max(0, i-1)]; !slices.Equal(gone, want) {
			t.Errorf("after %d segments %d unsent batches are gone, want the %d oldest", i+1, len(gone), len(want))
		}
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

// What processes that write at once may still write is set aside for them.
func TestOpenSegmentsCountInFull(t *testing.T) {
	dir := t.TempDir()
	most := (MaxBytes-spare)/maxSegment - 1
	for range most {
		appendAll(t, open(t, dir), week, "x")
	}
	late := open(t, dir)
	if _, err := late.Append(week, 1, Record{KindSlice, nil}); err != nil {
		t.Errorf("process %d: %v", most+1, err)
	}
	if _, err := open(t, dir).Append(week, 1, Record{KindSlice, nil}); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v, want ErrFull", err)
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Append(week, 1, Record{KindSlice, nil}); err != nil {
		t.Errorf("when another has ended: %v", err)
	}
}

// Where nothing can be dropped to fit, nothing is dropped.
func TestFullDropsNothingInVain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	appendAll(t, s, week, "kept")
	for range MaxBytes / maxSegment {
		other := open(t, dir)
		if err := other.register(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, s, other.process+"-1"+openSuffix, string(newHeader(uint32(week), 1).encode()))
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(week, 1, Record{KindSlice, nil}); !errors.Is(err, ErrFull) || s.Usage().Batches != 1 {
		t.Errorf("Append() = %v, %d batches, want ErrFull and 1", err, s.Usage().Batches)
	}
}

// Processes that begin at the same time do not exceed the cap together.
func TestCapHoldsForManyAtOnce(t *testing.T) {
	payload := make([]byte, maxPayload/2-frameBytes-1)
	for range 3 {
		dir := t.TempDir()
		var spools []*Spool
		for range 30 {
			s := open(t, dir)
			if err := s.register(); err != nil {
				t.Fatal(err)
			}
			s.Expire() // so that what is left to do is to look for room and to begin
			spools = append(spools, s)
		}
		writeFile(t, spools[0], "of somebody else", string(make([]byte, MaxBytes-spare-2*maxSegment)))
		for i := range 300 { // which makes looking for room slow
			writeFile(t, spools[0], fmt.Sprint(i), "")
		}
		var running sync.WaitGroup
		begin := make(chan struct{})
		for _, s := range spools {
			running.Go(func() {
				<-begin
				_, _ = s.Append(week, 1, Record{KindSlice, payload}, Record{KindSlice, payload}) // full is fine
			})
		}
		close(begin)
		running.Wait()
		if u := spools[0].Usage(); u.Bytes > MaxBytes {
			t.Errorf("there are %d octets, %d above the cap", u.Bytes, u.Bytes-MaxBytes)
		}
	}
}

// Small files cost the disk whole blocks, and count so. What is written without
// looking for room fits as well.
func TestSmallFilesKeepTheCap(t *testing.T) {
	s := open(t, t.TempDir())
	weeks := []period.Period{week.Next()}
	for range 5 {
		weeks = append(weeks, weeks[len(weeks)-1].Previous())
	}
	const n = MaxBytes/block + 100
	for i := range n {
		h := newHeader(uint32(weeks[i%len(weeks)]), 1)
		writeFile(t, s, filepath.Base(s.batchPath(h)), string(appendFrame(h.encode(), KindSlice, nil)))
	}
	appendAll(t, s, week, "makes room")
	u := s.Usage()
	if lost := s.Lost().Capped; lost+u.Records != n+1 || u.Batches < n*3/4 {
		t.Errorf("%d lost and %d kept, want %d together", lost, u.Records, n+1)
	}
	for _, p := range weeks {
		drawn(t, s, p)
		writeFile(t, s, p.String()+countSuffix, "1")
		writeFile(t, s, p.String()+".draw", "x")
	}
	if u := s.Usage(); u.Bytes > MaxBytes {
		t.Errorf("there are %d octets, %d above the cap", u.Bytes, u.Bytes-MaxBytes)
	}
}
