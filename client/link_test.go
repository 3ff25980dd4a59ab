package client_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
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
// send: what of a request differs between installations, its random numbers and the
// changed settings that it shows, says nothing about the next week's. For each
// installation the others' requests of the second week are ranked by how much they
// resemble its own of the first; if anything were carried over, its own would be
// nearer than chance. Each mean rank of 60 fails by chance at 5 standard errors:
// 6e-7.
func TestWeeksCannotBeLinked(t *testing.T) {
	const n = 60
	first, second := make([]*telemetryv1.Batch, n), make([]*telemetryv1.Batch, n)
	seen := map[string]bool{}
	for i := range n {
		r := clienttest.Start(t)
		cfg, clock := clocked(t.TempDir(), r.Addr())
		granted(t, cfg)
		first[i] = sendWeek(t, cfg, r)
		clock.Add(7 * 24 * time.Hour)
		second[i] = sendWeek(t, cfg, r)
		for _, random := range [][]byte{first[i].UnitToken, first[i].BatchId, second[i].UnitToken, second[i].BatchId,
			difference(first[i].UnitToken, second[i].UnitToken)} {
			if seen[string(random)] {
				t.Error("a random number, or its step to the next week's, appears twice")
			}
			seen[string(random)] = true
		}
	}
	for name, unlike := range map[string]func(a, b *telemetryv1.Batch) int{
		"random numbers": func(a, b *telemetryv1.Batch) int {
			return turned(append(slices.Clone(a.UnitToken), a.BatchId...), append(slices.Clone(b.UnitToken), b.BatchId...))
		},
		"tokens": func(a, b *telemetryv1.Batch) int { return turned(a.UnitToken, b.UnitToken) },
		"changed settings": func(a, b *telemetryv1.Batch) int {
			return -common(a.Slices[0].ChangedSettings, b.Slices[0].ChangedSettings)
		},
	} {
		mean, want := meanRank(first, second, unlike), float64(n-1)/2
		// The variance of a uniform rank on 0..n-1, of a mean of n of them.
		standardError := math.Sqrt(float64(n*n-1) / 12 / n)
		if math.Abs(mean-want) > 5*standardError {
			t.Errorf("by %s the mean rank of an installation's own is %.1f, want %.1f ± %.1f", name, mean, want, 5*standardError)
		}
	}
}

// sendWeek records one output as a process of its own, with many changed settings,
// and returns what is sent of it.
func sendWeek(t *testing.T, cfg client.Config, r *clienttest.Recorder) *telemetryv1.Batch {
	t.Helper()
	c := open(t, cfg)
	c.Record(fullEvent())
	if err := errors.Join(c.Flush(t.Context()), c.Close()); err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	return requests[len(requests)-1].Batch
}

// fullEvent has a value in every field, and 60 changed settings.
func fullEvent() *telemetryv1.Slice {
	yes := telemetryv1.Flag_FLAG_YES
	return &telemetryv1.Slice{
		Machine: "ultimaker_s5", MachineSettingsChanged: yes, ExtruderCount: 2,
		Extruders: []*telemetryv1.Extruder{
			{MaterialType: "PLA", MaterialBrand: "Generic", UsedMg: 12_400, UsedMm: 4000, NozzleUm: 400},
			{MaterialType: "PVA", MaterialBrand: "Generic", UsedMg: 1200, UsedMm: 400, NozzleUm: 400},
		},
		LayerHeightUm: 200, WallCount: proto.Uint32(3), InfillDensityPercent: proto.Uint32(20),
		InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_GYROID, GradualInfillSteps: proto.Uint32(1), Support: yes,
		Adhesion: telemetryv1.Adhesion_ADHESION_BRIM, PrimeTower: yes, Retraction: yes,
		PrintSequence:            telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		NozzleTemperatureCelsius: 205, BedTemperatureCelsius: 60, SpeedMmPerS: 70,
		Intent: "default", Quality: "normal", Mode: telemetryv1.Mode_MODE_CUSTOM,
		ChangedSettings: catalog.Values("setting")[:60], ChangedSettingsCount: proto.Uint32(60),
		Application: "cura", VersionMajor: 5, VersionMinor: 8, OperatingSystem: telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX,
		Language: "de", Output: telemetryv1.OutputKind_OUTPUT_KIND_FILE, ModelCount: 2, PrintTimeS: 7777, SlicingTimeMs: 8000,
	}
}

