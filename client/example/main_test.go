package main

import (
	"bytes"
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// What a user answers decides, and is asked once.
func TestExample(t *testing.T) {
	for _, tt := range []struct {
		name, first, second string // what is typed in two runs
		sent                int
	}{
		{"yes", "y\n", "", 2}, {"looks first", "s\ny\n", "", 2}, {"mistypes", "what?\nY\n", "", 2},
		{"no", "n\n", "y\n", 0}, {"closes", "", "y\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := clienttest.Start(t)
			dir := t.TempDir()
			cfg := client.Config{Endpoint: r.Addr(), Dir: filepath.Join(dir, "telemetry"), Plaintext: true, Getenv: func(string) string { return "" }}
			var first, second bytes.Buffer
			for i, out := range []*bytes.Buffer{&first, &second} {
				typed := []string{tt.first, tt.second}[i]
				if err := run(cfg, filepath.Join(dir, "model.stl"), true, strings.NewReader(typed), out); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(r.Slices()); n != tt.sent {
				t.Errorf("%d outputs arrived, want %d:\n%s", n, tt.sent, first.String())
			}
			if !strings.Contains(first.String(), "[y] yes") || strings.Contains(second.String(), "[y] yes") {
				t.Errorf("asked in the second run:\n%s", second.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "model.gcode")); err != nil {
				t.Error(err)
			}
		})
	}
}

// Telemetry that cannot work, or an output that cannot be written, is told apart.
func TestExampleGoesOn(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	cfg := client.Config{Endpoint: "nowhere", Dir: filepath.Join(dir, "telemetry")}
	if err := run(cfg, filepath.Join(dir, "model.stl"), true, nil, &out); err != nil || !strings.Contains(out.String(), "wrote") {
		t.Errorf("run() = %v without telemetry:\n%s", err, out.String())
	}
	if err := run(cfg, filepath.Join(dir, "no", "model.stl"), false, nil, &out); err == nil {
		t.Error("an output that cannot be written is no error")
	}
}

// Whatever becomes of the collector while a slicer runs, what the slicer writes and
// says is the same, octet for octet.
func TestOutputDoesNotDependOnTheCollector(t *testing.T) {
	recorder := func(answer clienttest.Answer) func(testing.TB) string {
		return func(t testing.TB) string {
			r := clienttest.Start(t)
			r.Script(answer)
			t.Cleanup(func() {
				if len(r.Requests()) != 1 {
					t.Errorf("%d requests, want one", len(r.Requests()))
				}
			})
			return r.Addr()
		}
	}
	want, said := slice(t, recorder(clienttest.Answer{})(t))
	for name, start := range map[string]func(testing.TB) string{
		"absent":      func(testing.TB) string { return "127.0.0.1:1" },
		"killed":      recorder(clienttest.Answer{Reset: true}),
		"hanging":     recorder(clienttest.Answer{Hang: true}),
		"black hole":  clienttest.BlackHole,
		"half closed": clienttest.HalfClosed,
		"half answer": recorder(clienttest.Answer{Partial: true}),
		"portal":      func(t testing.TB) string { return clienttest.Portal(t, http.StatusOK) },
		"garbage":     garbage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if gcode, out := slice(t, start(t)); gcode != want || out != said {
				t.Errorf("it writes %q and says %q, want %q and %q", gcode, out, want, said)
			}
		})
	}
}

// slice runs the slicer twice: its user agrees, and two days later an upload is due.
// It returns what the second run writes and says.
func slice(t *testing.T, endpoint string) (gcode, out string) {
	t.Helper()
	dir := t.TempDir()
	clock := clienttest.NewClock(time.Now())
	cfg := client.Config{Endpoint: endpoint, Dir: filepath.Join(dir, "telemetry"), Plaintext: true, Getenv: func(string) string { return "" }, Now: clock.Now}
	var second bytes.Buffer
	for i, out := range []*bytes.Buffer{{}, &second} {
		if err := run(cfg, filepath.Join(dir, "model.stl"), false, strings.NewReader([]string{"y\n", ""}[i]), out); err != nil {
			t.Fatal(err)
		}
		clock.Add(48 * time.Hour)
	}
	written, err := os.ReadFile(filepath.Join(dir, "model.gcode"))
	if err != nil {
		t.Fatal(err)
	}
	return string(written), strings.ReplaceAll(second.String(), dir, "")
}

// garbage starts a server that says what no protocol knows.
func garbage(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			noise := make([]byte, 1<<16)
			rand.Read(noise)
			_, _ = conn.Write(noise)
			conn.Close()
		}
	}()
	return l.Addr().String()
}
