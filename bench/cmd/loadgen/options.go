package main

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/peterbourgon/ff/v3"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/collector"
)

// options is the command line.
type options struct {
	load.Config
	admin     string
	ca        string
	collector string
	plaintext bool
	profile   string
	plot      string
	maxCalls  int
	idle      int
	json      bool
}

const help = `loadgen drives a collector with simulated installations: a fleet with a few
popular machines and a long tail, each batch of one installation, and every batch
that is refused is sent again until it is acknowledged.

Without -target it starts a whole system of its own on loopback (an embedded
ClickHouse, the schema, a collector from -collector), checks at the end that every
acknowledged event is stored exactly once, and measures the collector's process.

  loadgen                                        200,000 events, 10 a call, TLS
  loadgen -batch 100 -events 1000000 -inflight 64
  loadgen -rate 20000 -json                      open loop, 20,000 events a second
  loadgen -target 127.0.0.1:4680 -ca collector.crt

Flags:
`

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), help)
		fs.PrintDefaults()
	}
	fs.StringVar(&o.Target, "target", "", "collector to send to, host:port; empty: start one")
	fs.StringVar(&o.admin, "admin", "", "admin address of that collector, for its books")
	fs.StringVar(&o.ca, "ca", "", "certificate by which to know that collector; empty: the system's roots")
	fs.StringVar(&o.collector, "collector", stack.BesideProgram("collectord"), "binary of the collector to start")
	fs.BoolVar(&o.plaintext, "plaintext", false, "send without TLS")
	fs.IntVar(&o.Installations, "installations", 10_000, "installations that take part")
	fs.IntVar(&o.Connections, "connections", 8, "connections")
	fs.IntVar(&o.InFlight, "inflight", 512, "calls under way at once")
	fs.IntVar(&o.Batch, "batch", 10, "events a call, 1 to 200")
	fs.IntVar(&o.Events, "events", 200_000, "events in all")
	fs.Float64Var(&o.Rate, "rate", 0, "events a second, due whatever happens; 0: as fast as they are acknowledged")
	fs.BoolVar(&o.Churn, "churn", false, "a new connection for each call, as desktops make")
	fs.IntVar(&o.idle, "idle", 0, "open so many idle connections first, from many loopback networks, and say what each costs")
	fs.BoolVar(&o.Compress, "zstd", false, "compress, as the client library does")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of the fleet")
	fs.IntVar(&o.maxCalls, "max-calls", collector.DefaultConfig().MaxCalls, "uploads under way that a collector of its own takes; more are sent away")
	fs.StringVar(&o.plot, "plot", "", "file for a plot of the latencies, SVG")
	fs.StringVar(&o.profile, "profile", "", "file for five seconds of the collector's CPU profile (needs -admin, or a collector of its own)")
	fs.BoolVar(&o.json, "json", false, "print the result as JSON")
	if err := ff.Parse(fs, args, ff.WithEnvVarPrefix("LOADGEN")); err != nil {
		return nil, err
	}
	return o, o.validate(fs.Args())
}

func (o *options) validate(rest []string) error {
	var problems []error
	if len(rest) > 0 {
		problems = append(problems, fmt.Errorf("%q is not a flag", rest[0]))
	}
	for name, n := range map[string]int{"-installations": o.Installations, "-connections": o.Connections, "-inflight": o.InFlight, "-events": o.Events} {
		if n < 1 {
			problems = append(problems, fmt.Errorf("%s is %d, want at least 1", name, n))
		}
	}
	if o.Batch < 1 || o.Batch > 200 {
		problems = append(problems, fmt.Errorf("-batch is %d, want 1 to 200", o.Batch))
	}
	if o.Rate < 0 {
		problems = append(problems, fmt.Errorf("-rate is %g, want 0 or more", o.Rate))
	}
	return errors.Join(problems...)
}

// transport returns how to speak to the collector.
func (o *options) transport() (credentials.TransportCredentials, error) {
	if o.plaintext {
		return insecure.NewCredentials(), nil
	}
	if o.ca == "" {
		return credentials.NewTLS(nil), nil
	}
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, fmt.Errorf("-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("-ca: %s holds no certificate", o.ca)
	}
	return credentials.NewClientTLSFromCert(pool, ""), nil
}
