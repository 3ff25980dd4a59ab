package host

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// opened opens a client that this machine's environment has no say in.
func opened(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	cfg.Dir = t.TempDir()
	cfg.SystemFile = filepath.Join(cfg.Dir, "none")
	cfg.Plaintext, cfg.Proxy, cfg.Getenv = true, client.NoProxy, func(string) string { return "" }
	c, err := client.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// granted is opened, and the user agrees.
func granted(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c := opened(t, cfg)
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	return c
}

// jobs are n outputs of one installation of a simulated fleet.
func jobs(t testing.TB, f *fleet.Fleet, i, n int) []*telemetryv1.Slice {
	t.Helper()
	var slices []*telemetryv1.Slice
	for week := period.Of(start); len(slices) < n; week += 7 {
		slices = append(slices, f.Week(i, week).Slices...)
	}
	return slices[:n]
}

// TestWireSize holds what a batch takes on the wire, after compression and
// without HTTP/2's own octets, to its bounds: the mean of many installations.
func TestWireSize(t *testing.T) {
	f := fleet.New(7, 40)
	for _, tt := range []struct {
		events int
		most   float64 // octets an event
	}{{1, 200}, {10, 50}, {100, 26}} {
		meter := &meter{}
		r := clienttest.StartWith(t, meter.option())
		raw := 0
		for i := range f.Size() {
			c := granted(t, client.Config{Endpoint: r.Addr()})
			for _, s := range jobs(t, f, i, tt.events) {
				c.Record(s)
			}
			requests, err := c.Preview()
			if err != nil || len(requests) != 1 {
				t.Fatalf("%d requests, %v", len(requests), err)
			}
			raw += len(requests[0].Octets)
			if err := c.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		n := f.Size() * tt.events
		each := float64(meter.octets.Load()) / float64(n)
		t.Logf("%3d events: %5.1f octets each on the wire, %5.1f before compression", tt.events, each, float64(raw)/float64(n))
		if len(r.Slices()) != n || each > tt.most {
			t.Errorf("%d of %d events arrived with %.1f octets each, want at most %g", len(r.Slices()), n, each, tt.most)
		}
	}
}
