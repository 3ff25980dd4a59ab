package spool

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// spare is left free for what is written without looking for room: up to three
// small files of each of the seven weeks that can be here, the counts of what was
// lost, and what replaces one.
const spare = (3*7 + 2) * block

// makeRoom drops sealed segments until everything is below the cap: those that
// need not be sent any more first, then the oldest. mu is held.
func (s *Spool) makeRoom() error {
	total := int64(spare)
	for _, f := range s.files("") {
		total += f.occupied()
	}
	if total <= MaxBytes {
		return nil
	}
	droppable, least := slices.Concat(s.files(badSuffix), s.files(sentSuffix), s.files(batchSuffix)), total
	for _, f := range droppable {
		least -= f.occupied()
	}
	if least > MaxBytes {
		return ErrFull // and nothing is dropped in vain
	}
	for _, f := range droppable {
		if err := s.drop(f, &s.lost.Capped); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= f.occupied()
		}
		if total <= MaxBytes {
			return nil
		}
	}
	return ErrFull
}

// drop removes a segment, and counts what was in it and is now never sent. mu is
// held.
func (s *Spool) drop(f file, cause *int) error {
	n, damaged := 0, false
	if f.unsent() { // others are counted already
		n, damaged = countRecords(f.path)
	}
	if err := os.Remove(f.path); err != nil {
		return err
	}
	*cause += n
	if damaged {
		s.countDamaged(f.path)
	}
	return nil
}
