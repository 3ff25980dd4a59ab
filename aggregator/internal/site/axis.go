package site

import (
	"math"
	"strings"
)

// axis maps stored numbers to percentages.
type axis struct {
	low, high float64
	full      float64 // where high is
}

// newAxis makes an axis from low to high. A range of nothing is made one.
func newAxis(low, high, full float64) axis {
	if !(high > low) {
		high = low + 1
	}
	return axis{low, high, full}
}

// place returns where a number is, at the end of the axis if it is beyond it.
func (a axis) place(v int64) float64 { return a.at(float64(v)) }

func (a axis) at(v float64) float64 {
	return min(100, max(0, a.full*(v-a.low)/(a.high-a.low)))
}

// Tick is a line across a chart with its number. Top is a percentage from above.
type Tick struct {
	Top   float64
	Label string
}

// wantedTicks is how many lines a chart should have about.
const wantedTicks = 4

// ticks returns lines at round numbers in the unit, which is a scale-th of what is
// stored and which say writes. Zero has a line of its own and no number.
func (a axis) ticks(scale float64, say func(float64) string) []Tick {
	step := roundStep((a.high-a.low)/scale/wantedTicks) * scale
	var list []Tick
	for v := math.Ceil(a.low/step) * step; v <= a.high; v += step {
		if v != 0 {
			list = append(list, Tick{100 - a.at(v), say(v / scale)})
		}
	}
	return list
}

// roundStep returns the smallest of 1, 2, 5 times a power of ten that is at least v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= v {
			return factor * power
		}
	}
	return 10 * power
}

// Mark is a label below a chart. X is a percentage.
type Mark struct {
	X      float64
	Anchor string // start, middle, end: which part of the text is at X
	Text   string
}

// newMark makes the i-th of n labels, the outer ones inside of the chart.
func newMark(x float64, text string, i, n int) Mark {
	switch {
	case n > 1 && i == 0:
		return Mark{0, "start", text}
	case n > 1 && i == n-1:
		return Mark{100, "end", text}
	}
	return Mark{x, "middle", text}
}

// roundUnit is what round numbers of a column are multiples of, on an axis that goes
// up to high: nobody reads 1 h 23, 2 h 47, 4 h 10 as even steps.
func roundUnit(column string, high float64) float64 {
	second := 0.0
	switch {
	case strings.HasSuffix(column, "_per_s"):
	case strings.HasSuffix(column, "_ms"):
		second = 1000
	case strings.HasSuffix(column, "_s"):
		second = 1
	}
	switch {
	case second == 0:
		return 1
	case high >= 3*3600*second:
		return 3600 * second
	case high >= 3*60*second:
		return 60 * second
	}
	return second
}
