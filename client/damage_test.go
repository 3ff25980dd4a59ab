package client_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// A bit of the week's random number flips between a batch whose acknowledgement
// is lost and its repetition: nothing is stored twice, as of two installations,
// and what is not sent any more is counted.
func TestDamagedToken(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	c.Record(numbered(0))
	r.Script(clienttest.Answer{Lose: true})
	if err := c.Flush(t.Context()); err == nil {
		t.Fatal("the acknowledgement arrived")
	}
	paths, err := filepath.Glob(filepath.Join(cfg.Dir, "spool", "*.token"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%d tokens, %v", len(paths), err)
	}
	token, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	token[3] ^= 1
	if err := os.WriteFile(paths[0], token, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(1)) // of the same week
	clock.Add(48 * time.Hour)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := c.Status(); s.Dropped != (client.Dropped{Damaged: 1 + 2}) || s.SpoolEvents != 0 {
		t.Errorf("%d events wait, dropped %+v, want the token and two events", s.SpoolEvents, s.Dropped)
	}
	clock.Add(7 * 24 * time.Hour)
	c.Record(numbered(2))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Slices()); n != 2 {
		t.Errorf("%d events arrived, want the first one and the next week's", n)
	}
}
