// Package hosts tests the hosts in other languages: the real plug-in and the real
// snippet, with the real agent, up to a collector.
package hosts

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// required makes a missing interpreter or compiler a failure, for the check.
const required = "SLICEMETRY_REQUIRE_HOSTS"

// need returns a program's path, or skips the test where there is none.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv(required) != "":
		t.Fatalf("%s is required: %v", name, err)
	default:
		t.Skipf("without %s this host cannot be tested (%s=1 makes that a failure)", name, required)
	}
	return path
}

// agent builds slicemetry-agent.
func agent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slicemetry-agent")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/slicemetry-agent").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// What a distribution ships needs no library of the system's.
func TestMadeStatic(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^\t(.*go build .*) -o bin/ (\./client/cmd/\.\.\.)$`).FindStringSubmatch(string(makefile))
	if recipe == nil {
		t.Fatal("the Makefile builds no client command")
	}
	dir := t.TempDir()
	cmd := exec.Command(need(t, "bash"), "-c", recipe[1]+" -o "+dir+"/ "+recipe[2])
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := elf.Open(filepath.Join(dir, "slicemetry-agent"))
	if err != nil {
		t.Skipf("not a system of ELF: %v", err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
}

// environment is this one without opt-outs, of which a check machine has some.
func environment(more ...string) []string {
	var kept []string
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); name != "CI" && name != "DO_NOT_TRACK" && !strings.HasPrefix(name, "SLICEMETRY") {
			kept = append(kept, e)
		}
	}
	return append(kept, more...)
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// What a user of Cura writes arrives, coarse, and nothing else of it.
func TestCura(t *testing.T) {
	python, agent, dir := need(t, "python3"), agent(t), t.TempDir()
	r := clienttest.Start(t)
	env := environment("SLICEMETRY_AGENT="+agent, "SLICEMETRY_KEPT="+dir, "SLICEMETRY_ENDPOINT="+r.Addr(), "SLICEMETRY_PLAINTEXT=true",
		"PYTHONDONTWRITEBYTECODE=1")
	t.Log(run(t, env, python, "-W", "error", "cura/tests/test_plugin.py", "-v"))
	run(t, append(env, "SLICEMETRY_DIR="+dir), agent, "flush")

	want := &telemetryv1.Slice{
		Application: "cura", VersionMajor: 5, VersionMinor: 8, Language: "de", OperatingSystem: telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX,
		Machine: "ultimaker_s5", MachineSettingsChanged: telemetryv1.Flag_FLAG_NO, ExtruderCount: 2, Mode: telemetryv1.Mode_MODE_CUSTOM,
		Intent: "visual", Quality: "normal", ChangedSettings: []string{"infill_pattern", "layer_height"}, ChangedSettingsCount: proto.Uint32(4),
		LayerHeightUm: 200, Support: telemetryv1.Flag_FLAG_YES, InfillDensityPercent: proto.Uint32(20), WallCount: proto.Uint32(3),
		InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_GRID, Adhesion: telemetryv1.Adhesion_ADHESION_BRIM,
		PrintSequence: telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE, NozzleTemperatureCelsius: 205, ModelCount: 2,
		PrintTimeS: r.Slices()[0].PrintTimeS, Output: telemetryv1.OutputKind_OUTPUT_KIND_FILE,
		Extruders: r.Slices()[0].Extruders,
	}
	if len(r.Slices()) != 2 {
		t.Fatalf("%d events arrived, want 2", len(r.Slices()))
	}
	first, second := r.Slices()[0], r.Slices()[1]
	if !proto.Equal(first, want) {
		t.Errorf("arrived\n %v\nwant\n %v", first, want)
	}
	if second.Output != telemetryv1.OutputKind_OUTPUT_KIND_CLOUD {
		t.Errorf("the second output is %v", second)
	}
	near := func(got, want uint32) bool { return 4*got >= 3*want && 3*got <= 4*want } // a bucket is a quarter of an octave
	if e := first.Extruders; len(e) != 2 || e[0].MaterialType != "PLA" || e[0].MaterialBrand != "Generic" || e[0].NozzleUm != 400 ||
		!near(e[0].UsedMm, 10_000) || !near(e[1].UsedMm, 500) || !near(first.PrintTimeS, 7200) {
		t.Errorf("extruders %v, %d s", e, first.PrintTimeS)
	}
	for _, q := range r.Requests() {
		if octets, err := proto.Marshal(q); err != nil || bytes.Contains(octets, []byte("secret")) || bytes.Contains(octets, []byte("Anna")) {
			t.Errorf("%v in a request: %s", err, octets)
		}
	}
}

// compiled compiles a C++ program without a warning.
func compiled(t *testing.T, source string, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	run(t, environment(), need(t, "g++"), append([]string{"-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-o", program, source}, flags...)...)
	return program
}

// A C++ slicer asks once, and what it reports arrives.
func TestCPP(t *testing.T) {
	slicer, agent, dir := compiled(t, "cpp/main.cpp"), agent(t), t.TempDir()
	r := clienttest.Start(t)
	env := environment("SLICEMETRY_ENDPOINT="+r.Addr(), "SLICEMETRY_PLAINTEXT=true")
	slice := func(answer, agent, dir string, more ...string) string {
		t.Helper()
		cmd := exec.Command(slicer, append([]string{agent, "-dir", dir}, more...)...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(answer)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := slice("", filepath.Join(dir, "no-such-agent"), dir); out != "not reported: no agent\n" {
		t.Errorf("without an agent it says %q", out)
	}
	refused := filepath.Join(t.TempDir(), "refused")
	if first, second := slice("", agent, refused), slice("y\n", agent, refused); !strings.Contains(first, "[y] yes") || strings.Contains(second, "[y] yes") {
		t.Errorf("asked %q, then %q", first, second)
	}
	if status := run(t, env, agent, "consent", "status", "-dir", refused); status != "refused (user)\n" {
		t.Errorf("closing the question is %q", status)
	}
	if out := slice("s\ny\n", agent, dir); !strings.Contains(out, "Slice.machine") || strings.Contains(out, "all the same") {
		t.Errorf("it shows %q", out)
	}
	// The slicer has ended; its agents may still write.
	kept := func(n int) {
		t.Helper()
		want := fmt.Sprintf(`"spool_events": %d,`, n)
		for tries := 0; !strings.Contains(run(t, env, agent, "status", "-json", "-dir", dir), want); tries++ {
			if tries > 100 {
				t.Fatal("not all is kept: ", run(t, env, agent, "status", "-json", "-dir", dir))
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	kept(2)
	if err := os.WriteFile(filepath.Join(dir, "collector.json"), []byte(`{"policy": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := slice("y\n", agent, dir); out != "" {
		t.Errorf("a slicer that is too old says %q", out)
	}
	if out := slice("y\n", agent, dir, "-policy", "2"); !strings.Contains(out, "[y] yes") {
		t.Errorf("not asked about a newer policy: %q", out)
	}
	kept(4)
	run(t, env, agent, "flush", "-dir", dir, "-policy", "2")
	started := uint32(0)
	for _, q := range r.Requests() {
		started += q.GetBatch().GetCounters().GetSlicesStarted()
	}
	if len(r.Slices()) != 2 || started != 2 {
		t.Fatalf("%d events and %d runs arrived, want 2 of each", len(r.Slices()), started)
	}
	s := r.Slices()[0]
	if s.Machine != "prusa_i3_mk3" || s.Application != "prusaslicer" || s.LayerHeightUm != 200 || s.Adhesion != telemetryv1.Adhesion_ADHESION_SKIRT ||
		len(s.Extruders) != 2 || s.Extruders[0].MaterialType != "PLA" || s.Extruders[0].UsedMg == 0 || s.Extruders[1].MaterialType == "" || len(s.ChangedSettings) != 2 {
		t.Errorf("arrived %v", s)
	}
}

// A C++ slicer waits for no agent, however long it hangs, and the agent holds none
// of its files: a USB stick can be taken out. Once as the system can, and once as it
// is done without its help.
func TestCPPHangingAgent(t *testing.T) {
	for _, flags := range [][]string{nil, {"-DSLICEMETRY_CLOSEFROM=0"}} {
		host, dir := compiled(t, "cpp/tests/host.cpp", flags...), t.TempDir()
		hanging := filepath.Join(dir, "agent")
		script := "#!/bin/sh\nls -l /proc/$$/fd > " + dir + "/$1.new\necho $$ > " + dir + "/$1.pid\nmv " + dir + "/$1.new " + dir + "/$1.files\nexec sleep 60\n"
		if err := os.WriteFile(hanging, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, host, hanging, filepath.Join(dir, "part.gcode"))
		cmd.Env = environment()
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "1 1 1 1\n" {
			t.Errorf("%v: it says %q, %v", flags, out, err)
		}
		for _, command := range []string{"record", "count", "upload"} {
			var files []byte
			for tries := 0; files == nil && tries < 500; tries++ {
				files, _ = os.ReadFile(filepath.Join(dir, command+".files"))
				time.Sleep(10 * time.Millisecond)
			}
			if files == nil || strings.Contains(string(files), "part.gcode") {
				t.Errorf("%v: %s holds\n%s", flags, command, files)
			}
			pid, _ := os.ReadFile(filepath.Join(dir, command+".pid"))
			run(t, environment(), "kill", strings.TrimSpace(string(pid)))
		}
	}
}

// documented is an environment with the agent in PATH and a collector.
func documented(t *testing.T) []string {
	agent, r := agent(t), clienttest.Start(t)
	return environment("SLICEMETRY_DIR="+filepath.Join(t.TempDir(), "state"), "SLICEMETRY_ENDPOINT="+r.Addr(), "SLICEMETRY_PLAINTEXT=true",
		"PATH="+filepath.Dir(agent)+":"+os.Getenv("PATH"))
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The examples of docs/hosts.md run, one after another, as they are written.
func TestDocument(t *testing.T) {
	shell := need(t, "bash")
	env := documented(t)
	examples := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(document(t, "hosts.md"), -1)
	var all strings.Builder
	for _, example := range examples {
		out := run(t, env, shell, "-eu", "-o", "pipefail", "-c", example[1])
		all.WriteString(out)
	}
	for _, want := range []string{"unknown", "ADHESION_SKIRT", "not in the catalogue", "granted (user)", "event 2", "layerHeightUm", "waiting,", "ultimaker_s5", "models_hash",
		"refused (user)"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the examples do not show %q:\n%s", want, &all)
		}
	}
}

// The commands that tables of docs/hosts.md and docs/privacy.md name can be called
// as they stand there, each by a user who agreed.
func TestDocumentedCommands(t *testing.T) {
	shell := need(t, "bash")
	env := documented(t)
	called := 0
	for name, table := range map[string]*regexp.Regexp{
		"hosts.md":   regexp.MustCompile(`(?ms)^\| command \|.*?\n\n`),
		"privacy.md": regexp.MustCompile(`(?ms)^\| right \|.*?\n\n`),
	} {
		for row := range strings.Lines(table.FindString(document(t, name))) {
			columns := append(strings.Split(row, "|"), "", "")
			for _, code := range regexp.MustCompile("`([a-z].*?)`").FindAllStringSubmatch(columns[map[string]int{"hosts.md": 1, "privacy.md": 2}[name]], -1) {
				line := strings.NewReplacer("[", "", "]", "", "a,b", "machine,material").Replace(code[1])
				if line == "withdraw" {
					line = "consent withdraw"
				}
				run(t, env, shell, "-euc", "slicemetry-agent consent grant && slicemetry-agent "+line+" </dev/null")
				called++
			}
		}
	}
	if called < 20 {
		t.Errorf("%d commands were found in the tables", called)
	}
}
