package localdb

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// EngineVariable names the environment variable that points at an engine.
const EngineVariable = "SLICEMETRY_ENGINE"

// packages are the npm packages that carry the engine, by system.
var packages = map[string]string{
	"linux/amd64":  "lib-linux-x64-gnu",
	"linux/arm64":  "lib-linux-arm64-gnu",
	"darwin/amd64": "lib-darwin-x64",
	"darwin/arm64": "lib-darwin-arm64",
}

// findEngine returns the path of a library or binary: the one that is asked for,
// else the one that `make engine` installed, found from the program's folder or
// the working directory upwards, else a clickhouse binary on PATH.
func findEngine(wanted string) (string, error) {
	if wanted == "" {
		wanted = os.Getenv(EngineVariable)
	}
	if wanted != "" {
		if _, err := os.Stat(wanted); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoEngine, err)
		}
		return wanted, nil
	}
	name, ok := packages[runtime.GOOS+"/"+runtime.GOARCH]
	relative := filepath.Join("schema", "localdb", "engine", "node_modules", "@chdb", name, "libchdb.so")
	for _, start := range startingPoints() {
		for dir := start; ok; dir = filepath.Dir(dir) {
			path := filepath.Join(dir, relative)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if path, err := exec.LookPath("clickhouse"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%w: run `make engine` in the checkout, or set %s to the path of libchdb.so or of a clickhouse binary (looked for %s from %s upwards, and for clickhouse on PATH)",
		ErrNoEngine, EngineVariable, relative, strings.Join(startingPoints(), " and "))
}

func startingPoints() []string {
	var dirs []string
	if program, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(program))
	}
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}

// isLibrary tells a shared library from a program.
func isLibrary(engine string) bool {
	extension := filepath.Ext(engine)
	return extension == ".so" || extension == ".dylib"
}
