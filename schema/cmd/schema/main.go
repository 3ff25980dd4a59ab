// Command schema brings a ClickHouse up to date, writes the data dictionary and
// checks that every field is justified.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := command().ParseAndRun(ctx, os.Args[1:]); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// command is the whole command line.
func command() *ffcli.Command {
	options := []ff.Option{ff.WithEnvVarPrefix("SLICEMETRY")}
	return &ffcli.Command{
		Name:       "schema",
		ShortUsage: "schema <command> [flags]",
		ShortHelp:  "what may be collected, stored and published",
		Subcommands: []*ffcli.Command{
			migrateCommand(options), rolesCommand(), docCommand(), lintCommand(),
		},
		FlagSet: flagSet("schema"),
		Exec:    usage,
	}
}
