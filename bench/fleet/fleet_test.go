package fleet

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules"
)

var week = period.Of(time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC))

func TestSameSeedSameWeek(t *testing.T) {
	a, b, c := New(7, 50), New(7, 50), New(8, 50)
	same := true
	for i := range 50 {
		wa, wb, wc := a.Week(i, week), b.Week(i, week), c.Week(i, week)
		if len(wa.Slices) != len(wb.Slices) {
			t.Fatalf("installation %d: %d and %d slices from one seed", i, len(wa.Slices), len(wb.Slices))
		}
		for j := range wa.Slices {
			if !proto.Equal(wa.Slices[j], wb.Slices[j]) {
				t.Fatalf("installation %d, slice %d differs between two runs of one seed", i, j)
			}
		}
		same = same && len(wa.Slices) == len(wc.Slices)
	}
	if same {
		t.Error("another seed gives the same fleet")
	}
}

// What a fleet reports is something that a slicer could report: the names are in
// the catalogue and every field of the protocol is used by somebody.
func TestSlicesAreReal(t *testing.T) {
	f := New(1, 500)
	used := map[string]bool{}
	slices := 0
	for i := range f.Size() {
		w := f.Week(i, week)
		slices += len(w.Slices)
		for _, s := range w.Slices {
			report := &rules.Report{}
			coarse := &telemetryv1.Slice{}
			rules.Coarsen(coarse, s, rules.Draw(i), report)
			for _, finding := range report.Findings {
				if finding.Action == rules.Generalised {
					t.Fatalf("%s is %s", finding.Field, finding.Reason)
				}
			}
			m := s.ProtoReflect()
			for k := range m.Descriptor().Fields().Len() {
				if fd := m.Descriptor().Fields().Get(k); m.Has(fd) {
					used[string(fd.Name())] = true
				}
			}
		}
	}
	fields := (&telemetryv1.Slice{}).ProtoReflect().Descriptor().Fields()
	for k := range fields.Len() {
		if name := string(fields.Get(k).Name()); !used[name] {
			t.Errorf("no installation reports %s", name)
		}
	}
	if slices < 500 || slices > 500*20 {
		t.Errorf("%d slices of 500 installations in a week", slices)
	}
}

func TestPopularityHasAHead(t *testing.T) {
	f := New(1, 5000)
	count := map[string]int{}
	for i := range f.Size() {
		count[f.installation(i).machine.ID]++
	}
	top := 0
	for _, n := range count {
		top = max(top, n)
	}
	if share := float64(top) / 5000; share < 0.1 || share > 0.3 {
		t.Errorf("the most popular of %d machines has a share of %.2f, want about a fifth", len(catalog.Machines()), share)
	}
	if len(count) < 200 {
		t.Errorf("only %d different machines", len(count))
	}
}
