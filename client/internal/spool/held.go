package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/internal/period"
)

// State is what became of a batch.
type State string

// The states.
const (
	Filling State = "filling" // a process still appends to it
	Waiting State = "waiting" // to be sent
	Sent    State = "sent"    // acknowledged
	Bad     State = "refused" // by the collector, for ever
)

var states = []struct {
	suffix string
	state  State
}{{sentSuffix, Sent}, {badSuffix, Bad}, {batchSuffix, Waiting}, {openSuffix, Filling}}

// Held returns every batch in the folder, the acknowledged ones first, then the
// oldest. It changes nothing and needs no lease.
func (s *Spool) Held() []*Batch {
	var list []*Batch
	for _, kind := range states {
		for _, f := range s.files(kind.suffix) {
			b, err := os.ReadFile(f.path)
			if err != nil {
				continue // sent or dropped meanwhile
			}
			h, records, _, err := decode(b)
			if err != nil {
				continue
			}
			list = append(list, &Batch{Header: h, Records: records, State: kind.state, path: f.path})
		}
	}
	return list
}

// trimSent removes the oldest acknowledged batches above their cap. mu is held.
func (s *Spool) trimSent() {
	files := s.files(sentSuffix)
	total := int64(0)
	for _, f := range files {
		total += f.occupied()
	}
	for _, f := range files {
		if total <= maxSent {
			return
		}
		os.Remove(f.path)
		total -= f.occupied()
	}
}

// HeldToken returns this installation's random number for a period, nil where
// there is none.
func (s *Spool) HeldToken(p period.Period) []byte {
	token, err := os.ReadFile(filepath.Join(s.dir, p.String()+tokenSuffix))
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
		p, err := period.Parse(strings.TrimSuffix(filepath.Base(f.path), tokenSuffix))
		if err == nil && s.HeldToken(p) != nil {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

// Forget removes everything of a period, durably: its token last, so that who is
// interrupted can ask again.
func (l *Lease) Forget(p period.Period) error {
	s := l.spool
	var problems []error
	for _, b := range s.Held() {
		if period.Period(b.Period) == p && b.State != Filling {
			problems = append(problems, durable.Remove(b.path))
		}
	}
	for _, suffix := range []string{countSuffix, drawSuffix, tokenSuffix} {
		problems = append(problems, durable.Remove(filepath.Join(s.dir, p.String()+suffix)))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("spool: forget %s: %w", p, err)
	}
	return nil
}
