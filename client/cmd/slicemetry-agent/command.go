package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/schema/rules"
)

// agent is one run of the command.
type agent struct {
	in       io.Reader
	out, err io.Writer

	dir, endpoint, ca, pin, proxy string
	plaintext, json               bool
	policy                        uint
	format                        string // of record and export
	kinds                         string // of consent grant, with commas
	values                        string // of fields: one field
	check                         bool   // of record
	wait                          bool   // of upload
}

var (
	errBadInput = errors.New("some input was not taken")
	errNotSent  = errors.New("not sent; everything is kept and sent later")
	errNotKept  = errors.New("not all was kept")
	errUsage    = errors.New("called wrongly")
)

const longHelp = `Records what a slicer did, if its user agreed, and reports it about once a day.
Nothing is written and nothing is sent before "consent grant".

  slicemetry-agent consent grant
  echo '{"machine": "ultimaker_s5", "layerHeightUm": 200}' | slicemetry-agent record
  slicemetry-agent import-cura --dry-run payloads.jsonl
  slicemetry-agent preview                  # what the next upload would carry
  slicemetry-agent upload -wait -endpoint telemetry.example.org:443   # when it is time to
  slicemetry-agent flush -endpoint telemetry.example.org:443
  slicemetry-agent sent                     # what the last ones carried
  slicemetry-agent export -format csv > mine.csv
  slicemetry-agent erase -endpoint telemetry.example.org:443
  slicemetry-agent consent withdraw

Exit codes: 0 done, 1 some input was bad and the rest was taken, 2 called wrongly
or failed, 3 the user has not agreed, 4 not sent (kept, and sent later), 5 some of
it could not be kept: the disk is full, ...

Flags can come from the environment: SLICEMETRY_DIR, SLICEMETRY_ENDPOINT, ...`

// alone is f for commands that take nothing but flags: one that is written after
// something else would be ignored in silence.
func alone(f func(context.Context) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%w: what is %q for? Flags come first", errUsage, args[0])
		}
		return f(ctx)
	}
}

// interruptible is f with a context that SIGINT and SIGTERM end, for commands that
// wait for something. The others die of the signal: nothing they do can be left
// half done, and no context ends the reading of standard input.
func interruptible(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return f(ctx)
	}
}

// usage is run where no command is named.
func usage(_ context.Context, args []string) error {
	if len(args) == 0 {
		return flag.ErrHelp
	}
	return fmt.Errorf("%w: there is no command %q; slicemetry-agent -h lists them", errUsage, args[0])
}

