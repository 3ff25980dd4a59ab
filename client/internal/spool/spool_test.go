package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

var (
	now  = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	week = period.Of(now)
)

func open(t testing.TB, dir string) *Spool {
	t.Helper()
	s := Open(dir, func() time.Time { return now })
	t.Cleanup(func() { s.Close() })
	return s
}

func appendAll(t testing.TB, s *Spool, p period.Period, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if _, err := s.Append(p, 1, Record{KindSlice, []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
}

// sealed returns what can be sent, and gives the lease back.
func sealed(t testing.TB, s *Spool) []*Batch {
	t.Helper()
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	return lease.Batches()
}

func TestAppendedComesBack(t *testing.T) {
	s := open(t, t.TempDir())
	appendAll(t, s, week, "a", "", "c")
	if _, err := s.Append(week, 1, Record{KindCounters, []byte("counters")}); err != nil {
		t.Fatal(err)
	}
	batches := sealed(t, s)
	if len(batches) != 1 || len(batches[0].Records) != 4 {
		t.Fatalf("%d batches", len(batches))
	}
	b := batches[0]
	if b.Period != uint32(week) || b.Policy != 1 || b.BatchID == [16]byte{} {
		t.Errorf("header %+v", b.Header)
	}
	if string(b.Records[2].Payload) != "c" || b.Records[3].Kind != KindCounters {
		t.Errorf("records %q", b.Records)
	}
	if again := sealed(t, s); again[0].BatchID != b.BatchID {
		t.Error("the batch's id changed")
	}
}

// A segment ends where a batch of the protocol must, and where week or policy
// change.
func TestSegmentsEnd(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range MaxRecords + 1 {
		appendAll(t, s, week, fmt.Sprint(i))
	}
	appendAll(t, s, week.Next(), "next week")
	if _, err := s.Append(week.Next(), 2, Record{KindSlice, []byte("new policy")}); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, week.Next(), string(make([]byte, maxPayload/2)), string(make([]byte, maxPayload/2)), "more")
	var sizes []int
	for _, b := range sealed(t, s) {
		sizes = append(sizes, len(b.Records))
	}
	total := 0
	for _, n := range sizes {
		total += n
		if n > MaxRecords {
			t.Errorf("a batch of %d records", n)
		}
	}
	if len(sizes) != 6 || total != MaxRecords+6 {
		t.Errorf("batches of %v records", sizes)
	}
	if _, err := s.Append(week, 1, Record{KindSlice, make([]byte, maxPayload/2+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a giant record: %v, want ErrTooLarge", err)
	}
}

func TestDeadProcessesAreAdopted(t *testing.T) {
	dir := t.TempDir()
	alive, dead, sender := open(t, dir), open(t, dir), open(t, dir)
	appendAll(t, alive, week, "alive")
	appendAll(t, dead, week, "dead 1", "dead 2")
	// What the kernel does with a process that dies: its locks are free.
	if err := dead.lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	batches := sealed(t, sender)
	if len(batches) != 1 || len(batches[0].Records) != 2 || string(batches[0].Records[0].Payload) != "dead 1" {
		t.Fatalf("%d batches were adopted, want the dead one", len(batches))
	}
	appendAll(t, alive, week, "still alive")
	if err := alive.Seal(); err != nil {
		t.Fatal(err)
	}
	if batches := sealed(t, sender); len(batches) != 2 {
		t.Errorf("%d batches, want 2", len(batches))
	}
}

func TestLeaseIsExclusive(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	lease, err := a.Lease()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lease(); !errors.Is(err, ErrBusy) {
		t.Errorf("a second lease: %v, want ErrBusy", err)
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	if lease, err = b.Lease(); err != nil {
		t.Errorf("after the first: %v", err)
	} else if err := lease.Release(); err != nil {
		t.Error(err)
	}
}

// The cap holds whatever is written, and what makes room is the oldest.
func TestCap(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	payload := make([]byte, 10_000)
	for i := range 600 { // three times the cap
		copy(payload, fmt.Sprintf("%04d", i))
		appendAll(t, s, week, string(payload))
		if u := s.Usage(); u.Bytes > MaxBytes {
			t.Fatalf("after %d records the folder holds %d bytes", i+1, u.Bytes)
		}
	}
	batches := sealed(t, s)
	last := batches[len(batches)-1].Records
	if string(last[len(last)-1].Payload[:4]) != "0599" {
		t.Error("the newest record is gone")
	}
	kept := 0
	for _, b := range batches {
		kept += len(b.Records)
	}
	if lost := s.Lost().Capped; lost+kept != 600 || lost == 0 {
		t.Errorf("%d kept and %d lost, want 600 together", kept, lost)
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 10 {
		appendAll(t, s, week.Next(), fmt.Sprint(i))
		lease, err := s.Lease()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range lease.Batches() {
			if err := lease.Quarantine(b); err != nil {
				t.Fatal(err)
			}
		}
		lease.Release()
	}
	if u := s.Usage(); u.Bad != maxBad || u.Batches != 0 || s.Lost().Refused != 10 {
		t.Errorf("usage %+v, refused %d", u, s.Lost().Refused)
	}
}

func TestPurge(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	appendAll(t, s, week, "sealed")
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, week, "open")
	appendAll(t, other, week, "another process's")
	lease, err := other.Lease()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Token(week); err != nil {
		t.Fatal(err)
	}
	lease.Release()
	if err := s.Purge(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != lockSuffix {
			t.Errorf("%s is left", e.Name())
		}
	}
	appendAll(t, s, week, "afterwards")
	if n := len(sealed(t, s)); n != 1 {
		t.Errorf("%d batches afterwards, want 1", n)
	}
}

// A damaged file does not stop the others.
func TestDamagedFilesAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	appendAll(t, s, week, "good")
	if err := os.WriteFile(filepath.Join(dir, "0000"+batchSuffix), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if batches := sealed(t, s); len(batches) != 1 || s.Lost().Damaged != 1 {
		t.Errorf("%d batches, %d damaged, want 1 and 1", len(batches), s.Lost().Damaged)
	}
}

// Hosts with different versions of the library share a folder: the older one
// neither sends nor loses what the newer one wrote, and still lets it expire.
func TestNewerSegmentsAreLeftAlone(t *testing.T) {
	clock := now
	s := Open(t.TempDir(), func() time.Time { return clock })
	t.Cleanup(func() { s.Close() })
	appendAll(t, s, week, "ours")
	writeNewer(t, s, "0000"+batchSuffix)
	died := writeNewer(t, s, "DIED-1"+openSuffix)
	if batches := sealed(t, s); len(batches) != 1 || s.Lost() != (Lost{}) {
		t.Errorf("%d batches, lost %+v, want our own one and nothing", len(batches), s.Lost())
	}
	// The newer host's next process finds what its last one left as a batch.
	for _, path := range []string{filepath.Join(s.dir, "0000"+batchSuffix), s.batchPath(died)} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the newer host's segment: %v", err)
		}
	}
	clock = week.End().AddDate(0, 0, 31)
	if sealed(t, s); !s.Empty() || s.Lost() != (Lost{Expired: 3}) {
		t.Errorf("a month after its week there is %+v, lost %+v", s.Usage(), s.Lost())
	}
}

// writeNewer writes a segment as a newer version would.
func writeNewer(t testing.TB, s *Spool, name string) Header {
	t.Helper()
	h := newHeader(uint32(week), 1)
	newer := h.encode()[:headerBytes-4]
	newer[len(magic)] = version + 1
	newer = binary.LittleEndian.AppendUint32(newer, crc32.Checksum(newer, castagnoli))
	writeFile(t, s, name, string(newer)+"as only the newer one knows")
	return h
}

func writeFile(t testing.TB, s *Spool, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names lists what the folder holds but for locks.
func names(s *Spool) (list []string) {
	for _, f := range s.files("") {
		if f.suffix() != lockSuffix {
			list = append(list, filepath.Base(f.path))
		}
	}
	return list
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir)
	appendAll(t, s, week, "x")
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if _, err := lease.Token(week); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		info, err := d.Info()
		if want := os.FileMode(0o600); err != nil || info.Mode().Perm()&^0o700 != 0 || !d.IsDir() && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		return nil
	})
}
