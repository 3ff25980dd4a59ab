package client_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// What processes that live for a moment drop is still told by the next one, until
// the user takes the consent back.
func TestDroppedByAllProcesses(t *testing.T) {
	cfg := config(t.TempDir(), "127.0.0.1:1")
	granted(t, cfg).Close()
	for range 3 {
		c := open(t, cfg)
		c.Record(nil)
		for range 6_000 {
			c.Record(&telemetryv1.Slice{})
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c, want := open(t, cfg), client.Dropped{Nil: 3, TooMany: 8_000}
	if got := c.Status().Dropped; got != want {
		t.Errorf("dropped %+v, want %+v", got, want)
	}
	c.Record(nil) // told at once, counted once
	want.Nil++
	if got := c.Status().Dropped; got != want {
		t.Errorf("with its own dropped %+v, want %+v", got, want)
	}
	c.Record(numbered(0))
	want.TooMany++
	await(t, "the writer told", func() bool { return open(t, cfg).Status().Dropped == want })
	c.Record(nil) // not told by anybody yet
	if err := c.Refuse(); err != nil {
		t.Fatal(err)
	}
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	if got := c.Status().Dropped; got != (client.Dropped{}) {
		t.Errorf("after a refusal dropped %+v", got)
	}
}

// Somebody removes the spool while events are written to it: they are counted, also
// after the process has ended.
func TestRemovedIsCounted(t *testing.T) {
	cfg := config(t.TempDir(), "127.0.0.1:1")
	c := granted(t, cfg)
	for i := range 10 {
		c.Record(numbered(i))
	}
	await(t, "they are stored", func() bool { return c.Status().SpoolEvents == 10 })
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "spool")); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(10))
	await(t, "the next one is stored", func() bool { return c.Status().SpoolEvents == 1 })
	if got := c.Status().Dropped; got != (client.Dropped{Removed: 10}) {
		t.Errorf("dropped %+v, want 10 removed", got)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "spool")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil { // which finds out
		t.Fatal(err)
	}
	if got := open(t, cfg).Status().Dropped; got != (client.Dropped{Removed: 1}) {
		t.Errorf("the next process tells of %+v, want the one that was removed with the count of 10", got)
	}
}

// What is damaged is counted once, however many processes meet it.
func TestDamageIsCountedOnce(t *testing.T) {
	flip := func(t *testing.T, path string) {
		t.Helper()
		octets, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		octets[len(octets)-1] ^= 1
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, suffix string
		damage       func(t *testing.T, path string)
		want         int
	}{
		{"a batch", ".batch", flip, 1},
		{"a token", ".token", flip, 1 + 3}, // and the events of its week
		{"what a dead process left", ".batch", func(t *testing.T, path string) {
			flip(t, path)
			if err := os.Rename(path, filepath.Join(filepath.Dir(path), "DEAD-1.open")); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t.TempDir(), "127.0.0.1:1")
			c := granted(t, cfg)
			c.Record(numbered(0))
			c.Record(numbered(1))
			if _, err := c.Preview(); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			paths, err := filepath.Glob(filepath.Join(cfg.Dir, "spool", "*"+tt.suffix))
			if err != nil || len(paths) != 1 {
				t.Fatalf("%q, %v", paths, err)
			}
			tt.damage(t, paths[0])
			for process := range 3 {
				c := open(t, cfg)
				if process == 0 {
					c.Record(numbered(2)) // and seals what the dead left
				} else if _, err := c.Preview(); err != nil {
					t.Fatal(err)
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if got := open(t, cfg).Status().Dropped; got != (client.Dropped{Damaged: tt.want}) {
				t.Errorf("dropped %+v, want %d damaged", got, tt.want)
			}
		})
	}
}

// A count of something old does not make a folder that nobody agreed to.
func TestNothingIsToldWithoutConsent(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	c.Record(numbered(0))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	clock.Add(45 * 24 * time.Hour)
	cfg.PolicyVersion = 2
	asked := open(t, cfg)
	if got := asked.Status().Dropped; got != (client.Dropped{Expired: 1}) {
		t.Errorf("dropped %+v, want 1 expired", got)
	}
	if err := asked.Close(); err != nil {
		t.Fatal(err)
	}
	if files := spoolFiles(t, cfg.Dir); len(files) != 0 {
		t.Errorf("there are %s", files)
	}
}
