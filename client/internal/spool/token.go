package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// tokenBytes is the length of a unit token: 128 bits never meet by chance.
const tokenBytes = 16

func (s *Spool) tokenPath(p period.Period) string {
	return filepath.Join(s.dir, p.String()+tokenSuffix)
}

// Token returns this installation's random number for a period, and draws it
// where there is none yet.
func (l *Lease) Token(p period.Period) ([]byte, error) {
	path := l.spool.tokenPath(p)
	token, err := os.ReadFile(path)
	if err == nil && len(token) == tokenBytes {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool: token: %w", err)
	}
	// Missing, or damaged. The lease is held, so nobody else draws now.
	token = make([]byte, tokenBytes)
	rand.Read(token) // never fails; a process without entropy ends instead
	if err := durable.Replace(path, token); err != nil {
		return nil, fmt.Errorf("spool: token: %w", err)
	}
	return token, nil
}

// HeldToken returns this installation's random number for a period, nil where
// there is none.
func (s *Spool) HeldToken(p period.Period) []byte {
	token, err := os.ReadFile(s.tokenPath(p))
	if err != nil || len(token) != tokenBytes {
		return nil
	}
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