func (a *agent) command() *ffcli.Command {
	sub := func(name, usage, short, long string, exec func(context.Context, []string) error, more func(*flag.FlagSet)) *ffcli.Command {
		return &ffcli.Command{Name: name, ShortUsage: "slicemetry-agent " + usage, ShortHelp: short, LongHelp: long,
			FlagSet: a.flags(name, more), Options: []ff.Option{ff.WithEnvVarPrefix("SLICEMETRY")}, Exec: exec}
	}
	var dryRun bool
	var consentFlags *flag.FlagSet
	consent := sub("consent", "consent grant|refuse|withdraw|status [flags]", "note or show the user's decision",
		"grant and refuse must follow an act of the user's. grant exits with 3 where nothing is recorded all the\nsame, and says why. refuse (or withdraw, which is the same) removes everything that was kept here;\n\"erase\", called first, also removes what was sent.",
		func(_ context.Context, args []string) error { return a.consent(consentFlags, args) },
		func(fs *flag.FlagSet) {
			consentFlags = fs
			fs.StringVar(&a.kinds, "kinds", "", "with grant: the kinds of data agreed to, with commas: "+strings.Join(rules.AllCategories.Names(), ",")+" (default: all)")
		})
	root := sub("slicemetry-agent", "<command> [flags]", "", longHelp, usage, nil)
	root.ShortUsage = "slicemetry-agent <command> [flags]"
	root.Subcommands = []*ffcli.Command{
		consent,
		sub("record", "record < event.json", "record events: telemetry.v1.Slice as JSON on standard input, one or many",
			"Each event is one JSON object in protobuf's JSON mapping, or with -format cura one of Cura's payloads\na line. Returns when they are on disk.", a.record,
			func(fs *flag.FlagSet) {
				fs.StringVar(&a.format, "format", "json", "of the events: json or cura")
				fs.BoolVar(&a.check, "check", false, "print what would become of each event, and what was not recognised; record nothing")
			}),
		sub("count", "count < counters.json", "count slicing runs: telemetry.v1.UsageCounters as JSON on standard input",
			"What is counted adds up until it is sent. Returns when it is on disk.", alone(a.count), nil),
		sub("import-cura", "import-cura [--dry-run] FILE|-", "record Cura's slice information, one payload a line",
			"With --dry-run: prints the events that would be sent, one JSON object a line, and a report of\nwhat was dropped, generalised or bucketed, and why. It needs no consent and touches nothing.",
			func(ctx context.Context, args []string) error { return a.importCura(ctx, args, dryRun) },
			func(fs *flag.FlagSet) {
				fs.BoolVar(&dryRun, "dry-run", false, "print what would be sent; record nothing")
			}),
		sub("preview", "preview", "print the next requests, as they will be sent",
			"An upload carries one week. The first requests, of one week, are what the next one carries.", alone(a.preview), nil),
		sub("upload", "upload [-wait]", "send what is kept if its time has come; for hosts to call, with -wait, when they start",
			"Sends about once a day, at a time of its own choosing, however often it is called.", alone(interruptible(a.upload)),
			func(fs *flag.FlagSet) {
				fs.BoolVar(&a.wait, "wait", false, "if something is due, wait 5 to 10 minutes first, so that the time does not tell when the slicer was started")
			}),
		sub("flush", "flush", "send what is kept now", "", alone(interruptible(a.flush)), nil),
		sub("sent", "sent", "print the last requests that were acknowledged, as they were sent", "", alone(a.sent), nil),
		sub("export", "export [-format json|csv] > FILE", "write everything recorded that is held here",
			"json: one object a line with state, week, kind and the event; csv: a row an event.", alone(a.export),
			func(fs *flag.FlagSet) { fs.StringVar(&a.format, "format", "json", "json (lines) or csv") }),
		sub("erase", "erase", "have the collector erase all that was sent and can still be told apart",
			"Sends each week's random number once and prints the receipts. What is kept here of those weeks goes too.\nStatistics that are published already protect everybody in them, and stay.", alone(interruptible(a.erase)), nil),
		sub("policy", "policy", "ask the collector for its privacy policy and who answers for the data", "", alone(interruptible(a.policyInForce)), nil),
		sub("status", "status", "print what is kept, sent and dropped, and who decided that", "", alone(a.status), nil),
		sub("fields", "fields [-values FIELD]", "print every field that can be sent, why, how coarse and for how long", "", alone(a.fields),
			func(fs *flag.FlagSet) {
				fs.StringVar(&a.values, "values", "", "print what may stand in one field, such as machine or extruders.material_type, as record reads it")
			}),
	}
	return root
}

// flags are the same for every command, so that a host can pass them always.
func (a *agent) flags(name string, more func(*flag.FlagSet)) *flag.FlagSet {
	fs := flag.NewFlagSet("slicemetry-agent "+name, flag.ContinueOnError)
	fs.StringVar(&a.dir, "dir", "", "folder of the decision and the spool (default: slicemetry in the user's configuration folder)")
	fs.StringVar(&a.endpoint, "endpoint", "localhost:4680", "the collector, host:port")
	fs.StringVar(&a.ca, "ca", "", "file of the certificate by which to know the collector (default: the system's roots)")
	fs.StringVar(&a.pin, "pin", "", "keys, with commas, one of which the collector's certificate chain must hold: base64 of the SHA-256 of each")
	fs.StringVar(&a.proxy, "proxy", "", "proxy to go through, a URL, or \"direct\" (default: HTTPS_PROXY says)")
	fs.BoolVar(&a.plaintext, "plaintext", false, "send without TLS, to loopback only")
	fs.BoolVar(&a.json, "json", false, "print JSON")
	fs.UintVar(&a.policy, "policy", 1, "version of the privacy policy that the user is shown")
	if more != nil {
		more(fs)
	}
	return fs
}
