package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// due makes what is in a folder due.
func due(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "schedule.json"), []byte(`{"next": "1999-01-01T00:00:00Z", "failures": 0, "protocol": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

// recorded returns an agent with an event that is due.
func recorded(t *testing.T, endpoint string) *agent {
	t.Helper()
	a := &agent{in: strings.NewReader(`{"machine": "ultimaker_s5"}`), out: io.Discard, err: io.Discard, dir: t.TempDir(), endpoint: endpoint, plaintext: true,
		policy: 1, format: "json"}
	if err := a.with(func(c *client.Client) error { return a.decide(c, "grant") }); err != nil {
		t.Fatal(err)
	}
	if err := a.record(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	due(t, a.dir)
	return a
}

// What is due when a slicer starts is not sent in its first minutes, nor at a time
// that tells when it was started. Nothing connects in a bubble: what the library keeps
// of one connection for the next must not stay in it.
func TestUploadWaits(t *testing.T) {
	t.Setenv("CI", "")
	r := clienttest.Start(t)
	var a *agent
	waits := map[time.Duration]bool{}
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			a = recorded(t, r.Addr())
			start := time.Now()
			err := a.waitIfDue(t.Context())
			waited := time.Since(start)
			if err != nil || waited < client.QuietStart || waited >= 2*client.QuietStart {
				t.Errorf("%v after %v", err, waited)
			}
			waits[waited] = true
		})
	}
	if len(waits) == 1 {
		t.Errorf("the wait is always %v", waits)
	}
	a = recorded(t, r.Addr())
	if err := a.upload(t.Context()); err != nil || len(r.Slices()) != 1 {
		t.Errorf("%v, %d events arrived, want 1", err, len(r.Slices()))
	}
	synctest.Test(t, func(t *testing.T) { // in the year 2000: the next upload is not due
		start := time.Now()
		if err := a.waitIfDue(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v, with nothing due", err, time.Since(start))
		}
	})
}

// Without a reason to wait it ends at once; while it waits a signal ends it.
func TestUploadEnds(t *testing.T) {
	r := clienttest.Start(t)
	flags := []string{"-endpoint", r.Addr(), "-plaintext", "-dir"}
	nobody := filepath.Join(t.TempDir(), "nobody-agreed")
	if _, said, code := run(t, "", append([]string{"upload", "-wait"}, append(flags, nobody)...)...); code != exitNoConsent {
		t.Errorf("exit code %d: %s", code, said)
	}
	dir := granted(t)
	flags = append(flags, dir)
	due(t, dir)
	if out, said, code := run(t, "", append([]string{"upload", "-wait"}, flags...)...); code != exitOK {
		t.Errorf("with nothing to send: exit code %d: %s%s", code, out, said)
	}
	run(t, `{"machine": "ultimaker_s5"}`, "record", "-dir", dir)
	due(t, dir) // again: with nothing to send another time was drawn
	cmd := command(t, nil, append([]string{"upload", "-wait"}, flags...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		t.Error("it does not wait")
	case <-time.After(300 * time.Millisecond):
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("a signal does not end it")
		_ = cmd.Process.Kill()
		<-ended
	}
	if code := cmd.ProcessState.ExitCode(); code != exitNotSent || r.Accepted() != 0 || len(events(t, dir)) != 1 {
		t.Errorf("exit code %d, %d connections, %d events kept", code, r.Accepted(), len(events(t, dir)))
	}
}
