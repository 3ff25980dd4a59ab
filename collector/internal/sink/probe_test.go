package sink

import (
	"errors"
	"testing"
	"time"
)

// A database that was restarted since it was asked last is ready the first time
// that it is asked again.
func TestProbeOfARestartedDatabase(t *testing.T) {
	b := start(t, nil)
	p := NewProbe(b.cfg.Database)
	defer p.Close()
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.db.Kill(), b.db.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	time.Sleep(probeEvery) // for as long as an answer holds
	if err := p.Ready(); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
