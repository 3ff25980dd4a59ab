package e2e

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/slicemetry/slicemetry/bench/stack"
)

// What the process sets for itself: no core files, no traces of panics, and a limit for
// its memory that follows from its cgroup's.
func TestProcess(t *testing.T) {
	s, _ := startStack(t)
	pid := s.CollectorPid()
	limits := read(t, fmt.Sprintf("/proc/%d/limits", pid))
	for line := range strings.Lines(limits) {
		if rest, found := strings.CutPrefix(line, "Max core file size"); found {
			if fields := strings.Fields(rest); fields[0] != "0" || fields[1] != "0" {
				t.Errorf("core files may have %s", rest)
			}
		}
	}
	metrics, err := stack.ReadMetrics(t.Context(), s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	want := float64(math.MaxInt64)
	if limit, err := memlimit.FromCgroup(); err == nil {
		want = 0.8 * float64(limit)
	}
	// Who runs the tests may have set either.
	if got := metrics["go_gc_gomemlimit_bytes"]; os.Getenv("GOMEMLIMIT") == "" && math.Abs(got-want) > 1 {
		t.Errorf("the process aims at %g octets, want %g", got, want)
	}
	if got := metrics["go_gc_gogc_percent"]; os.Getenv("GOGC") == "" && got != 140 {
		t.Errorf("garbage may grow to %g %%, want 140", got)
	}
	environment := strings.Split(read(t, fmt.Sprintf("/proc/%d/environ", pid)), "\x00")
	if os.Getenv("GOTRACEBACK") == "" && !slices.Contains(environment, "GOTRACEBACK=none") {
		t.Error("a panic leaves a trace")
	}
}
