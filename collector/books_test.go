package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// A batch that finds no room in memory is sent away for now, and booked as that.
func TestShedIsBooked(t *testing.T) {
	r := start(t, func(cfg *collector.Config) { cfg.FlushRows, cfg.MaxPending = 10, 10 })
	client := r.client(t)
	resume := r.stuck(t, client, 8)
	_, err := client.Upload(t.Context(), request(3))
	if status.Code(err) != codes.ResourceExhausted || retryDelay(err) == 0 {
		t.Errorf("%v, want ResourceExhausted with a time to come back", err)
	}
	if err := resume(); err != nil {
		t.Errorf("the batch that waited: %v", err)
	}
	if shed := r.metric(t, "slicemetry_events_shed_total"); shed != "3" {
		t.Errorf("%s events are booked as sent away, want 3", shed)
	}
	r.balanced(t)
}

// Without its week's key a batch has no pseudonym: it is not stored under another, its
// client keeps it, and the operator is told.
func TestDamagedKeyIsBooked(t *testing.T) {
	r := start(t, func(cfg *collector.Config) {
		key := filepath.Join(cfg.KeyDir, period.Of(time.Now()).String()+".key")
		if err := os.WriteFile(key, []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := r.client(t).Upload(t.Context(), request(3)); status.Code(err) != codes.Unavailable {
		t.Errorf("%v, want Unavailable", err)
	}
	if failed := r.metric(t, "slicemetry_events_failed_total"); failed != "3" {
		t.Errorf("%s events are booked as failed, want 3", failed)
	}
	if !strings.Contains(r.log.String(), "no pseudonym") {
		t.Errorf("the log does not tell of it: %s", r.log)
	}
	if n := r.rows(t); n != 0 {
		t.Errorf("%d rows are stored", n)
	}
	r.balanced(t)
}

// What one client did not make coarse is counted once, though the memory that notes it
// serves the next clients too.
func TestCorrectionsAreCountedOnce(t *testing.T) {
	r := start(t, nil)
	client := r.client(t)
	wrong := request(1)
	wrong.Batch.Slices[0].Machine = "/home/alice/my printer"
	for _, q := range []*collectorv1.UploadRequest{wrong, request(1), request(1), request(1)} {
		if _, err := client.Upload(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.metric(t, `slicemetry_corrected_total{action="generalised",field="machine"}`); n != "1" {
		t.Errorf("%s corrections of a machine are counted, want 1", n)
	}
}
