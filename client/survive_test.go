package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// panicking is a host's log that fails.
type panicking struct{}

func (panicking) Enabled(context.Context, slog.Level) bool  { return true }
func (panicking) Handle(context.Context, slog.Record) error { panic("the host's handler") }
func (p panicking) WithAttrs([]slog.Attr) slog.Handler      { return p }
func (p panicking) WithGroup(string) slog.Handler           { return p }

// The writer survives a panic, tells how many events it cost, and goes on.
func TestWriterSurvives(t *testing.T) {
	r := clienttest.Start(t)
	cfg := config(t.TempDir(), r.Addr())
	cfg.Logger = slog.New(panicking{})
	obstacle := filepath.Join(cfg.Dir, "spool")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil { // the writer logs that it cannot store
		t.Fatal(err)
	}
	c := granted(t, cfg)
	const n = 100
	for i := range n {
		c.Record(numbered(i))
	}
	await(t, "the writer met the obstacle", func() bool { return c.Status().Dropped.Disk == n })
	if d := c.Status().Dropped; d.Defect < 1 || d.Defect > n/2 { // one each time that it wrote
		t.Errorf("dropped %+v: what is counted for the disk is counted again", d)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// What the writer has in hand when it panics is counted, each event once.
func TestWriterCountsWhatAPanicCosts(t *testing.T) {
	var armed atomic.Bool
	cfg := config(t.TempDir(), "127.0.0.1:1")
	cfg.Getenv = func(string) string {
		if armed.CompareAndSwap(true, false) {
			panic("the host's environment")
		}
		return ""
	}
	c := granted(t, cfg)
	c.Record(numbered(0))
	await(t, "both goroutines wait", func() bool {
		_, err := os.Lstat(filepath.Join(cfg.Dir, "schedule.json"))
		return err == nil && c.Status().SpoolEvents == 1
	})
	armed.Store(true)
	const n = 100
	for i := range n {
		c.Record(numbered(i))
	}
	await(t, "it panics", func() bool { return !armed.Load() })
	if _, err := c.Preview(); err != nil {
		t.Fatal(err)
	}
	if s := c.Status(); s.Dropped.Defect < 1 || s.SpoolEvents+int(s.Dropped.Defect) != n+1 {
		t.Errorf("%d events are kept, dropped %+v", s.SpoolEvents, s.Dropped)
	}
}

// The goroutine that uploads survives a panic, and tries again.
func TestUploaderSurvives(t *testing.T) {
	clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
	cfg := config(t.TempDir(), "nowhere")
	cfg.Logger = slog.New(panicking{}) // which it tells that this is no endpoint
	cfg.UploadInterval = time.Nanosecond
	cfg.Now = func() time.Time { // so that it is always time to
		clock.Add(10 * time.Minute)
		return clock.Now()
	}
	before, _ := client.Open(cfg)
	if err := errors.Join(before.Grant(1), before.Close()); err != nil {
		t.Fatal(err)
	}
	due(t, cfg, clock.Now())
	c, _ := client.Open(cfg)
	defer c.Close()
	c.Record(numbered(0))
	await(t, "it failed twice", func() bool { return c.Status().Dropped.Defect >= 2 })
}

// Whatever a host calls returns when what the host gave panics.
func TestMethodsSurvive(t *testing.T) {
	var broken atomic.Bool
	cfg := config(t.TempDir(), "127.0.0.1:1")
	cfg.Getenv = func(string) string {
		if broken.Load() {
			panic("the host's environment")
		}
		return ""
	}
	cfg.Now = func() time.Time {
		if broken.Load() {
			panic("the host's clock")
		}
		return time.Now()
	}
	c := granted(t, cfg)
	broken.Store(true)
	if failed, err := client.Open(cfg); err == nil || failed != nil {
		t.Errorf("Open() = %v, %v", failed, err)
	}
	c.Record(numbered(0))
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: 1})
	if c.Consent().State != client.Unknown || c.Status().Consent.State != client.Unknown {
		t.Errorf("the decision is %+v", c.Consent())
	}
	for name, f := range map[string]func() error{
		"Grant":       func() error { return c.Grant(1) },
		"Flush":       func() error { return c.Flush(t.Context()) },
		"UploadIfDue": func() error { return c.UploadIfDue(t.Context()) },
		"Preview":     func() error { _, err := c.Preview(); return err },
		"Erase":       func() error { _, err := c.Erase(t.Context()); return err },
		"Refuse":      func() error { return c.Refuse() },
	} {
		if err := f(); err == nil {
			t.Errorf("%s() works", name)
		}
	}
	if err := c.Export(io.Discard, client.CSV); err != nil {
		t.Error(err)
	}
	broken.Store(false)
	if d := c.Status().Dropped; d.Defect < 10 {
		t.Errorf("dropped %+v", d)
	}
	if err := c.Grant(1); err != nil {
		t.Error(err)
	}
}
