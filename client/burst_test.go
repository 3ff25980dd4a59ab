package client_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Of a week's limit of full events in one burst the queue drops none; the spool
// keeps as many as its cap allows, and counts the others.
func TestBurst(t *testing.T) {
	const n = 10_000
	cfg := config(t.TempDir(), "127.0.0.1:1")
	c := granted(t, cfg)
	event := fullEvent()
	for range n {
		c.Record(event)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s := c.Status()
	t.Logf("%d kept in %d octets, %d above the cap", s.SpoolEvents, s.SpoolBytes, s.Dropped.Capped)
	if want := (client.Dropped{Capped: s.Dropped.Capped}); s.Dropped != want || s.SpoolEvents+s.Dropped.Capped != n {
		t.Errorf("%d events are kept, dropped %+v", s.SpoolEvents, s.Dropped)
	}
	if s.SpoolEvents < 6_000 {
		t.Errorf("%d events are kept, want what 2 MiB hold", s.SpoolEvents)
	}
}

// While the writer stores nothing the queue takes a week's limit of full events, its
// memory is bounded, and what does not fit is counted.
func TestQueueIsBounded(t *testing.T) {
	for _, tt := range []struct {
		recorded int
		full     bool
	}{{10_000, false}, {20_000, true}} {
		var gate sync.RWMutex
		cfg := config(t.TempDir(), "127.0.0.1:1")
		cfg.Getenv = func(string) string { // which the writer asks before it writes
			gate.RLock()
			defer gate.RUnlock()
			return ""
		}
		c := granted(t, cfg)
		event := fullEvent()
		gate.Lock()
		c.Record(event)
		await(t, "the writer waits", func() bool { return strings.Contains(stacks(), "(*writer).write") })
		for range tt.recorded - 1 {
			c.Record(event)
		}
		gate.Unlock()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		d := c.Status().Dropped
		if d.QueueFull > 0 != tt.full || d.TooMany > 0 != (tt.recorded-int(d.QueueFull) > 10_000) {
			t.Errorf("of %d events %+v are dropped", tt.recorded, d)
		}
		if kept := c.Status().SpoolEvents; kept+d.Capped+int(d.QueueFull+d.TooMany) != tt.recorded {
			t.Errorf("%d events of %d are kept, dropped %+v", kept, tt.recorded, d)
		}
	}
}

// A week's limit holds over processes, for what is kept and what was sent, and the
// next week has its own.
func TestWeekLimit(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	granted(t, cfg)
	sent := 0
	for i, tt := range []struct{ recorded, dropped int }{{6000, 0}, {6000, 2000}, {10, 10}} {
		c := open(t, cfg)
		for range tt.recorded {
			c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
		}
		if i > 0 {
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		sent += tt.recorded - tt.dropped
		if n := len(r.Slices()); i > 0 && n != sent {
			t.Errorf("process %d: %d events were sent in all, want %d", i+1, n, sent)
		}
	}
	clock.Add(7 * 24 * time.Hour)
	c := open(t, cfg)
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil || len(r.Slices()) != 10_001 {
		t.Errorf("in the next week %v with %d events in all, want 10,001", err, len(r.Slices()))
	}
}
