package stack

import (
	"strings"
	"testing"
)

func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader(`# HELP x text
# TYPE slicemetry_events_received_total counter
slicemetry_events_received_total 100
slicemetry_events_stored_total 90
slicemetry_events_rejected_total{reason="malformed"} 3
slicemetry_events_rejected_total{reason="a b"} 2
slicemetry_events_shed_total 4
slicemetry_events_failed_total 1e0
slicemetry_events_rejected_total_of_another 50
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Accounting{Received: 100, Stored: 90, Rejected: 5, Shed: 4, Failed: 1}
	if got := m.Accounting(); got != want || !got.Balanced() {
		t.Errorf("%+v, balanced %t, want %+v", got, got.Balanced(), want)
	}
	m["slicemetry_events_stored_total"]--
	if m.Accounting().Balanced() {
		t.Error("books that lack an event balance")
	}
	if _, err := parseMetrics(strings.NewReader("not a metric\n")); err == nil {
		t.Error("nonsense is parsed")
	}
}
