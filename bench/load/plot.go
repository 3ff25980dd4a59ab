package load

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The plot's size, and the margins of its axes.
const (
	plotWidth, plotHeight = 720, 360
	plotLeft, plotBottom  = 70, 50
	plotTop, plotRight    = 40, 20
	// plotNines is where the axis of percentiles ends: at 99.99.
	plotNines = 4.0
)

// Plot draws latencies over their percentiles as an SVG. The axis counts nines, as
// is usual for latencies, so that the slowest few are as visible as the many.
func Plot(title string, latencies []Latency) []byte {
	top := 1.0
	for _, l := range latencies {
		top = math.Max(top, l.Ms)
	}
	x := func(percentile float64) float64 {
		nines := math.Min(plotNines, -math.Log10(1-percentile/100))
		return plotLeft + nines/plotNines*(plotWidth-plotLeft-plotRight)
	}
	y := func(ms float64) float64 {
		return plotHeight - plotBottom - ms/top*(plotHeight-plotBottom-plotTop)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><title>%s</title><text x="%d" y="22" font-size="15">Acknowledgements: %[1]s</text>`+"\n", html.EscapeString(title), plotLeft)
	for i := range 5 {
		ms := top * float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f ms</text>`+"\n", plotLeft, y(ms), plotWidth-plotRight, plotLeft-8, y(ms)+4, ms)
	}
	for _, p := range []float64{0, 50, 90, 99, 99.9, 99.99} {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", x(p), plotHeight-plotBottom+18, p)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">percentile</text><polyline fill="none" stroke="#06c" stroke-width="2" points="`, (plotWidth+plotLeft)/2, plotHeight-10)
	for _, l := range latencies {
		fmt.Fprintf(&b, "%.1f,%.1f ", x(l.Percentile), y(l.Ms))
	}
	b.WriteString("\"/></svg>\n")
	return b.Bytes()
}
