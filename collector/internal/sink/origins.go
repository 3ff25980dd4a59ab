package sink

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// origin is what came from one coarse prefix.
type origin struct{ batches, events uint64 }

const (
	// originsAge is how long traffic by origin is gathered before it is stored. Stored with the
	// rows it would be in parts of the same second: of a batch that came alone they would
	// tell which pseudonym was where.
	originsAge = time.Hour
	// fewBatches are too few to be of interest: what is looked for is one network that sends
	// much. Of a prefix with fewer in an hour nothing is stored.
	fewBatches = 10
	// maxOrigins bounds the memory: there are as many prefixes of IPv4.
	maxOrigins = 1 << 16
)

// origins gathers the traffic by origin.
type origins struct {
	mu    sync.Mutex
	since time.Time // guarded by mu, as is all below; zero: nothing is gathered
	sums  map[netip.Prefix]origin
}

// add adds a block's.
func (o *origins) add(of map[netip.Prefix]origin, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for prefix, more := range of {
		sum, known := o.sums[prefix]
		if !known && len(o.sums) >= maxOrigins {
			continue
		}
		if o.since.IsZero() {
			o.since, o.sums = now, map[netip.Prefix]origin{}
		}
		o.sums[prefix] = origin{sum.batches + more.batches, sum.events + more.events}
	}
}

// take takes what was gathered, where it is old enough or the last, as columns of raw.origins:
// the day on which it began, and of prefixes that sent much.
func (o *origins) take(now time.Time, last bool) proto.Input {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || !last && now.Sub(o.since) < originsAge {
		return nil
	}
	var received proto.ColDate
	var prefix proto.ColIPv6
	var batches, events proto.ColUInt64
	for network, sum := range o.sums {
		if sum.batches < fewBatches {
			continue
		}
		received.Append(o.since.UTC())
		prefix.Append(proto.ToIPv6(netip.AddrFrom16(network.Addr().As16())))
		batches.Append(sum.batches)
		events.Append(sum.events)
	}
	o.since, o.sums = time.Time{}, nil
	if received.Rows() == 0 {
		return nil
	}
	return proto.Input{
		{Name: "received", Data: &received}, {Name: "prefix", Data: &prefix},
		{Name: "batches", Data: &batches}, {Name: "events", Data: &events},
	}
}

// storeOrigins stores what has been gathered for long enough, or to the last. It may be
// lost and must not be doubled, so it is tried once.
func (s *Sink) storeOrigins(conn *connection, last bool) {
	input := s.origins.take(time.Now(), last)
	if input == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if conn.connect(ctx) != nil || conn.insertTable(ctx, "origins", rand.Text(), input) != nil {
		conn.close() // its state is unknown
	}
}
