package spool

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
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

// occupied is what a file counts for the cap. One that is still written to
// counts as it may become, so that several processes together keep the cap.
func (f file) occupied() int64 {
	if strings.HasSuffix(f.path, openSuffix) {
		return max(f.size, maxSegment)
	}
	return (f.size + block - 1) / block * block
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
// mu is held.
func (s *Spool) makeRoom() error {
	total := int64(maxSegment)
	for _, f := range s.files("") {
		total += f.occupied()
	}
	if total <= MaxBytes {
		return nil
	}
	for _, f := range slices.Concat(s.files(badSuffix), s.files(sentSuffix), s.files(batchSuffix)) {
		if total <= MaxBytes {
			return nil
		}
		if strings.HasSuffix(f.path, batchSuffix) {
			s.lost.Capped += countRecords(f.path)
		}
		if err := os.Remove(f.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= f.occupied()
		}
	}
	if total > MaxBytes {
		return ErrFull
	}
	return nil
}

// expireEvery is how often a process looks for what is too old: it reads every
// file's first octets, which is some milliseconds for a spool of small files.
const expireEvery = time.Hour

// expireIfDue is expire, for those who come often. mu is held.
func (s *Spool) expireIfDue() {
	if since := s.now().Sub(s.expired); since < 0 || since >= expireEvery {
		s.expire()
	}
}

// Expire removes what is too old. Lease and Append do it too, now and then.
func (s *Spool) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
}

// expire removes what belongs to weeks that ended more than 30 days ago, and
// what cannot be read. mu is held.
func (s *Spool) expire() {
	now := s.now()
	s.expired = now
	for _, suffix := range []string{tokenSuffix, countSuffix, drawSuffix} {
		for _, f := range s.files(suffix) {
			p, err := period.Parse(strings.TrimSuffix(filepath.Base(f.path), suffix))
			if err != nil || p.Expired(now) {
				os.Remove(f.path)
			}
		}
	}
	for _, suffix := range []string{batchSuffix, badSuffix, sentSuffix} {
		for _, f := range s.files(suffix) {
			s.expireSegment(f.path, now)
		}
	}
	durable.Sweep(s.dir)
}

func (s *Spool) expireSegment(path string, now time.Time) {
	h, err := readHeader(path)
	switch {
	case errors.Is(err, ErrDamaged):
		s.lost.Damaged++
		os.Remove(path)
	case err == nil && period.Period(h.Period).Expired(now):
		if strings.HasSuffix(path, batchSuffix) { // others are counted already
			s.lost.Expired += countRecords(path)
		}
		os.Remove(path)
	}
}

// readHeader reads a segment's first octets.
func readHeader(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, err
	}
	defer f.Close()
	b := make([]byte, headerBytes)
	if _, err := io.ReadFull(f, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Header{}, ErrDamaged
		}
		return Header{}, err
	}
	return decodeHeader(b)
}

func countRecords(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, records, _, _ := decode(b)
	return len(records)
}

// countSlices counts the slices of one week in a segment.
func countSlices(path string, p period.Period) int {
	if h, err := readHeader(path); err != nil || h.Period != uint32(p) {
		return 0
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, records, _, _ := decode(b)
	n := 0
	for _, r := range records {
		if r.Kind == KindSlice {
			n++
		}
	}
	return n
}

// Recorded returns how many slices of a week this installation has recorded, in
// whatever process: those acknowledged and those in the folder.
func (s *Spool) Recorded(p period.Period) int {
	n := s.acknowledged(p)
	for _, suffix := range []string{openSuffix, batchSuffix, badSuffix} {
		for _, f := range s.files(suffix) {
			n += countSlices(f.path, p)
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
	return !slices.ContainsFunc(s.files(""), func(f file) bool { return filepath.Ext(f.path) != lockSuffix })
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
		u.Bytes += (f.size + block - 1) / block * block
		if strings.HasSuffix(f.path, batchSuffix) || strings.HasSuffix(f.path, openSuffix) {
			u.Records += countRecords(f.path)
		}
	}
	batches := s.files(batchSuffix)
	u.Batches, u.Bad = len(batches), len(s.files(badSuffix))
	if len(batches) > 0 {
		u.Oldest = batches[0].changed
	}
	return u
}
