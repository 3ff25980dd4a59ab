package spool

import "os"

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
			b, _, err := readBatch(f.path)
			if err != nil {
				continue // sent or dropped meanwhile, or another version's
			}
			b.State = kind.state
			list = append(list, b)
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
