package release

import (
	"math"

	"github.com/slicemetry/slicemetry/schema/metrics"
)

// Quantile is a point of a distribution, read from its noisy histogram.
type Quantile struct {
	Quantile float64
	Value    float64 // in the unit of the field
	Low      float64 // ends of the 95 % interval
	High     float64
	Status   Status
}

// Probabilities are the quantiles that are published.
var Probabilities = []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99}

// QuantilesOf reads the quantiles from a noised histogram over the buckets of a
// logarithmic field: nil for other metrics. It only processes published numbers
// further and so costs nothing. With too few votes to say anything it returns
// none.
//
//	cumulative sums of the noisy cells -> nearest non-decreasing ones
//	  (pool adjacent violators) -> the bucket where each crosses its part of
//	  the whole -> between its edges by the logarithm
//
// The interval asks of every edge whether the noisy cells contradict that the
// quantile lies beyond it; see interval.
func QuantilesOf(m *metrics.Metric, rows []Row, sigma float64) []Quantile {
	if m.Statistic != metrics.Quantiles {
		return nil
	}
	edges := m.Keys[0].Edges
	sums := make([]float64, len(rows)+1) // sums[j]: votes below edge j
	for i, r := range rows {
		sums[i+1] = sums[i] + float64(r.Raw)
	}
	n := len(rows)
	whole := sums[n]
	if whole < 2*z95*standardError(sigma)*math.Sqrt(float64(n)) {
		return nil
	}
	smooth := isotonic(sums)
	list := make([]Quantile, len(Probabilities))
	for i, p := range Probabilities {
		q := Quantile{Quantile: p, Value: crossing(smooth, edges, p), Status: OK}
		q.Low, q.High = interval(sums, edges, p, standardError(sigma))
		q.Low, q.High = min(q.Low, q.Value), max(q.High, q.Value)
		if q.High > 2*q.Low {
			q.Status = LowConfidence // known to no better than a factor of two
		}
		list[i] = q
	}
	return list
}

// isotonic returns the non-decreasing sequence nearest to v in the least squares
// (pool adjacent violators: Barlow et al., "Statistical Inference under Order
// Restrictions", 1972, 1.2).
func isotonic(v []float64) []float64 {
	type block struct {
		mean float64
		size int
	}
	var blocks []block
	for _, x := range v {
		b := block{x, 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].mean > b.mean {
			last := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			size := last.size + b.size
			b = block{(last.mean*float64(last.size) + b.mean*float64(b.size)) / float64(size), size}
		}
		blocks = append(blocks, b)
	}
	out := make([]float64, 0, len(v))
	for _, b := range blocks {
		for range b.size {
			out = append(out, b.mean)
		}
	}
	return out
}

// crossing finds where the sums reach the part p of the whole.
func crossing(sums []float64, edges []uint32, p float64) float64 {
	last := len(sums) - 1
	low := max(0, sums[0])
	target := low + p*(sums[last]-low)
	for j := 1; j <= last; j++ {
		if sums[j] < target {
			continue
		}
		below, above := math.Log(float64(edges[j-1])), math.Log(float64(edges[j]))
		part := 1.0
		if width := sums[j] - max(low, sums[j-1]); width > 0 {
			part = max(0, target-max(low, sums[j-1])) / width
		}
		return math.Exp(below + part*(above-below))
	}
	return float64(edges[last])
}

// interval returns edges between which the quantile p lies in at least 95 of 100
// cases. Were there no noise, sums[j] - p whole would be at most 0 at the lower
// edge of the quantile's bucket and at least 0 at its upper one. Its noise has the
// standard deviation sigma sqrt(j (1-p)^2 + (n-j) p^2), because the j cells below
// the edge count 1-p and the others -p. So the bucket's upper edge looks too low
// in 2.5 of 100 cases, its lower edge too high in as many; any bucket before the
// first whose upper edge is plausible, or after the last whose lower edge is,
// can be left out.
func interval(sums []float64, edges []uint32, p, sigma float64) (low, high float64) {
	n := len(sums) - 1
	score := func(j int) float64 {
		below, above := float64(j)*(1-p)*(1-p), float64(n-j)*p*p
		return (sums[j] - p*sums[n]) / (sigma * math.Sqrt(below+above))
	}
	first, last := n-1, 0
	for i := range n {
		if score(i+1) > -z95 || i+1 == n {
			first = i
			break
		}
	}
	for i := n - 1; i >= 0; i-- {
		if score(i) < z95 || i == 0 {
			last = i
			break
		}
	}
	return float64(edges[min(first, last)]), float64(edges[max(first, last)+1])
}
