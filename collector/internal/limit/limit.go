// Package limit keeps one network from taking what all need.
//
// It guarantees fixed memory whatever is thrown at it, and that it keeps no
// address: a caller is a position in a table, found by a hash under a random key
// that is replaced together with the table by the first call after an hour, from
// which on all have their whole burst again. Nothing is persisted.
// Two networks may share a position; they then share its allowance.
package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// positions is the table's size: 65,536 of 16 octets are 1 MiB.
	positions = 1 << 16
	// keyLife is how long hashes of one key are used.
	keyLife = time.Hour
)

// Limiter is a token bucket for each position.
type Limiter struct {
	rate  float64 // tokens a second; 0: no limit
	burst float64
	now   func() time.Time

	mu      sync.Mutex
	seed    maphash.Seed // guarded by mu, as is all below
	since   time.Time    // when the seed was drawn
	buckets [positions]bucket
}

// bucket holds what is spent instead of what is left, so that the zero value is
// a full one.
type bucket struct {
	spent float64
	at    float64 // seconds since the seed was drawn
}

// New returns a limiter that allows rate calls a second for each network, and
// burst at once. A rate of 0 allows everything. now is time.Now outside of tests.
func New(rate, burst float64, now func() time.Time) *Limiter {
	return &Limiter{rate: rate, burst: burst, now: now, seed: maphash.MakeSeed(), since: now()}
}

// Allow takes a token of the network's bucket, or reports that there is none.
func (l *Limiter) Allow(network netip.Prefix) bool {
	if l.rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.since) >= keyLife {
		l.seed, l.since = maphash.MakeSeed(), now
		clear(l.buckets[:]) // a literal would be a MiB on every caller's stack
	}
	at := now.Sub(l.since).Seconds()
	b := &l.buckets[maphash.Comparable(l.seed, network)%positions]
	b.spent = max(0, b.spent-(at-b.at)*l.rate)
	b.at = at
	if b.spent+1 > l.burst {
		return false
	}
	b.spent++
	return true
}
