package spool

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file of the folder.
type file struct {
	path    string
	size    int64
	changed time.Time
}

// files lists the files of a suffix, the oldest first. A file that vanishes
// meanwhile was another process's to remove.
func (s *Spool) files(suffix string) []file {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil // no folder, no files
	}
	var list []file
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		if info, err := e.Info(); err == nil {
			list = append(list, file{filepath.Join(s.dir, e.Name()), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(list, func(a, b file) int {
		return cmp.Or(a.changed.Compare(b.changed), strings.Compare(a.path, b.path))
	})
	return list
}

// makeRoom drops the oldest sealed segments until a new one fits below the cap.
func (s *Spool) makeRoom() error {
	total := int64(0)
	for _, f := range s.files("") {
		total += f.size
	}
	for _, f := range append(s.files(badSuffix), s.files(batchSuffix)...) {
		if total+maxSegment <= MaxBytes {
			return nil
		}
		if strings.HasSuffix(f.path, batchSuffix) {
			s.lost.Capped += countRecords(f.path)
		}
		if err := os.Remove(f.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= f.size
		}
	}
	if total+maxSegment > MaxBytes {
		return ErrFull
	}
	return nil
}

func countRecords(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, records, _, _ := decode(b)
	return len(records)
}

// Usage is what a folder holds.
type Usage struct {
	Bytes   int64
	Batches int       // sealed
	Bad     int       // refused by the collector
	Oldest  time.Time // when the oldest sealed batch was written last; zero for none
}

// Usage looks into the folder.
func (s *Spool) Usage() Usage {
	var u Usage
	for _, f := range s.files("") {
		u.Bytes += f.size
	}
	batches := s.files(batchSuffix)
	u.Batches, u.Bad = len(batches), len(s.files(badSuffix))
	if len(batches) > 0 {
		u.Oldest = batches[0].changed
	}
	return u
}
