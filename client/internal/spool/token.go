package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// tokenBytes is the length of a unit token: 128 bits never meet by chance. In its
// file a checksum follows.
const tokenBytes = 16

// countedBytes is the length that a damaged token is given: one that no cut leaves.
const countedBytes = 32

func (s *Spool) tokenPath(p period.Period) string {
	return filepath.Join(s.dir, p.String()+tokenSuffix)
}

// Token returns this installation's random number for a period, and draws it
// where there is none yet. A damaged one is an error for as long as its week is
// kept: with another one the installation would be two units of that week, and
// what was sent as the first could not be erased.
func (l *Lease) Token(p period.Period) ([]byte, error) {
	path := l.spool.tokenPath(p)
	token, err := readToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		// The lease is held, so nobody else draws now.
		token = make([]byte, tokenBytes)
		rand.Read(token) // never fails; a process without entropy ends instead
		err = durable.Replace(path, summed(token))
	}
	if err != nil {
		return nil, fmt.Errorf("spool: token: %w", err)
	}
	return token, nil
}

func readToken(path string) ([]byte, error) { return readSummed(path, tokenBytes) }

// summed appends a checksum to a few octets that get a file of their own.
func summed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clone(b), crc32.Checksum(b, castagnoli))
}

// readSummed reads n octets that were written with their checksum.
func readSummed(path string, n int) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < n || !bytes.Equal(b, summed(b[:n])) {
		return nil, ErrDamaged
	}
	return b[:n], nil
}

// dropUnsendable drops what waits of weeks whose token is damaged: it may have
// been sent with that one, and would be stored twice. mu is held.
func (s *Spool) dropUnsendable() {
	for _, f := range s.files(tokenSuffix) {
		p, err := f.week()
		if _, damaged := readToken(f.path); err != nil || !errors.Is(damaged, ErrDamaged) {
			continue
		}
		if f.size != countedBytes {
			s.countDamaged(f.path)
			_ = os.Truncate(f.path, countedBytes) // so that no other process counts it
		}
		for _, b := range s.segmentsOf(p, batchSuffix) {
			_ = s.drop(b, &s.lost.Damaged) // what stays has no token
		}
	}
}

// HeldToken returns this installation's random number for a period, nil where
// there is none.
func (s *Spool) HeldToken(p period.Period) []byte {
	token, _ := readToken(s.tokenPath(p))
	return token
}

// HeldTokens returns the periods of which the random number is still known, the
// oldest first.
func (s *Spool) HeldTokens() []period.Period {
	var list []period.Period
	for _, f := range s.files(tokenSuffix) {
		if p, err := f.week(); err == nil && s.HeldToken(p) != nil {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}
