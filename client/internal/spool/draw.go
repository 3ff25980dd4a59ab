package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slicemetry/slicemetry/internal/period"
)

const (
	drawSuffix = ".draw"
	drawBytes  = 8
)

// Draw returns a period's random number by which the device chooses what it
// shows: the same for all processes, never sent, and of no other origin than the
// system's randomness, so that no other period's and no token says anything of it.
// The first process to ask draws it. One that cannot be read is not drawn again,
// because another process may hold it; who asks does without, until its period
// expires.
func (s *Spool) Draw(p period.Period) (uint64, error) {
	path := filepath.Join(s.dir, p.String()+drawSuffix)
	b, err := readSummed(path, drawBytes)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.newDraw(path); err == nil || errors.Is(err, fs.ErrExist) {
			b, err = readSummed(path, drawBytes)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("spool: draw: %s: %w", p, err)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// newDraw makes the file, where no other process did. It is not synced: a draw that
// a power cut takes is drawn anew, and the events that it chose for may be gone too.
func (s *Spool) newDraw(path string) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	b := make([]byte, drawBytes)
	rand.Read(b) // never fails; a process without entropy ends instead
	_, err = f.Write(summed(b))
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // a full disk
	}
	return nil
}
