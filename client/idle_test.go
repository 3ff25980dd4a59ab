package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/slicemetry/slicemetry/client"
)

// A host that runs for weeks, records nothing and sends nothing ends its segment
// with the week, and keeps it no longer than any other.
func TestIdleHostForgets(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(dir, "127.0.0.1:1")
		cfg.UploadInterval = 10 * 365 * 24 * time.Hour
		c := granted(t, cfg)
		c.Record(numbered(0))
		time.Sleep(8 * 24 * time.Hour)
		if s := c.Status(); s.SpoolBatches != 1 || s.SpoolEvents != 1 {
			t.Errorf("a week later %d batches with %d events wait, want 1 and 1", s.SpoolBatches, s.SpoolEvents)
		}
		time.Sleep(37 * 24 * time.Hour)
		if s := c.Status(); s.SpoolEvents != 0 || s.Dropped != (client.Dropped{Expired: 1}) {
			t.Errorf("45 days later %d events wait, dropped %+v", s.SpoolEvents, s.Dropped)
		}
	})
}
