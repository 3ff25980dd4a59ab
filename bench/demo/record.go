package demo

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/internal/period"
)

const (
	workers    = 48                     // installations that are awake at once
	retryPause = 100 * time.Millisecond // the collector asks for 300 ms on average
	exitKept   = 4                      // of slicemetry-agent: not sent, kept
)

// record lets every installation record its weeks through the client library and
// send them, while the collector and the database are killed.
func (d *demo) record(ctx context.Context) error {
	d.say("%d installations record %d weeks (%s to %s) through the client library and upload", d.Installations, len(d.weeks), d.weeks[0], d.weeks[len(d.weeks)-1])
	roots, err := d.roots()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done, sent atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(d.Installations) && ctx.Err() == nil; i = next.Add(1) - 1 {
				n, err := d.installation(ctx, int(i), roots)
				if err != nil {
					cancel(fmt.Errorf("installation %d: %w", i, err))
				}
				sent.Add(n)
				done.Add(1)
			}
		})
	}
	disturbed := make(chan error, 1)
	go func() { disturbed <- d.disturb(ctx, &done) }()
	group.Wait()
	err = <-disturbed
	d.sent = sent.Load()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	d.say("%d events acknowledged", d.sent)
	return err
}

func (d *demo) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(d.stack.CAFile())
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the stack's certificate is no certificate")
	}
	return pool, nil
}

// installation is one slicer: its user agreed, it records each week in that
// week, and sends everything today.
func (d *demo) installation(ctx context.Context, i int, roots *x509.CertPool) (acknowledged int64, err error) {
	now := d.weeks[0].Start()
	var clock atomic.Pointer[time.Time]
	clock.Store(&now)
	c, err := client.Open(client.Config{
		Dir: filepath.Join(d.Dir, "clients", fmt.Sprint(i)), Endpoint: d.stack.Target(), RootCAs: roots,
		Now: func() time.Time { return *clock.Load() }, Getenv: func(string) string { return "" },
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Grant(1); err != nil {
		return 0, err
	}
	for _, week := range d.weeks {
		d.week(c, i, week, &clock)
	}
	today := time.Now()
	clock.Store(&today)
	if err := flush(ctx, c, &clock); err != nil {
		return 0, err
	}
	return c.Status().Sent, nil
}

func (d *demo) week(c *client.Client, i int, week period.Period, clock *atomic.Pointer[time.Time]) {
	within := week.Start().Add(time.Duration(i%7) * 24 * time.Hour)
	clock.Store(&within)
	activity := d.fleet.Week(i, week)
	for _, s := range activity.Slices {
		c.Record(s)
	}
	if activity.Counters != nil {
		c.Count(activity.Counters)
	}
}

// flush sends until everything is acknowledged.
func flush(ctx context.Context, c *client.Client, clock *atomic.Pointer[time.Time]) error {
	for {
		err := c.Flush(ctx)
		var retry *client.RetryError
		if !errors.As(err, &retry) {
			return err
		}
		if !load.Sleep(ctx, retryPause) {
			return ctx.Err()
		}
		now := time.Now()
		clock.Store(&now)
	}
}

// disturb kills the collector when a third of the fleet is done, and the
// database when two thirds are, and starts them again.
func (d *demo) disturb(ctx context.Context, done *atomic.Int64) error {
	if !d.wait(ctx, done, d.Installations/3) {
		return nil
	}
	d.say("kill -9 of the collector (process %d)", d.stack.CollectorPid())
	d.stack.KillCollector()
	if !load.Sleep(ctx, time.Second) {
		return nil
	}
	if err := d.stack.StartCollector(ctx); err != nil {
		return err
	}
	d.say("the collector is back; clients send again what was not acknowledged")
	if !d.wait(ctx, done, 2*d.Installations/3) {
		return nil
	}
	d.say("kill -9 of ClickHouse (process %d)", d.stack.DB.Pid())
	if err := d.stack.CrashDB(ctx, func() { load.Sleep(ctx, time.Second) }); err != nil {
		return err
	}
	d.say("ClickHouse is back")
	return nil
}

// wait returns when so many installations are done, saying how far they are.
func (d *demo) wait(ctx context.Context, done *atomic.Int64, target int) bool {
	for said := time.Now(); done.Load() < int64(target); {
		if !load.Sleep(ctx, retryPause) {
			return false
		}
		if time.Since(said) > 5*time.Second {
			d.say("  %d of %d installations are done", done.Load(), d.Installations)
			said = time.Now()
		}
	}
	return true
}

// importCura sends the sample payloads as a host that is not written in Go would.
func (d *demo) importCura(ctx context.Context) error {
	d.say("Importing Cura payloads with slicemetry-agent: %s", d.Payloads)
	flags := []string{"-dir", filepath.Join(d.Dir, "clients", "cura"), "-endpoint", d.stack.Target(), "-ca", d.stack.CAFile()}
	for _, args := range [][]string{{"consent", "grant"}, {"import-cura", d.Payloads}, {"flush"}} {
		out, err := d.agent(ctx, append(append([]string{args[0]}, flags...), args[1:]...))
		if err != nil {
			return err
		}
		var n int64
		if _, err := fmt.Sscanf(out, "%d events acknowledged", &n); err == nil {
			d.sent += n
			d.say("%d imported events acknowledged", n)
		}
	}
	return nil
}

// agent runs slicemetry-agent, again where it was told to come back.
func (d *demo) agent(ctx context.Context, args []string) (string, error) {
	for {
		cmd := exec.CommandContext(ctx, filepath.Join(d.Bin, "slicemetry-agent"), args...)
		cmd.Env = append(os.Environ(), "CI=", "DO_NOT_TRACK=", "SLICEMETRY=") // the demonstration is not telemetry
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return out.String(), nil
		case errors.As(err, &exit) && exit.ExitCode() == exitKept && load.Sleep(ctx, retryPause):
			continue
		}
		return "", fmt.Errorf("slicemetry-agent %s: %w: %s", args[0], err, said.String())
	}
}
