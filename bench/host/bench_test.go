package host

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// BenchmarkRecord is what a slicer's own thread spends on one output, with the
// client's writer at work beside it.
func BenchmarkRecord(b *testing.B) {
	output := jobs(b, fleet.New(7, 1), 0, 1)[0]
	b.Run("off", func(b *testing.B) {
		c := opened(b, client.Config{Endpoint: "127.0.0.1:1"})
		b.ReportAllocs()
		for b.Loop() {
			c.Record(output)
		}
	})
	b.Run("on", func(b *testing.B) { benchmarkBursts(b, output, 500) })
}

// benchmarkBursts records some outputs at once, again and again, with a pause in
// between in which the writer comes to rest, and reports the quantiles of single calls.
func benchmarkBursts(b *testing.B, output *telemetryv1.Slice, burst int) {
	clock := clienttest.NewClock(start)
	c := granted(b, client.Config{Endpoint: "127.0.0.1:1", Now: clock.Now})
	var took []time.Duration
	b.ReportAllocs()
	for n := 0; n < b.N; n += burst {
		b.StopTimer()
		time.Sleep(5 * time.Millisecond)
		if n%5000 == 0 { // below a week's limit, so that each is written
			clock.Add(7 * 24 * time.Hour)
		}
		b.StartTimer()
		for range burst {
			begun := time.Now()
			c.Record(output)
			took = append(took, time.Since(begun))
		}
	}
	if d := c.Status().Dropped; d.QueueFull+d.TooMany+d.Disk > 0 {
		b.Fatalf("dropped %+v", d)
	}
	slices.Sort(took)
	for _, q := range []int{50, 90, 99} {
		b.ReportMetric(float64(took[len(took)*q/100].Nanoseconds()), fmt.Sprintf("p%d-ns", q))
	}
}

// BenchmarkClose ends a client with ten thousand queued events while it sends to
// a collector that does not answer.
func BenchmarkClose(b *testing.B) {
	r := clienttest.Start(b)
	output := jobs(b, fleet.New(7, 1), 0, 1)[0]
	for name, endpoint := range map[string]string{"absent": "127.0.0.1:1", "blackhole": clienttest.BlackHole(b), "hanging": r.Addr()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				r.Script(clienttest.Answer{Hang: true})
				c := granted(b, client.Config{Endpoint: endpoint})
				c.Record(output)
				flushed := make(chan error)
				go func() { flushed <- c.Flush(b.Context()) }()
				for range 9_999 {
					c.Record(output)
				}
				b.StartTimer()
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				<-flushed
				if d := c.Status().Dropped; d.QueueFull+d.TooMany+d.Disk > 0 {
					b.Fatalf("dropped %+v", d)
				}
				b.StartTimer()
			}
		})
	}
}
