package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3"

	"github.com/slicemetry/slicemetry/bench/peer/otelcol/rival"
	"github.com/slicemetry/slicemetry/bench/stack"
)

const help = `peer runs our collector and an OpenTelemetry Collector in turns, on the same events
and the same ClickHouse, and prints for each what it stores a second, its CPU for
a million events, its peak memory and the octets that a stored event takes; then
it sends to all of them at once, kills them, takes ClickHouse away, and counts
which of the events that they acknowledged are not stored.

  peer                                           all of it, some 5 minutes
  peer -events 5000 -rounds 1 -kills 1 -away 3s  does it work? half a minute
  peer -json peer.json                           the numbers as JSON too

Flags:
`

// options is the command line.
type options struct {
	collector, otelcol string
	modes              []rival.Mode
	events             int
	inFlight           int
	queue              int
	rounds             int
	rate               float64
	kills              int
	away               time.Duration
	json               string
}

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("peer", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), help)
		fs.PrintDefaults()
	}
	var modes string
	fs.StringVar(&o.collector, "collector", stack.BesideProgram("collectord"), "binary of our collector")
	fs.StringVar(&o.otelcol, "otelcol", stack.BesideProgram("otelcol"), "binary of the OpenTelemetry Collector")
	fs.StringVar(&modes, "modes", "memory,disk,wait", "how that one keeps what it has not stored yet: its queue in memory, on disk, or no acknowledgement before")
	fs.IntVar(&o.events, "events", 0, "events of a round, in thousands of five; 0: enough for each number of events a call")
	fs.IntVar(&o.inFlight, "inflight", 0, "calls under way at once; 0: enough for each number of events a call")
	fs.IntVar(&o.queue, "queue", 10_000, "events that the other's sending queue holds; more take more memory")
	fs.IntVar(&o.rounds, "rounds", 3, "times that each is measured; 0: only what is lost")
	fs.Float64Var(&o.rate, "rate", 2000, "events a second for each, where it is seen what is lost")
	fs.IntVar(&o.kills, "kills", 3, "times that each is killed; 0: not at all")
	fs.DurationVar(&o.away, "away", 30*time.Second, "how long ClickHouse is away; 0: not at all")
	fs.StringVar(&o.json, "json", "", "file for the result as JSON")
	if err := ff.Parse(fs, args, ff.WithEnvVarPrefix("PEER")); err != nil {
		return nil, err
	}
	for mode := range strings.SplitSeq(modes, ",") {
		o.modes = append(o.modes, rival.Mode(mode))
	}
	return o, o.validate(fs.Args())
}

func (o *options) validate(rest []string) error {
	var problems []error
	if len(rest) > 0 {
		problems = append(problems, fmt.Errorf("%q is not a flag", rest[0]))
	}
	for _, mode := range o.modes {
		if mode != rival.Memory && mode != rival.Disk && mode != rival.Wait {
			problems = append(problems, fmt.Errorf("-modes: %q is none of memory, disk, wait", mode))
		}
	}
	// Otherwise the last insert of a round waits five seconds for more, which would be
	// counted against who does no wrong.
	if o.events < 0 || o.events%rival.BatchRows != 0 {
		problems = append(problems, fmt.Errorf("-events is %d, want a multiple of %d", o.events, rival.BatchRows))
	}
	if o.rounds < 0 || o.kills < 0 || o.away < 0 || o.inFlight < 0 {
		problems = append(problems, errors.New("-rounds, -kills, -away and -inflight must not be negative"))
	}
	if o.queue < rival.BatchRows {
		problems = append(problems, fmt.Errorf("-queue is %d, want at least a batch of %d", o.queue, rival.BatchRows))
	}
	if o.rate <= 0 {
		problems = append(problems, fmt.Errorf("-rate is %g, want more than 0", o.rate))
	}
	return errors.Join(problems...)
}
