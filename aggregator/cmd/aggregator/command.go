package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/aggregator"
)

// errUsage says that the command line makes no sense.
var errUsage = errors.New("usage")

const longHelp = `A week is published two days after its end, once. Everything published about it
is, together, (1, 1e-8)-differentially private for all that one installation sent.

Examples:
  aggregator plan                          what will be published, how exactly; needs no database
  aggregator tune -metric slices           what other caps would win and cost
  aggregator poison -forged 1000           how far forged reports can move each number
  aggregator publish -all-closed           publish every closed week that is not published yet
  aggregator publish -period 2026-W46      publish one week; again: nothing changes
  aggregator ledger                        what was spent on which week
  aggregator site -out /srv/www -policy F  pages for people, with downloads
  aggregator serve -dir /srv/www           serve them, read-only, on loopback
  aggregator drop                          raw rows that are published or 30 days old
  aggregator audit -spec F -in rows.ndjson  release made-up rows, to test the promise

A daily job is: aggregator publish -all-closed && aggregator site -out DIR -policy F; aggregator drop

Every flag can be set in the environment (AGGREGATOR_CLICKHOUSE for -clickhouse, which
keeps the password out of the list of processes) or in a file (-config FILE, lines
"flag value"). Flags come first, then the environment, then the file.

Exit codes: 0 done, 1 failed, 2 wrong usage.`

// command is the whole command line. It uses flag sets of its own: a library
// registers flags of its own on the global one.
func command(out, errOut io.Writer) *ffcli.Command {
	root := flag.NewFlagSet("aggregator", flag.ContinueOnError)
	root.SetOutput(errOut)
	return &ffcli.Command{
		Name:       "aggregator",
		ShortUsage: "aggregator <plan | tune | poison | publish | ledger | site | serve | drop | audit> [flags]",
		ShortHelp:  "publish differentially private statistics",
		LongHelp:   longHelp,
		FlagSet:    root,
		Subcommands: []*ffcli.Command{
			planCommand(out, errOut), publishCommand(out, errOut), ledgerCommand(out, errOut), siteCommand(out, errOut), serveCommand(out, errOut), dropCommand(out, errOut),
			auditCommand(out, errOut), tuneCommand(out, errOut), poisonCommand(out, errOut),
		},
		Exec: func(context.Context, []string) error { return flag.ErrHelp },
	}
}

// settings are the flags that commands share.
type settings struct {
	clickhouse string
	json       bool
	config     aggregator.Config
	out        io.Writer
	errOut     io.Writer
}

// newSettings returns a flag set with the shared flags.
func newSettings(name string, out, errOut io.Writer) (*flag.FlagSet, *settings) {
	s := &settings{out: out, errOut: errOut}
	fs := flag.NewFlagSet("aggregator "+name, flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.String("config", "", "file of settings, one \"flag value\" a line")
	fs.BoolVar(&s.json, "json", false, "print JSON")
	fs.Float64Var(&s.config.Epsilon, "epsilon", 1, "promised about one week, for all metrics together")
	fs.Float64Var(&s.config.Delta, "delta", 1e-8, "the other half of the promise")
	return fs, s
}

// database adds the flag of commands that need one.
func (s *settings) database(fs *flag.FlagSet) {
	fs.StringVar(&s.clickhouse, "clickhouse", "clickhouse://aggregator@127.0.0.1:9000", "database, as a DSN")
}

// grace adds the flag of commands for which periods close.
func (s *settings) grace(fs *flag.FlagSet) {
	fs.DurationVar(&s.config.Grace, "grace", aggregator.DefaultGrace, "how long after its end a week takes late reports")
}

// new makes a command of a flag set and what it does.
func (s *settings) new(fs *flag.FlagSet, name, usage, help, long string, run func(ctx context.Context) error) *ffcli.Command {
	return &ffcli.Command{
		Name: name, ShortUsage: "aggregator " + name + usage, ShortHelp: help, LongHelp: long, FlagSet: fs,
		Options: []ff.Option{ff.WithEnvVarPrefix("AGGREGATOR"), ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(ff.PlainParser)},
		Exec: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: aggregator %s takes no arguments, only flags (see -h)", errUsage, name)
			}
			if err := s.config.Validate(); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return run(ctx)
		},
	}
}

// dialTimeout is how long a database may take to answer at first, unless its DSN says.
const dialTimeout = 10 * time.Second

// connect opens the database and makes sure that it answers.
func (s *settings) connect(ctx context.Context) (aggregator.Conn, error) {
	options, err := clickhouse.ParseDSN(s.clickhouse)
	if err != nil {
		// The library's text repeats the DSN, and with it the password.
		return nil, fmt.Errorf("%w: -clickhouse is not a DSN such as clickhouse://user:password@host:9000", errUsage)
	}
	options.DialTimeout = cmp.Or(options.DialTimeout, dialTimeout)
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("aggregator: connect to ClickHouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("aggregator: connect to ClickHouse: %w", err)
	}
	return conn, nil
}

// with runs something on a connection.
func (s *settings) with(ctx context.Context, run func(aggregator.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return run(conn)
}

// print writes a result as JSON, or as text by the function given.
func (s *settings) print(v any, text func(io.Writer) error) error {
	if !s.json {
		return text(s.out)
	}
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
