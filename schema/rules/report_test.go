package rules

import "testing"

// A report is bounded, and what a large one needed is not kept.
func TestReportIsBounded(t *testing.T) {
	r := &Report{}
	for range 10 * maxFindings {
		r.Add("changed_settings", Dropped, reasonNotListed)
	}
	if len(r.Findings) != maxFindings {
		t.Errorf("%d findings, want %d", len(r.Findings), maxFindings)
	}
	r.Reset()
	if len(r.Findings) != 0 || cap(r.Findings) > keptFindings {
		t.Errorf("%d findings and room for %d are kept", len(r.Findings), cap(r.Findings))
	}
	for range keptFindings / 2 {
		r.Add("machine", Generalised, reasonNotListed)
	}
	if room := cap(r.Findings); room > keptFindings {
		t.Errorf("room for %d", room)
	}
	if n := testing.AllocsPerRun(10, func() {
		r.Reset()
		r.Add("machine", Generalised, reasonNotListed)
	}); n != 0 {
		t.Errorf("%g allocations for a report of ordinary size, want none", n)
	}
}
