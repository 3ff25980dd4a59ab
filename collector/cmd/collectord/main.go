// Command collectord receives telemetry batches and stores them in ClickHouse.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/slicemetry/slicemetry/collector"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// tuneMemory lets garbage grow to twice what lives, which is some MiB under load:
// a twelfth less CPU. Who sets Go's own variables knows better.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// run returns the exit code: 0 drained, 1 failed, 2 called wrongly.
func run(args []string) int {
	// A core file would hold what is in memory, and a trace some of it.
	debug.SetTraceback("none")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	tuneMemory()
	// gRPC's own log writes peers' addresses.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))

	cfg, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case err != nil:
		fmt.Fprintln(os.Stderr, "collectord:", err)
		return 2
	}
	cfg.Logger = logger
	server, err := collector.New(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "collectord:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		logger.Error("stopped", "error", err)
		return 1
	}
	return 0
}
