package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slicemetry/slicemetry/client"
)

// due makes the next upload one that is due at a time, as an earlier run of a slicer
// leaves it.
func due(t *testing.T, cfg client.Config, at time.Time) {
	t.Helper()
	writeJSON(t, filepath.Join(cfg.Dir, "schedule.json"), map[string]any{"next": at, "failures": 0, "protocol": 1})
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A client that may not send while its time passes waits until it may. One that
// looks again and again would keep this test's time from passing at all.
func TestWaitsWhileStopped(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, cfg client.Config){
		"paused": func(t *testing.T, cfg client.Config) {
			writeJSON(t, filepath.Join(cfg.Dir, "collector.json"), map[string]any{"paused_until": time.Now().Add(30 * 24 * time.Hour)})
		},
		"a new policy": func(t *testing.T, cfg client.Config) {
			writeJSON(t, filepath.Join(cfg.Dir, "collector.json"), map[string]any{"policy": 2})
		},
		"switched off by the system": func(t *testing.T, cfg client.Config) {
			writeJSON(t, cfg.SystemFile, map[string]any{"telemetry": "off"})
		},
		"refused elsewhere": func(t *testing.T, cfg client.Config) {
			writeJSON(t, filepath.Join(cfg.Dir, "consent.json"), map[string]any{"format": 1, "state": "refused", "date": "2026-11-04"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const enough = 10_000
				var looks atomic.Int64 // at the clock
				cfg := config(t.TempDir(), "127.0.0.1:1")
				cfg.Now = func() time.Time {
					if looks.Add(1) > enough {
						runtime.Goexit() // ends the goroutine that does not wait
					}
					return time.Now()
				}
				granted(t, cfg)
				due(t, cfg, time.Now().Add(time.Hour))
				stop(t, cfg)
				time.Sleep(48 * time.Hour)
				if n := looks.Load(); n > enough {
					t.Errorf("it looks %d times whether it may send", n)
				}
			})
		})
	}
}

// In the first minutes of a slicer's life nothing is sent, although it is time to,
// nor in the minutes after an attempt; afterwards it is, at a time that does not
// follow from the start. (No attempt of this client's gets as far as a socket.)
func TestQuietStart(t *testing.T) {
	first := map[time.Duration]bool{}
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			var attempts attemptTimes
			cfg := config(t.TempDir(), "nowhere")
			cfg.Logger = slog.New(&attempts)
			before, _ := client.Open(cfg)
			err := before.Grant(1)
			before.Record(numbered(0))
			if err := errors.Join(err, before.Close()); err != nil {
				t.Fatal(err)
			}
			due(t, cfg, time.Now().Add(-time.Hour))
			last := time.Now()
			c, _ := client.Open(cfg)
			defer c.Close()
			time.Sleep(time.Hour)
			attempts.mu.Lock()
			defer attempts.mu.Unlock()
			if len(attempts.at) < 5 {
				t.Fatalf("%d attempts in an hour", len(attempts.at))
			}
			first[attempts.at[0].Sub(last).Round(time.Second)] = true
			for _, at := range attempts.at {
				if waited := at.Sub(last); waited < 5*time.Minute || waited > 10*time.Minute {
					t.Errorf("it sends after %s", waited)
				}
				last = at
			}
		})
	}
	if len(first) < 3 { // 5 draws of 300 seconds hold less than 3 different ones once in 3,000,000 runs
		t.Errorf("the first attempts come after %v", first)
	}
}

// attemptTimes is a log of when an upload did not work.
type attemptTimes struct {
	mu sync.Mutex
	at []time.Time // guarded by mu
}

func (l *attemptTimes) Enabled(context.Context, slog.Level) bool { return true }
func (l *attemptTimes) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *attemptTimes) WithGroup(string) slog.Handler            { return l }
func (l *attemptTimes) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Message != "not sent" {
		return nil
	}
	if l.at = append(l.at, r.Time); len(l.at) > 100 {
		runtime.Goexit() // ends the goroutine that does not wait
	}
	return nil
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}
