package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if err := run(client.Config{Endpoint: "nowhere"}, filepath.Join(dir, "model.stl"), true, nil, &out); err != nil || !strings.Contains(out.String(), "wrote") {
		t.Errorf("run() = %v without telemetry:\n%s", err, out.String())
	}
	if err := run(client.Config{Endpoint: "nowhere"}, filepath.Join(dir, "no", "model.stl"), false, nil, &out); err == nil {
		t.Error("an output that cannot be written is no error")
	}
}
