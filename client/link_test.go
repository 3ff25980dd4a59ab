package client_test

import (
	"maps"
	"math"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client/clienttest"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// Two weeks never share a connection: who sees it would know that they are of
// one installation.
func TestOneWeekAConnection(t *testing.T) {
	r := clienttest.Start(t)
	c, _ := weeks(t, r, 3, 250, false)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 750)
	weekOf := map[string]uint32{}
	connections := r.Connections()
	for i, q := range r.Requests() {
		if week, known := weekOf[connections[i]]; known && week != q.Batch.Period {
			t.Errorf("weeks %d and %d came over one connection", week, q.Batch.Period)
		}
		weekOf[connections[i]] = q.Batch.Period
	}
	if len(weekOf) != 3 {
		t.Errorf("%d connections for 3 weeks", len(weekOf))
	}
}

// Installations that record the same in two weeks cannot be matched by what they
// send: the octets of one week that differ between installations, its token and
// batch id, say nothing about those of the next. For each installation the
// others' requests of the second week are ranked by their distance in bits from
// its own of the first; if anything were carried over, its own would be nearer
// than chance. The mean rank of 60 fails by chance at 5 standard errors: 6e-7.
func TestWeeksCannotBeLinked(t *testing.T) {
	const n = 60
	first, second := make([][]byte, n), make([][]byte, n)
	seen := map[string]bool{}
	for i := range n {
		r := clienttest.Start(t)
		clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
		cfg := config(t.TempDir(), r.Addr())
		cfg.Now = clock.Now
		c := granted(t, cfg)
		for range 2 {
			c.Record(numbered(7))
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			clock.Add(7 * 24 * time.Hour)
		}
		requests := r.Requests()
		first[i], second[i] = identifying(requests[0]), identifying(requests[1])
		for _, q := range requests {
			for _, random := range []string{string(q.Batch.UnitToken), string(q.Batch.BatchId)} {
				if seen[random] {
					t.Error("a random number appears twice")
				}
				seen[random] = true
			}
		}
	}
	sum := 0.0
	for i := range n {
		own, rank := distance(first[i], second[i]), 0.0
		for j := range n {
			switch d := distance(first[i], second[j]); {
			case j == i:
			case d < own:
				rank++
			case d == own:
				rank += 0.5
			}
		}
		sum += rank
	}
	mean, want := sum/n, float64(n-1)/2
	// The variance of a uniform rank on 0..n-1, of a mean of n of them.
	standardError := math.Sqrt(float64(n*n-1) / 12 / n)
	if math.Abs(mean-want) > 5*standardError {
		t.Errorf("the mean rank of an installation's own is %.1f, want %.1f ± %.1f", mean, want, 5*standardError)
	}
}

// identifying is what differs between requests that carry the same events.
func identifying(q *collectorv1.UploadRequest) []byte {
	return append(append([]byte{}, q.Batch.UnitToken...), q.Batch.BatchId...)
}

func distance(a, b []byte) (d int) {
	for i := range a {
		d += bits.OnesCount8(a[i] ^ b[i])
	}
	return d
}

// Of many changed settings, a week's events show the same four, whichever process
// records them: the whole set would be a fingerprint. Another week, and another
// installation, shows others, and the secret behind it is never sent.
func TestAWeekShowsOneSample(t *testing.T) {
	changed := catalog.Values("setting")[:60]
	r := clienttest.Start(t)
	shown := map[string]bool{} // samples of four
	const installations, weeks = 3, 3
	for range installations {
		clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
		cfg := config(t.TempDir(), r.Addr())
		cfg.Now = clock.Now
		granted(t, cfg)
		for range weeks {
			seen := map[string]bool{}
			for range 2 { // processes
				before := len(r.Requests())
				c := open(t, cfg)
				for range 20 {
					c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5", ChangedSettings: changed})
				}
				if err := c.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, q := range r.Requests()[before:] {
					for _, s := range q.Batch.Slices {
						seen[strings.Join(s.ChangedSettings, " ")] = true
					}
				}
			}
			if len(seen) != 1 {
				t.Errorf("a week shows %d samples, want 1", len(seen))
			}
			maps.Copy(shown, seen)
			clock.Add(7 * 24 * time.Hour)
		}
	}
	// Two of nine samples of 4 out of 60 are the same once in 10^4 runs.
	if len(shown) < installations*weeks-1 {
		t.Errorf("%d samples of %d installations in %d weeks", len(shown), installations, weeks)
	}
}
