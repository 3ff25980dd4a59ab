package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/peterbourgon/ff/v3"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

const help = `floor runs the collector and the least that a collector can be (unary gRPC, the
wire walked into columns, an insert, OK after the commit, nothing else) in turns, on
the same database and the same events, and prints the CPU of each for a million
events and their ratio.

  floor                        1, 10 and 100 events a call, 3 rounds
  floor -tls -zstd -rounds 5   as desktops send
  floor -json > floor.json

Flags:
`

// sizes are the batch sizes measured, with what keeps the collector busy.
var sizes = []struct{ Batch, Events, InFlight int }{
	{1, 60_000, 8192},
	{10, 300_000, 4096},
	{100, 1_500_000, 512},
}

const connections = 8

type options struct {
	collector       string
	rounds          int
	tls, zstd, json bool
}

// side is one server's part of a round.
type side struct {
	CPUPerMillion   float64 `json:"cpu_s_per_million"`
	EventsPerSecond float64 `json:"events_per_second"`
}

// result is one batch size's.
type result struct {
	Batch     int       `json:"events_a_call"`
	Collector []side    `json:"collector"`
	Floor     []side    `json:"floor"`
	Ratios    []float64 `json:"ratios"`
	Ratio     float64   `json:"ratio_median"`
	PeakRSS   int64     `json:"collector_peak_rss_bytes"`
}

func compare(ctx context.Context, args []string) error {
	o := &options{}
	fs := flag.NewFlagSet("floor", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), help)
		fs.PrintDefaults()
	}
	fs.StringVar(&o.collector, "collector", stack.BesideProgram("collectord"), "binary of the collector")
	fs.IntVar(&o.rounds, "rounds", 3, "times that each is measured")
	fs.BoolVar(&o.tls, "tls", false, "send with TLS")
	fs.BoolVar(&o.zstd, "zstd", false, "send compressed")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	if err := ff.Parse(fs, args, ff.WithEnvVarPrefix("FLOOR")); err != nil {
		return err
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds is %d, want at least 1", o.rounds)
	}
	return o.run(ctx)
}

func (o *options) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := stack.Start(ctx, stack.Config{Dir: filepath.Join(dir, "stack"), Collector: o.collector, Plaintext: !o.tls,
		Flags: []string{"-max-streams", "10000", "-limit-rate", "10000000", "-limit-burst", "10000000", "-max-calls", "10000", "-max-pending", "500000"}})
	if err != nil {
		return err
	}
	defer s.Stop(context.WithoutCancel(ctx))
	least, err := startFloor(ctx, s, !o.tls)
	if err != nil {
		return err
	}
	defer least.stop()
	var results []result
	for _, size := range sizes {
		r := result{Batch: size.Batch}
		for range o.rounds {
			ours, err := o.measure(ctx, s, s.Target(), s.CollectorPid(), size.Batch, size.Events, size.InFlight)
			if err != nil {
				return err
			}
			theirs, err := o.measure(ctx, s, least.target, least.cmd.Process.Pid, size.Batch, size.Events, size.InFlight)
			if err != nil {
				return err
			}
			r.Collector, r.Floor = append(r.Collector, ours), append(r.Floor, theirs)
			r.Ratios = append(r.Ratios, ours.CPUPerMillion/theirs.CPUPerMillion)
		}
		r.Ratio = median(r.Ratios)
		usage, err := stack.UsageOf(s.CollectorPid())
		if err != nil {
			return err
		}
		r.PeakRSS = usage.PeakRSS
		results = append(results, r)
		o.print(r)
	}
	if o.json {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(results)
	}
	return nil
}

// measure sends events to a server, with an empty table, and reads its CPU.
func (o *options) measure(ctx context.Context, s *stack.Stack, target string, pid, batch, events, inFlight int) (side, error) {
	conn, err := s.Connect(localdb.Administrator)
	if err != nil {
		return side{}, err
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "TRUNCATE TABLE raw.slices"); err != nil {
		return side{}, err
	}
	cfg := load.Config{Target: target, Credentials: insecure.NewCredentials(), Installations: 10_000, Connections: connections,
		InFlight: inFlight, Batch: batch, Events: events, Compress: o.zstd, Seed: 1}
	if o.tls {
		if cfg.Credentials, err = credentials.NewClientTLSFromFile(s.CAFile(), ""); err != nil {
			return side{}, err
		}
	}
	before, err := stack.UsageOf(pid)
	if err != nil {
		return side{}, err
	}
	sent, err := load.Run(ctx, cfg)
	if err != nil {
		return side{}, err
	}
	after, err := stack.UsageOf(pid)
	if err != nil {
		return side{}, err
	}
	var stored uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM raw.slices").Scan(&stored); err != nil {
		return side{}, err
	}
	if stored < uint64(sent.Acked) {
		return side{}, fmt.Errorf("%d events acknowledged, %d stored", sent.Acked, stored)
	}
	return side{(after.CPUSeconds - before.CPUSeconds) / float64(sent.Acked) * 1e6, sent.EventsPerSecond}, nil
}

func (o *options) print(r result) {
	if o.json {
		return
	}
	cpu := func(sides []side) string {
		var all []float64
		for _, s := range sides {
			all = append(all, s.CPUPerMillion)
		}
		return strconv.FormatFloat(median(all), 'f', 2, 64)
	}
	fmt.Printf("%3d events a call: collector %s, floor %s CPU s per million events; ratio %.2f (of %.2f)\n",
		r.Batch, cpu(r.Collector), cpu(r.Floor), r.Ratio, r.Ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
