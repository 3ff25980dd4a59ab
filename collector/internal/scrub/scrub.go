// Package scrub turns what a client sent into rows that may be stored.
//
// It guarantees that no octet of a client's choosing reaches a row: texts are
// names from the catalogue, numbers lie on their grids, choices are declared
// ones, unknown fields are gone, and the client's random numbers are replaced by
// keyed hashes. The rules are those that the client applied already; a patched
// client gains nothing by leaving them out.
//
// Rows has unexported fields, Batch and Erasure are its only constructors, and the
// sink takes nothing else: storing something unscrubbed does not compile.
package scrub

import (
	"bytes"
	"log/slog"
	"net/netip"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

const (
	// randomBytes is the length of a unit token and of a batch id.
	randomBytes = 16
	// clockSkew is how far ahead of ours a client's clock may be.
	clockSkew = 24 * time.Hour
)

// Hasher replaces a client's random numbers by hashes that die with the period.
type Hasher interface {
	// Hashes returns the unit and batch hash. It must give the same for the same
	// arguments, in every collector, for as long as the period is open.
	Hashes(p period.Period, token, id []byte) (unit, batch uint64, err error)
	// Erasure returns the unit hash, and a receipt by which the operator can tell
	// that this token was erased.
	Erasure(p period.Period, token []byte) (unit uint64, receipt []byte, err error)
}

// Rules says what a collector accepts.
type Rules struct {
	Hasher      Hasher
	Covers      func(policy uint32, p period.Period) bool // whether consent to a policy allows a week's data
	KeepOrigins bool                                      // count events by coarse prefix
	Now         func() time.Time                          // time.Now outside of tests
}

// Rows are the rows of one batch, or an erasure, ready to be stored.
type Rows struct {
	period      period.Period
	erasure     bool // nothing but that the unit is erased
	unit, batch uint64
	slices      []*telemetryv1.Slice
	counters    *telemetryv1.UsageCounters // nil for none
	origin      netip.Prefix               // coarse; the zero value for none
}

// Period returns the period that all the rows belong to.
func (r *Rows) Period() period.Period { return r.period }

// Erasure reports whether the rows say that the unit is erased, and nothing else.
func (r *Rows) Erasure() bool { return r.erasure }

// Unit returns the hash that stands for the installation within the period.
func (r *Rows) Unit() uint64 { return r.unit }

// Batch returns the hash that stands for the batch.
func (r *Rows) Batch() uint64 { return r.batch }

// Slices returns the coarse slices, one a row. They are read only.
func (r *Rows) Slices() []*telemetryv1.Slice { return r.slices }

// Counters returns the coarse counters, nil for none. They are read only.
func (r *Rows) Counters() *telemetryv1.UsageCounters { return r.counters }

// Origin returns the coarse prefix that the batch came from, invalid for none.
func (r *Rows) Origin() netip.Prefix { return r.origin }

// LogValue implements slog.LogValuer: rows are not for logs.
func (Rows) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Batch scrubs a batch in place and returns its rows. The batch must not be used
// afterwards. The error is a Reason where the batch will never be taken; any
// other error is the hasher's, and passes.
func (s Rules) Batch(b *telemetryv1.Batch, from Prefix, report *rules.Report) (Rows, error) {
	if reason := s.check(b); reason != "" {
		return Rows{}, reason
	}
	p := period.Period(b.Period)
	unit, batch, err := s.Hasher.Hashes(p, b.UnitToken, b.BatchId)
	if err != nil {
		return Rows{}, err
	}
	rows := Rows{period: p, unit: unit, batch: batch, slices: b.Slices}
	for i, slice := range b.Slices {
		if slice == nil {
			slice = &telemetryv1.Slice{}
			b.Slices[i] = slice
		}
		rules.Coarsen(slice, slice, 0, report)
	}
	if b.Counters != nil {
		rules.CoarsenCounters(b.Counters, b.Counters, report)
		rows.counters = b.Counters
	}
	if s.KeepOrigins {
		rows.origin = from.Coarse()
	}
	return rows, nil
}

func (s Rules) check(b *telemetryv1.Batch) Reason {
	switch {
	case b == nil || !random(b.UnitToken) || !random(b.BatchId):
		return Malformed
	case len(b.Slices) == 0 && b.Counters == nil:
		return Empty
	case len(b.Slices) > rules.MaxSlices:
		return TooManySlices
	}
	if reason := s.checkPeriod(b.Period); reason != "" {
		return reason
	}
	if !s.Covers(b.PolicyVersion, period.Period(b.Period)) {
		return PolicyUnknown
	}
	return ""
}

// Erasure scrubs the wish to be erased: it returns the row that says so, and a
// receipt.
func (s Rules) Erasure(token []byte, monday uint32) (*Rows, []byte, error) {
	if !random(token) {
		return nil, nil, Malformed
	}
	if reason := s.checkPeriod(monday); reason != "" {
		return nil, nil, reason
	}
	p := period.Period(monday)
	unit, receipt, err := s.Hasher.Erasure(p, token)
	if err != nil {
		return nil, nil, err
	}
	return &Rows{period: p, unit: unit, erasure: true}, receipt, nil
}

func (s Rules) checkPeriod(monday uint32) Reason {
	p, now := period.Period(monday), s.Now()
	switch {
	case monday > maxPeriod || !p.Valid():
		return BadPeriod
	case p.Expired(now):
		return PeriodClosed
	case p.Start().After(now.Add(clockSkew)):
		return PeriodFuture
	}
	return ""
}

// maxPeriod is the last day of ClickHouse's Date.
const maxPeriod = 65535

// random tells 16 octets from none, from another number of them, and from an
// uninitialised buffer.
func random(b []byte) bool {
	return len(b) == randomBytes && !bytes.Equal(b, make([]byte, randomBytes))
}
