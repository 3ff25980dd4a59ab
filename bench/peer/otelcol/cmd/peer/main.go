// Command peer runs our collector and an OpenTelemetry Collector with its ClickHouse
// exporter beside each other: the same events, the same number a call, the same
// connections and calls under way, one ClickHouse.
//
// It measures what each stores a second, what that costs, what a stored event
// takes, and what each loses of what it acknowledged when it is killed and when
// ClickHouse is away. `make bench-peer` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/slicemetry/slicemetry/schema/localdb"
)

func main() {
	localdb.RunEngineIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = o.run(ctx)
	}
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
