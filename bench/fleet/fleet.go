// Package fleet simulates slicers in the field: installations with a machine, a
// slicer and habits, and what each of them prints in a week.
//
// Everything follows from a seed, so that a run can be repeated and its true
// numbers are known. No source says how popular anything is; popularity here is
// a Zipf law over a shuffled catalogue, an assumption that gives tables a head
// and a long tail and nothing more.
package fleet

import (
	"math"
	"math/rand/v2"

	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// zipfExponent shapes popularity: at 1.1 the first of 632 machines has about a
// fifth of all installations.
const zipfExponent = 1.1

// Fleet is a number of installations.
type Fleet struct {
	seed     uint64
	size     int
	machines *popularity
	settings *popularity
	shuffled []catalog.Machine
	keys     []string
	types    []string
	brands   []string
}

// New returns a fleet of that many installations.
func New(seed uint64, size int) *Fleet {
	f := &Fleet{
		seed: seed, size: size,
		shuffled: append([]catalog.Machine(nil), catalog.Machines()...),
		keys:     append([]string(nil), catalog.Values("setting")...),
		types:    []string{"PLA", "PETG", "ABS", "TPU", "ASA", "PC", "Nylon", "PVA", "Tough PLA", "CPE"},
		brands:   []string{"Generic", "custom", "Ultimaker", "eSUN", "Polymaker", "Fiberlogy HD", "BASF", "Verbatim"},
	}
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(f.shuffled), func(i, j int) { f.shuffled[i], f.shuffled[j] = f.shuffled[j], f.shuffled[i] })
	random.Shuffle(len(f.keys), func(i, j int) { f.keys[i], f.keys[j] = f.keys[j], f.keys[i] })
	f.machines = newPopularity(len(f.shuffled))
	f.settings = newPopularity(len(f.keys))
	return f
}

// Size returns the number of installations.
func (f *Fleet) Size() int { return f.size }

// Week is what one installation does in one period.
type Week struct {
	Slices   []*telemetryv1.Slice
	Counters *telemetryv1.UsageCounters
}

// Week returns what installation i does in the period; a third of them rest.
func (f *Fleet) Week(i int, p period.Period) Week {
	in := f.installation(i)
	random := rand.New(rand.NewPCG(f.seed^uint64(i), uint64(p)))
	if random.Float64() < 0.35 {
		return Week{}
	}
	week := Week{Slices: make([]*telemetryv1.Slice, jobs(random, in.activity))}
	for j := range week.Slices {
		week.Slices[j] = in.slice(random)
	}
	n := uint32(len(week.Slices))
	failed, cancelled := uint32(float64(n)*random.Float64()*0.2), uint32(random.IntN(3))
	week.Counters = &telemetryv1.UsageCounters{
		SlicesStarted: 2*n + failed + cancelled, SlicesFinished: 2 * n, SlicesFailed: failed, SlicesCancelled: cancelled,
	}
	return week
}

// jobs draws from a geometric law with the mean given, at least one and at most
// forty: nobody waits for a machine that prints more in a week.
func jobs(random *rand.Rand, mean float64) int {
	n := 1 + int(math.Log(1-random.Float64())/math.Log(1-1/mean))
	return min(n, 40)
}

// popularity draws ranks by a Zipf law.
type popularity struct{ cumulative []float64 }

func newPopularity(n int) *popularity {
	p := &popularity{cumulative: make([]float64, n)}
	total := 0.0
	for i := range p.cumulative {
		total += math.Pow(float64(i+1), -zipfExponent)
		p.cumulative[i] = total
	}
	return p
}

func (p *popularity) draw(random *rand.Rand) int {
	u := random.Float64() * p.cumulative[len(p.cumulative)-1]
	low, high := 0, len(p.cumulative)-1
	for low < high {
		if middle := (low + high) / 2; p.cumulative[middle] < u {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}
