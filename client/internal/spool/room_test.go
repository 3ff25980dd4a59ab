package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

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
