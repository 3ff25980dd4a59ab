package client

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCompareSize prints what each library adds to a stripped hello world.
func TestCompareSize(t *testing.T) {
	hello := built(t, "./size/hello")
	fmt.Println("| library | adds to a binary |\n| --- | --- |")
	for _, s := range []struct{ name, program string }{
		{"slicemetry", "github.com/slicemetry/slicemetry/bench/host/testdata/client"},
		{"OpenTelemetry logs", "./size/otel"},
		{"PostHog", "./size/posthog"},
		{"Segment", "./size/segment"},
		{"Sentry", "./size/sentry"},
	} {
		fmt.Printf("| %s | %.2f MB |\n", s.name, float64(built(t, s.program)-hello)/1e6)
	}
}

func built(t *testing.T, program string) int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
