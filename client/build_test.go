package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program that is built never to record does not, whatever its user and the
// administrator say, and names the rule.
func TestBuiltNeverToRecord(t *testing.T) {
	dir := t.TempDir()
	agent, kept := filepath.Join(dir, "agent"), filepath.Join(dir, "kept")
	build := exec.Command("go", "build", "-ldflags", "-X github.com/slicemetry/slicemetry/client.telemetry=off", "-o", agent, "./cmd/slicemetry-agent")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := granted(t, config(kept, "127.0.0.1:1")).Close(); err != nil { // as another build wrote it
		t.Fatal(err)
	}
	before := tree(t, kept)
	run := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command(agent, args...)
		cmd.Env = append(os.Environ(), "SLICEMETRY_DIR="+kept, "SLICEMETRY=on", "CI=", "DO_NOT_TRACK=")
		cmd.Stdin = strings.NewReader(`{"machine": "ultimaker_s5"}`)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit code %d, want %d: %v %s", args, code, want, err, out)
		}
		return string(out)
	}
	if out := run(0, "consent", "status"); out != "refused (build: telemetry=off)\n" {
		t.Errorf("consent status says %q", out)
	}
	const noConsent = 3
	run(noConsent, "record")
	run(noConsent, "flush", "-plaintext", "-endpoint", "127.0.0.1:1")
	if after := tree(t, kept); after != before {
		t.Errorf("files were %s, are %s", before, after)
	}
}
