package main

import (
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"google.golang.org/grpc/grpclog"
)

// settle sets what holds for the whole process.
func settle() {
	// A core file would hold what is in memory, and a trace some of it.
	debug.SetTraceback("none")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	tuneMemory()
	// gRPC's own log writes peers' addresses.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

const (
	// garbagePercent lets garbage grow to twice what lives, which is some MiB under
	// load: a twelfth less CPU.
	garbagePercent = 200
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
