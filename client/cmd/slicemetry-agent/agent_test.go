package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/client/clienttest"
)

// This binary is also the command.
const commandVariable = "SLICEMETRY_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

const (
	samples   = "../../internal/cura/testdata/payloads.jsonl"
	malformed = "../../internal/cura/testdata/malformed.jsonl"
)

// run runs the command as a process and returns what it said and its exit code.
func run(t *testing.T, input string, args ...string) (out, errors string, code int) {
	t.Helper()
	return runIn(t, nil, input, args...)
}

// command is the command as a process, with an environment of its own. The race
// detector would wait for a second at each one's end.
func command(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{commandVariable + "=1", "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}, environment...)
	return cmd
}

// runIn is run, with variables in the environment.
func runIn(t *testing.T, environment []string, input string, args ...string) (out, errors string, code int) {
	t.Helper()
	cmd := command(t, environment, args...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code is looked at
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestFromConsentToCollector(t *testing.T) {
	r := clienttest.Start(t)
	dir := filepath.Join(t.TempDir(), "slicemetry")
	flags := []string{"-dir", dir, "-endpoint", r.Addr(), "-plaintext"}
	command := func(input string, want int, args ...string) string {
		t.Helper()
		out, errors, code := run(t, input, append(append([]string{args[0]}, flags...), args[1:]...)...)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, want, out, errors)
		}
		return out + errors
	}
	event := `{"machine": "ultimaker_s5", "layerHeightUm": 200}`
	command(event, exitNoConsent, "record")
	command("", exitNoConsent, "import-cura", samples)
	command("", exitNoConsent, "flush")
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatalf("without consent %s exists: %v", dir, err)
	}
	command("", exitOK, "consent", "grant")
	command(event+"\n"+event, exitOK, "record")
	said := command(event+`{"machine": 7}{"serial_number": "X"}`+event, exitBadInput, "record")
	if !strings.Contains(said, "event 2:") || !strings.Contains(said, "event 3:") || strings.Contains(said, "event 4:") {
		t.Errorf("bad events are not named: %s", said)
	}
	command("", exitOK, "import-cura", samples)
	if preview := command("", exitOK, "preview"); !strings.Contains(preview, `"ultimaker_s5"`) {
		t.Errorf("preview: %s", preview)
	}
	command("", exitOK, "flush")
	if n := len(r.Slices()); n != 54 {
		t.Errorf("%d events arrived, want 54", n)
	}
	if sent := command("", exitOK, "sent", "-json"); !strings.Contains(sent, `"ultimaker_s5"`) || !strings.Contains(sent, `"octets"`) {
		t.Errorf("sent: %s", sent)
	}
	if table := command("", exitOK, "export", "-format", "csv"); strings.Count(table, "\n") != 55 {
		t.Errorf("export: %s", table)
	}
	if said := command("", exitOK, "policy"); !strings.Contains(said, "privacy@example.org") {
		t.Errorf("policy: %s", said)
	}
	payload, err := os.ReadFile(samples)
	if err != nil {
		t.Fatal(err)
	}
	command(string(payload), exitOK, "record", "-format", "cura")
	if said := command("", exitOK, "erase"); strings.Count(said, "erased, no copy is left by") != 1 || len(r.Erased()) != 1 {
		t.Errorf("erase: %s", said)
	}
	if left := command("", exitOK, "export"); left != "" {
		t.Errorf("left after erase: %s", left)
	}
	command("", exitOK, "consent", "-kinds", "machine,material", "grant")
	command(event, exitOK, "record")
	command("", exitOK, "consent", "withdraw")
	command(event, exitNoConsent, "record")
	if said := command("", exitOK, "status"); !strings.Contains(said, "refused (user)") || !strings.Contains(said, "0 events and counters waiting") {
		t.Errorf("status: %s", said)
	}
}

func TestUnreachableCollectorKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	flags := []string{"-dir", dir, "-endpoint", "127.0.0.1:1", "-plaintext"}
	for _, step := range []struct {
		want int
		args []string
	}{
		{exitOK, append([]string{"consent"}, append(flags, "grant")...)},
		{exitOK, append([]string{"record"}, flags...)},
		{exitNotSent, append([]string{"flush"}, flags...)},
	} {
		if _, errors, code := run(t, `{"machine": "ultimaker_s5"}`, step.args...); code != step.want {
			t.Fatalf("%v: exit code %d, want %d: %s", step.args, code, step.want, errors)
		}
	}
	if out, _, _ := run(t, "", append([]string{"status"}, flags...)...); !strings.Contains(out, "1 events and counters waiting") || !strings.Contains(out, "failed: refused") {
		t.Errorf("status: %s", out)
	}
}

// A dry run shows every event and names every malformed line, without a trace on
// disk and without a word of what was planted.
func TestDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "untouched")
	out, errors, code := run(t, "", "import-cura", "-dir", dir, "--dry-run", samples)
	if n := strings.Count(out, "\n"); code != exitOK || n != 50 {
		t.Fatalf("exit code %d, %d events, want 0 and 50: %s", code, n, errors)
	}
	for _, want := range []string{"50 events, 0 lines not taken", "models_hash", "identifies a model; never collected", "generalised", "bucketed"} {
		if !strings.Contains(errors, want) {
			t.Errorf("the report lacks %q:\n%s", want, errors)
		}
	}
	for _, planted := range []string{"CANARY", "erika", "192.0.2.77", "Anna"} {
		if strings.Contains(out+errors, planted) {
			t.Errorf("%q is printed", planted)
		}
	}
	out, errors, code = run(t, "", "import-cura", "-dir", dir, "--dry-run", malformed)
	if code != exitBadInput || strings.Count(out, "\n") != 2 {
		t.Errorf("exit code %d, %d events, want 1 and 2", code, strings.Count(out, "\n"))
	}
	for _, line := range []string{":1: ", ":2: ", ":4: ", ":5: ", ":6: ", ":7: "} {
		if !strings.Contains(errors, malformed+line) {
			t.Errorf("line %s is not named:\n%s", line, errors)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a dry run made %s", dir)
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{
		{}, {"unknown"}, {"consent"}, {"consent", "maybe"}, {"import-cura"}, {"import-cura", "/no/such/file"},
		{"record", "file"}, {"record", "-format", "xml"}, {"export", "-format", "xml"}, {"consent", "-kinds", "geometry", "grant"}, {"flush", "-endpoint", "nowhere"}, {"flush", "-ca", "/no/such/file"}, {"record", "-no-such-flag"}, {"flush", "-pin", "one"}, {"fields", "-values", "serial_number"}, {"fields", "-values", "layer_height_um"},
		{"flush", "now"}, {"consent", "grant", "-kinds", "geometry"}, {"consent", "grant", "now"}, {"consent", "-policy", "4294967297", "grant"},
	} {
		if _, errors, code := run(t, "", args...); code != exitUsage || errors == "" {
			t.Errorf("%v: exit code %d, says %q, want 2 and why", args, code, errors)
		}
	}
}

// Who asks for help called rightly.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"consent", "-help"}, {"consent", "grant", "-help"}, {"record", "--help"}} {
		if _, help, code := run(t, "", args...); code != exitOK || !strings.Contains(help, "USAGE") {
			t.Errorf("%v: exit code %d: %s", args, code, help)
		}
	}
}

// A complaint names the field and never what stands there: it ends in logs.
func TestComplaintsNameNoValue(t *testing.T) {
	dir := t.TempDir()
	if _, errors, code := run(t, "", "consent", "-dir", dir, "grant"); code != exitOK {
		t.Fatal(errors)
	}
	for _, event := range []string{`"Anna"`, `{"machine": {"a": "Anna"}}`, `{"machine": "a" "Anna"}`, `{"layerHeightUm": "Anna"}`, `{"layerHeightUm": Anna}`,
		`{"extruders": ["Anna"]}`, `{"adhesion": "Anna"}`, `{"changedSettings": "Anna"}`, `{"changedSettings": [["Anna"]]}`, `["Anna"]`, `Anna`} {
		if out, errors, code := run(t, event, "record", "-dir", dir); code != exitBadInput || strings.Contains(out+errors, "Anna") || !strings.Contains(errors, "event 1") {
			t.Errorf("%s: exit code %d: %s%s", event, code, out, errors)
		}
	}
}
