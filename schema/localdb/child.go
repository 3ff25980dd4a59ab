package localdb

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// childVariable tells a program that it was started to be the engine, and with
// which library.
const childVariable = "SLICEMETRY_ENGINE_CHILD"

// RunEngineIfChild turns this process into the engine, and never returns, where
// Start began it for that. Otherwise it does nothing. It must be the first call
// of the main function, or of TestMain, of every program that calls Start.
func RunEngineIfChild() {
	library := os.Getenv(childVariable)
	if library == "" {
		return
	}
	if err := runEngine(library, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runEngine calls the engine's command line and returns when it ends.
func runEngine(library string, args []string) error {
	// A client that disconnects raises SIGPIPE in one of the engine's threads, for
	// which the Go runtime would end the process without a word.
	signal.Ignore(syscall.SIGPIPE)
	// A core file would hold rows.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	runtime.LockOSThread()

	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load the engine: %w", err)
	}
	var commandLine func(argc int32, argv unsafe.Pointer) uintptr
	var resultError func(result uintptr) string
	purego.RegisterLibFunc(&commandLine, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, handle, "chdb_result_error")

	var pinner runtime.Pinner
	defer pinner.Unpin()
	argv := make([]*byte, 0, len(args)+2)
	for _, arg := range append([]string{"clickhouse"}, args...) {
		text := append([]byte(arg), 0)
		pinner.Pin(&text[0])
		argv = append(argv, &text[0])
	}
	argv = append(argv, nil)
	pinner.Pin(&argv[0])
	if text := resultError(commandLine(int32(len(argv)-1), unsafe.Pointer(&argv[0]))); text != "" {
		return fmt.Errorf("engine: %s", text)
	}
	return nil
}
