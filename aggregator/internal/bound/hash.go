package bound

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// hashKey is the key of the order in which a unit's keys are kept. It differs
// between metrics and periods, so that a unit's favoured keys do too. It is no
// secret: knowing it tells a unit which of its own keys count, and no more.
type hashKey struct{ a, b uint64 }

func newHashKey(m *metrics.Metric, p period.Period) hashKey {
	sum := sha256.Sum256([]byte("slicemetry keys that count\x00" + m.Name + "\x00" + p.String()))
	return hashKey{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// rank is ClickHouse's sipHash64Keyed((a, b), bitXor(unit, cell)). Two cells of a
// unit never meet in one input, and other units' ranks do not matter.
func (k hashKey) rank(unit, cell uint64) uint64 {
	var octets [8]byte
	binary.LittleEndian.PutUint64(octets[:], unit^cell)
	return siphash.Hash(k.a, k.b, octets[:])
}
