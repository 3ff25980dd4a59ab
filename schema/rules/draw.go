package rules

import (
	"math/bits"
	"slices"

	"github.com/slicemetry/slicemetry/schema/catalog"
)

// Draw decides which items are kept of a list that is longer than its rule
// allows. With a draw taken at random every item is as likely to be kept as any
// other. One draw keeps the same items of the same list however often it is
// asked: many events of one installation then show no more of a list than one
// event does. A draw is a secret of the device, and lasts one period.
type Draw uint64

// maxItems is the most that a rule of a list may allow.
const maxItems = 8

// allowItems appends to dst, in ascending order, at most limit of the values that
// are on the list: those of the lowest ranks (bottom-k sampling). The collector
// meets no more than limit and chooses nothing.
func allowItems(dst []string, list *catalog.List, values []string, limit int, draw Draw, field string, r *Report) []string {
	var ranks [maxItems]uint64
	for _, v := range values {
		hash, listed := list.Hash(v)
		if !listed || slices.Contains(dst, v) {
			r.Add(field, Dropped, reasonNotListed)
			continue
		}
		rank, at := draw.rank(hash), len(dst)
		if at == limit {
			r.Add(field, Dropped, reasonTooMany)
			if at = highest(ranks[:limit]); rank > ranks[at] {
				continue
			}
		} else {
			dst = append(dst, "")
		}
		dst[at], ranks[at] = v, rank
	}
	slices.Sort(dst)
	return dst
}

func highest(ranks []uint64) int {
	at := 0
	for i, rank := range ranks {
		if rank > ranks[at] {
			at = i
		}
	}
	return at
}

// rank gives an item its place in a draw: its hash, mixed with the draw by two
// rounds of a 128-bit multiplication, so that neither similar items nor similar
// draws have similar ranks.
func (d Draw) rank(item uint64) uint64 {
	const odd1, odd2 = 0x9e3779b97f4a7c15, 0xd1b54a32d192ed03
	high, low := bits.Mul64(item^uint64(d), odd1)
	high, low = bits.Mul64(high^low^uint64(d), odd2)
	return high ^ low
}
