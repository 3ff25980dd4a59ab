package spool

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

// block is what a file occupies at least. Counting whole blocks keeps the cap
// true for what the disk loses, and bounds the number of files: a host that
// lives shortly leaves one small segment each time.
const block = 4 << 10

// file is one file of the folder.
type file struct {
	path    string
	size    int64
	changed time.Time
}

func (f file) suffix() string { return filepath.Ext(f.path) }

// week returns the period of a file that is named after one.
func (f file) week() (period.Period, error) {
	return period.Parse(strings.TrimSuffix(filepath.Base(f.path), f.suffix()))
}

// unsent reports whether a file is a segment that is still to be sent.
func (f file) unsent() bool { return f.suffix() == batchSuffix || f.suffix() == openSuffix }

// occupied is what a file counts for the cap. One that is still written to
// counts as it may become, so that several processes together keep the cap.
func (f file) occupied() int64 {
	if f.suffix() == openSuffix {
		return max(f.size, maxSegment)
	}
	return f.blocks()
}

// blocks is what a file takes of the disk now.
func (f file) blocks() int64 { return (f.size + block - 1) / block * block }

// files lists the files of a suffix, the oldest first. A file that vanishes
// meanwhile was another process's to remove.
func (s *Spool) files(suffix string) []file {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil // no folder, no files
	}
	var found []*file // sorting a type of our own would add 16 KB to a host, pointers it sorts anyhow
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		if info, err := e.Info(); err == nil {
			found = append(found, &file{filepath.Join(s.dir, e.Name()), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b *file) int {
		return cmp.Or(a.changed.Compare(b.changed), strings.Compare(a.path, b.path))
	})
	var list []file
	for _, f := range found {
		list = append(list, *f)
	}
	return list
}

// segmentsOf lists the segments of a week, whatever version wrote them.
func (s *Spool) segmentsOf(p period.Period, suffixes ...string) []file {
	return slices.DeleteFunc(s.files(""), func(f file) bool {
		if !slices.Contains(suffixes, f.suffix()) {
			return true
		}
		h, err := readHeader(f.path)
		return err != nil || h.Period != uint32(p)
	})
}

// readHeader reads a segment's first octets.
func readHeader(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, err
	}
	defer f.Close()
	b := make([]byte, headerBytes)
	if n, err := io.ReadFull(f, b); n < headerBytes && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Header{}, err
	}
	return decodeHeader(b)
}

// countRecords counts a segment's records. What another version wrote counts as
// one: only that version knows how many there are.
func countRecords(path string) (n int, damaged bool) {
	b, damaged, err := readBatch(path)
	switch {
	case errors.Is(err, errVersion):
		return 1, false
	case err != nil:
		return 0, damaged
	}
	return len(b.Records), damaged
}

// Recorded returns how many slices of a week this installation has recorded, in
// whatever process: those acknowledged and those in the folder.
func (s *Spool) Recorded(p period.Period) int {
	n := s.acknowledged(p)
	for _, suffix := range []string{openSuffix, batchSuffix, badSuffix} {
		for _, f := range s.files(suffix) {
			if b, _, err := readBatch(f.path); err == nil && b.Period == uint32(p) {
				n += b.slices()
			}
		}
	}
	return n
}

func (s *Spool) countPath(p period.Period) string {
	return filepath.Join(s.dir, p.String()+countSuffix)
}

// acknowledged reads a week's number; 0 where there is none, or none that can be
// read: it bounds what is recorded, and a lost one costs only that.
func (s *Spool) acknowledged(p period.Period) int {
	b, err := os.ReadFile(s.countPath(p))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Empty reports whether the folder does not exist, or holds nothing but locks.
func (s *Spool) Empty() bool {
	return !slices.ContainsFunc(s.files(""), func(f file) bool { return f.suffix() != lockSuffix })
}

// Usage is what a folder holds.
type Usage struct {
	Bytes   int64     // that count for the cap
	Batches int       // sealed
	Records int       // in those, and in what is being written
	Bad     int       // refused by the collector
	Oldest  time.Time // when the oldest sealed batch was written last; zero for none
}

// Usage looks into the folder.
func (s *Spool) Usage() Usage {
	var u Usage
	for _, f := range s.files("") {
		u.Bytes += f.blocks()
		if f.unsent() {
			n, _ := countRecords(f.path)
			u.Records += n
		}
	}
	batches := s.files(batchSuffix)
	u.Batches, u.Bad = len(batches), len(s.files(badSuffix))
	if len(batches) > 0 {
		u.Oldest = batches[0].changed
	}
	return u
}
