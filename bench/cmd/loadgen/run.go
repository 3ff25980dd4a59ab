package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// report is the whole result.
type report struct {
	load.Result
	Events        int               `json:"events"`
	Batch         int               `json:"batch"`
	InFlight      int               `json:"in_flight"`
	TLS           bool              `json:"tls"`
	Accounting    *stack.Accounting `json:"accounting,omitempty"`
	Stored        *uint64           `json:"stored_once,omitempty"` // rows in the table, repetitions folded
	CPUPerMillion float64           `json:"collector_cpu_s_per_million,omitempty"`
	PeakRSS       int64             `json:"collector_peak_rss_bytes,omitempty"`
}

var errLost = errors.New("acknowledged and stored events differ")

func (o *options) run(ctx context.Context) (err error) {
	var own *stack.Stack
	if o.Target == "" {
		dir, err := os.MkdirTemp("", "loadgen")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		own, err = stack.Start(ctx, stack.Config{Dir: dir, Collector: o.collector, Plaintext: o.plaintext,
			Flags: []string{"-max-streams", strconv.Itoa(o.InFlight), "-max-calls", strconv.Itoa(o.maxCalls), "-limit-rate", "0"}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.Stop(context.WithoutCancel(ctx))) }()
		o.Target, o.admin, o.ca = own.Target(), own.Admin(), own.CAFile()
	}
	if o.Credentials, err = o.transport(); err != nil {
		return err
	}
	o.Progress = func(acked int64) { fmt.Fprintf(os.Stderr, "\r%d of %d events acknowledged", acked, o.Events) }
	if o.idle > 0 && own != nil {
		hold, err := o.openIdle(own)
		if err != nil {
			return err
		}
		defer hold.Close()
	}
	profiled := make(chan error, 1)
	go func() { profiled <- o.saveProfile(ctx) }()
	result, err := load.Run(ctx, o.Config)
	fmt.Fprint(os.Stderr, "\r")
	if err := errors.Join(err, <-profiled); err != nil {
		return err
	}
	if o.plot != "" {
		title := fmt.Sprintf("%.0f events/s, %d a call", result.EventsPerSecond, o.Batch)
		if err := os.WriteFile(o.plot, load.Plot(title, result.Latencies), 0o644); err != nil {
			return fmt.Errorf("-plot: %w", err)
		}
	}
	r := report{Result: result, Events: o.Events, Batch: o.Batch, InFlight: o.InFlight, TLS: !o.plaintext}
	if err := o.addBooks(ctx, &r, own); err != nil {
		return err
	}
	if err := o.print(r); err != nil {
		return err
	}
	if r.Stored != nil && *r.Stored != uint64(r.Acked) {
		return fmt.Errorf("%w: %d and %d", errLost, r.Acked, *r.Stored)
	}
	return nil
}

// openIdle opens idle connections and prints what each takes of the collector's memory.
func (o *options) openIdle(own *stack.Stack) (*load.Idle, error) {
	before, err := stack.UsageOf(own.CollectorPid())
	if err != nil {
		return nil, err
	}
	hold, err := load.OpenIdle(o.Target, o.Credentials, o.idle)
	if err != nil {
		return nil, err
	}
	after, err := stack.UsageOf(own.CollectorPid())
	fmt.Fprintf(os.Stderr, "idle connections   %d, %.1f KiB each\n", o.idle, float64(after.PeakRSS-before.PeakRSS)/float64(o.idle)/1024)
	return hold, err
}

// saveProfile asks the collector for its profile while it works.
func (o *options) saveProfile(ctx context.Context) error {
	if o.profile == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.admin+"/debug/pprof/profile?seconds=5", nil)
	if err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	defer response.Body.Close()
	f, err := os.Create(o.profile)
	if err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	_, err = io.Copy(f, response.Body)
	return errors.Join(err, f.Close())
}

// addBooks adds what the collector and the database say.
func (o *options) addBooks(ctx context.Context, r *report, own *stack.Stack) error {
	if o.admin != "" {
		metrics, err := stack.ReadMetrics(ctx, o.admin)
		if err != nil {
			return fmt.Errorf("-admin: %w", err)
		}
		accounting := metrics.Accounting()
		r.Accounting = &accounting
	}
	if own == nil {
		return nil
	}
	usage, err := stack.UsageOf(own.CollectorPid())
	if err != nil {
		return err
	}
	r.PeakRSS, r.CPUPerMillion = usage.PeakRSS, usage.CPUSeconds/float64(r.Acked)*1e6
	conn, err := own.Connect(localdb.Administrator)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.Stored = new(uint64)
	return conn.QueryRow(ctx, "SELECT count() FROM raw.slices FINAL").Scan(r.Stored)
}

func (o *options) print(r report) error {
	if o.json {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	fmt.Printf("acknowledged       %d events in %.1f s, %d calls\n", r.Acked, r.Seconds, r.Attempts)
	fmt.Printf("throughput         %.0f events/s\n", r.EventsPerSecond)
	fmt.Printf("ack latency        p50 %.0f ms, p99 %.0f ms, max %.0f ms\n", r.P50Ms, r.P99Ms, r.MaxMs)
	for code, n := range r.Refused {
		fmt.Printf("refused            %d calls with %s (sent again)\n", n, code)
	}
	if a := r.Accounting; a != nil {
		fmt.Printf("collector's books  received %d = stored %d + rejected %d + shed %d + failed %d (balanced: %t)\n",
			a.Received, a.Stored, a.Rejected, a.Shed, a.Failed, a.Balanced())
	}
	if r.Stored != nil {
		fmt.Printf("in the table       %d events, each once\n", *r.Stored)
		fmt.Printf("collector CPU      %.1f s per million events\n", r.CPUPerMillion)
		fmt.Printf("collector memory   %.0f MiB at its peak\n", float64(r.PeakRSS)/(1<<20))
	}
	return nil
}
