// Command floor measures what the collector costs above the least that a collector
// of its protocol can cost, in one run and on the same events.
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
	var err error
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		err = serve(ctx)
	} else {
		err = compare(ctx, os.Args[1:])
	}
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}
