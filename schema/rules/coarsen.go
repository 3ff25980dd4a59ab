package rules

import (
	"math"
	"math/bits"
	"slices"
	"sort"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// allow keeps a text that is on the list; "" is "not reported" and stays.
func allow(list *catalog.List, value, otherwise, field string, r *Report) string {
	if value == "" || value == otherwise || list.Contains(value) {
		return value
	}
	r.Add(field, Generalised, reasonNotListed)
	return otherwise
}

// declared keeps a value of an enumeration whose numbers run from 0 to last.
func declared[E ~int32](value, last, other E, field string, r *Report) E {
	if value >= 0 && value <= last {
		return value
	}
	r.Add(field, Generalised, reasonUndeclared)
	return other
}

// grid rounds to the nearest of minimum, minimum+step, ... maximum; halves go up.
func grid(value, minimum, maximum, step uint32, zeroIsUnset bool, field string, r *Report) uint32 {
	switch {
	case value == 0 && zeroIsUnset:
		return 0
	case value < minimum:
		r.Add(field, Clamped, reasonRange)
		return minimum
	case value > maximum:
		r.Add(field, Clamped, reasonRange)
		return maximum
	}
	rounded := minimum + (value-minimum+step/2)/step*step
	if rounded != value {
		r.Add(field, Bucketed, reasonGrid)
	}
	return min(rounded, maximum)
}

// nearest picks the listed value next to value; of two as near, the larger. The
// values are in ascending order.
func nearest(value uint32, values []uint32, field string, r *Report) uint32 {
	i, found := slices.BinarySearch(values, value)
	if found {
		return value
	}
	r.Add(field, Bucketed, reasonNearest)
	switch {
	case i == 0:
		return values[0]
	case i == len(values) || value-values[i-1] < values[i]-value:
		return values[i-1]
	}
	return values[i]
}

// nearestSet is nearest where 0 means "not reported": only 0 itself becomes 0.
func nearestSet(value uint32, values []uint32, field string, r *Report) uint32 {
	if value == 0 {
		return 0
	}
	if values[0] == 0 {
		values = values[1:]
	}
	return nearest(value, values, field, r)
}

// optional applies a rule to a number with presence. An unchanged number is
// shared with the source instead of copied, which spares the caller's thread an
// allocation; both sides only read it.
func optional(value *uint32, apply func(uint32) uint32) *uint32 {
	if value == nil {
		return nil
	}
	coarse := apply(*value)
	if coarse == *value {
		return value
	}
	changed := coarse // its own variable, so that only a change allocates
	return &changed
}

// nested coarsens the first limit messages of a list into dst, whose spare
// messages are used again.
func nested[M any](dst, src []*M, limit int, coarsen func(dst, src *M, r *Report), field string, r *Report) []*M {
	for i, m := range src {
		if i == limit {
			r.Add(field, Dropped, reasonTooMany)
			break
		}
		if len(dst) < cap(dst) && dst[:len(dst)+1][len(dst)] != nil {
			dst = dst[:len(dst)+1]
		} else {
			dst = append(dst, new(M))
		}
		if m == nil {
			m = new(M) // a nil element is an empty message to protobuf
		}
		coarsen(dst[i], m, r)
	}
	return dst
}

// logScale is a scale of buckets that grow by a constant factor:
//
//	edges            e0 ....... e1 ........... e2 .................. e3
//	representatives       r0           r1                r2
//
// A bucket is [e(i), e(i+1)); its representative is its geometric middle. Values
// below e0 join the first bucket, values from the last edge on the last. 0 is
// "not reported" and stays.
type logScale struct {
	edges           []uint32
	representatives []uint32
	above           [33]int // by how many bits a number has: the first edge above the least of them
}

func newLogScale(s *privacyv1.LogScale) *logScale {
	factor := math.Pow(2, 1/float64(s.StepsPerOctave))
	scale := &logScale{}
	low := float64(s.Minimum)
	for ; low < float64(s.Maximum); low *= factor {
		edge := uint32(math.Ceil(low))
		next := uint32(math.Ceil(low * factor))
		if edge == next {
			continue // narrower than one unit: the neighbour holds the only integer
		}
		middle := uint32(math.Round(math.Sqrt(float64(edge) * float64(next))))
		scale.edges = append(scale.edges, edge)
		scale.representatives = append(scale.representatives, min(middle, next-1))
	}
	scale.edges = append(scale.edges, uint32(math.Ceil(low)))
	for n := 1; n < len(scale.above); n++ {
		scale.above[n] = sort.Search(len(scale.edges), func(i int) bool { return scale.edges[i] > 1<<(n-1) })
	}
	return scale
}

func (s *logScale) coarsen(value uint32, field string, r *Report) uint32 {
	if value == 0 {
		return 0
	}
	last := len(s.representatives) - 1
	// The first edge above value ends its bucket. There are a few in a doubling.
	i := s.above[bits.Len32(value)]
	for i < len(s.edges) && s.edges[i] <= value {
		i++
	}
	i--
	if i < 0 || i > last {
		r.Add(field, Clamped, reasonRange)
		return s.representatives[min(max(i, 0), last)]
	}
	if s.representatives[i] != value {
		r.Add(field, Bucketed, reasonLog)
	}
	return s.representatives[i]
}
