// Command demo shows the whole system at work on one machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/bench/demo"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

func main() {
	localdb.RunEngineIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := command().ParseAndRun(ctx, os.Args[1:]); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func command() *ffcli.Command {
	cfg := demo.Config{Out: os.Stdout}
	flags := func(name string) *flag.FlagSet {
		fs := flag.NewFlagSet(name, flag.ContinueOnError)
		program, _ := os.Executable() // "" looks in the working directory
		fs.StringVar(&cfg.Dir, "dir", "demo", "folder for everything; what an earlier run left there is removed")
		fs.StringVar(&cfg.Bin, "bin", filepath.Dir(program), "folder of collectord and slicemetry-agent")
		fs.StringVar(&cfg.Payloads, "payloads", "client/internal/cura/testdata/payloads.jsonl", "Cura payloads, one a line")
		fs.IntVar(&cfg.Installations, "installations", 2500, "simulated installations")
		fs.IntVar(&cfg.Weeks, "weeks", 3, "weeks that they record, 1 to 3")
		fs.Uint64Var(&cfg.Seed, "seed", 1, "seed of the fleet")
		return fs
	}
	return &ffcli.Command{
		ShortUsage: "demo run|up [flags]",
		FlagSet:    flag.NewFlagSet("demo", flag.ContinueOnError),
		Exec:       func(context.Context, []string) error { return flag.ErrHelp },
		Subcommands: []*ffcli.Command{
			{Name: "run", ShortUsage: "demo run [flags]", ShortHelp: "run a fleet end to end and stop", FlagSet: flags("demo run"),
				Exec: func(ctx context.Context, _ []string) error { return run(ctx, cfg) }},
			{Name: "up", ShortUsage: "demo up [flags]", ShortHelp: "the same, and leave it running until interrupted", FlagSet: flags("demo up"),
				Exec: func(ctx context.Context, _ []string) error { return up(ctx, cfg) }},
		},
	}
}