// meanRank is the mean of the places that installations' own requests have among
// all, the most alike first.
func meanRank(first, second []*telemetryv1.Batch, unlike func(a, b *telemetryv1.Batch) int) float64 {
	sum := 0.0
	for i := range first {
		own := unlike(first[i], second[i])
		for j := range second {
			switch d := unlike(first[i], second[j]); {
			case j == i:
			case d < own:
				sum++
			case d == own:
				sum += 0.5
			}
		}
	}
	return sum / float64(len(first))
}

// turned is the least distance in bits of two numbers, one of which may be turned
// by any number of octets.
func turned(a, b []byte) int {
	least := 8 * len(a)
	for range a {
		a = append(a[1:len(a):len(a)], a[0])
		d := 0
		for i := range a {
			d += bits.OnesCount8(a[i] ^ b[i])
		}
		least = min(least, d)
	}
	return least
}

func difference(a, b []byte) []byte {
	d := make([]byte, len(a))
	for i := range a {
		d[i] = a[i] ^ b[i]
	}
	return d
}

func common(a, b []string) (n int) {
	for _, s := range a {
		if slices.Contains(b, s) {
			n++
		}
	}
	return n
}

// Nothing on a device decides what later weeks look like, so nobody who holds it
// can link them: two copies of one device share no random number and show other
// settings, from the week after the next on. Whatever is derived from something kept
// would be the same on both. Samples of 4 out of 60 are the same in one of 487,635
// pairs.
func TestCopiesOfADeviceGoDifferentWays(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	granted(t, cfg)
	sendWeek(t, cfg, r)
	copied := cfg
	copied.Dir = t.TempDir()
	if err := os.CopyFS(copied.Dir, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	for week := range 3 {
		clock.Add(7 * 24 * time.Hour)
		a, b := sendWeek(t, cfg, r), sendWeek(t, copied, r)
		if bytes.Equal(a.UnitToken, b.UnitToken) || bytes.Equal(a.BatchId, b.BatchId) {
			t.Errorf("week %d: a random number follows from what is kept", week)
		}
		// This week's draw lay there when the device was copied.
		if week > 0 && slices.Equal(a.Slices[0].ChangedSettings, b.Slices[0].ChangedSettings) {
			t.Errorf("week %d: the settings shown follow from what is kept", week)
		}
	}
}

// Record does not touch the disk for a week's draw. An event of a week that is not
// known yet shows no changed settings; when the first of it is written, it is.
func TestAWeekWithoutADrawShowsLess(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	for _, tt := range []struct {
		later time.Duration
		shown int
	}{{0, 4}, {7 * 24 * time.Hour, 4}, {14 * 24 * time.Hour, 0}, {0, 4}} {
		clock.Add(tt.later)
		c.Record(fullEvent())
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		requests := r.Requests()
		s := requests[len(requests)-1].Batch.Slices[0]
		if len(s.ChangedSettings) != tt.shown || s.GetChangedSettingsCount() != 32 {
			t.Errorf("%s later %d changed settings are shown of %d, want %d", tt.later, len(s.ChangedSettings), s.GetChangedSettingsCount(), tt.shown)
		}
	}
}

// Who has a week erased goes on as somebody else: what is recorded of the same week
// afterwards shows another sample, also what another process recorded before.
func TestErasureEndsASample(t *testing.T) {
	r := clienttest.Start(t)
	cfg := config(t.TempDir(), r.Addr())
	c, other := granted(t, cfg), granted(t, cfg)
	before := sendWeek(t, cfg, r).Slices[0].ChangedSettings
	if _, err := c.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.Record(fullEvent()) // by the draw that it knows
	if err := other.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	if shown := requests[len(requests)-1].Batch.Slices[0].ChangedSettings; len(shown) != 0 {
		t.Errorf("what another process drew before shows %v", shown)
	}
	if after := sendWeek(t, cfg, r).Slices[0].ChangedSettings; slices.Equal(after, before) || len(after) != 4 {
		t.Errorf("before and after the erasure %v is shown", after)
	}
}

// Of many changed settings, a week's events show the same four, whichever process
// records them: the whole set would be a fingerprint. Another week, and another
// installation, shows others.
func TestAWeekShowsOneSample(t *testing.T) {
	changed := catalog.Values("setting")[:60]
	r := clienttest.Start(t)
	shown := map[string]bool{} // samples of four
	const installations, weeks = 3, 3
	for range installations {
		cfg, clock := clocked(t.TempDir(), r.Addr())
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
