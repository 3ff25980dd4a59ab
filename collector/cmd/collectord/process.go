package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"google.golang.org/grpc/grpclog"
)

// settle sets what holds for the whole process. Where it has to, it starts the
// program again, as the same process.
func settle() {
	// A core file would hold what is in memory, and a trace some of it.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	hideTraces()
	tuneMemory()
	// gRPC's own log writes peers' addresses.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// hideTraces has a panic say why and nothing else: a trace holds the words that were
// passed to functions, an address among them. Go reads the variable once, before
// anything of ours runs, and debug.SetTraceback does not go below what it found; so the
// program is executed again with the variable set. What Go's runtime ends itself (no
// memory, SIGABRT, SIGQUIT) is traced all the same.
func hideTraces() {
	if os.Getenv("GOTRACEBACK") != "" { // so it is now, or somebody wants to see more
		return
	}
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, append(os.Environ(), "GOTRACEBACK=none"))
	}
	fmt.Fprintln(os.Stderr, "collectord: a crash will leave a trace, unless GOTRACEBACK=none is set:", err)
}

const (
	// garbagePercent lets garbage grow to 1.4 times what lives, some 100 MiB under full
	// load, for some hundredths less CPU than with 100. With 200 the process comes to 320 MiB.
	garbagePercent = 140
	// memoryShare of what the process may have (its cgroup's limit) is where garbage
	// is collected more often instead; the rest is for what Go does not count.
	memoryShare = 0.8
)

// tuneMemory sets the garbage collector. Who sets Go's own variables knows better.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	// It leaves GOMEMLIMIT alone. Where it cannot tell there is no limit, as before.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare))
}
