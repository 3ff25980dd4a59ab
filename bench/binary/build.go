// Package binary builds the project's commands for tests that run them as
// processes.
package binary

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main is a TestMain that builds the commands first, into a folder that Dir
// names and that is removed at the end.
func Main(m *testing.M, packages ...string) {
	os.Exit(run(m, packages))
}

// Dir is where the commands are.
var Dir string

func run(m *testing.M, packages []string) int {
	var err error
	if Dir, err = os.MkdirTemp("", "slicemetry-bin"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(Dir)
	build := exec.Command("go", append([]string{"build", "-o", Dir + string(filepath.Separator)}, packages...)...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}
