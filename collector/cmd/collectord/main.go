// Command collectord receives telemetry batches and stores them in ClickHouse.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/slicemetry/slicemetry/collector"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit code: 0 drained, 1 failed, 2 called wrongly.
func run(args []string) int {
	settle()
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
