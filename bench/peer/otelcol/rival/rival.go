// Package rival runs an OpenTelemetry Collector as a process of its own, in front of
// a ClickHouse, so that it can be measured and killed like one.
package rival

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// Mode is how it keeps what it acknowledged and has not stored yet.
type Mode string

// Memory is what its exporter's documentation shows; Disk adds the file storage
// that the same documentation advises where a crash must lose nothing; Wait
// acknowledges only what is stored.
const (
	Memory Mode = "memory"
	Disk   Mode = "disk"
	Wait   Mode = "wait"
)

// BatchRows is what it gathers for one insert: the example's number.
const BatchRows = 5000

const (
	limitMiB     = 4000
	spikeMiB     = limitMiB / 5     // as its documentation advises
	goLimitMiB   = limitMiB * 4 / 5 // likewise
	drainTimeout = 30 * time.Second
	logTail      = 2000 // octets of it that an error quotes
)

//go:embed config.yaml
var configText string

var config = template.Must(template.New("config").Parse(configText))

// Config says how to run one.
type Config struct {
	Program string // its binary
	Dir     string // its files
	Mode    Mode
	Queue   int // events that its sending queue holds
	DB      *localdb.Server
}

// Collector is one of them, running or not.
type Collector struct {
	cfg    Config
	listen string          // the same after a restart
	cmd    *exec.Cmd       // nil when it is stopped
	gone   context.Context // ends with the process
}

// New prepares a collector.
func New(cfg Config) (*Collector, error) {
	listen, err := stack.FreeAddress()
	if err != nil {
		return nil, err
	}
	return &Collector{cfg: cfg, listen: listen}, os.MkdirAll(cfg.Dir, 0o700)
}

// Target returns the address of its OTLP receiver.
func (c *Collector) Target() string { return c.listen }

// Database returns the name of the database that it makes for itself.
func (c *Collector) Database() string { return "otel_" + string(c.cfg.Mode) }

// Pid returns its process id; it must be running.
func (c *Collector) Pid() int { return c.cmd.Process.Pid }

// Start starts it and returns when it listens, which it does after it has connected
// to ClickHouse and made its table.
func (c *Collector) Start(ctx context.Context) error {
	path := filepath.Join(c.cfg.Dir, "otelcol.yaml")
	if err := c.writeConfig(path); err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(c.cfg.Program, "--config", path)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%dMiB", goLimitMiB))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for us
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("rival: %w", err)
	}
	gone, ended := context.WithCancel(context.Background())
	c.cmd, c.gone = cmd, gone
	go func() {
		_ = cmd.Wait() // how it ends is of no interest
		ended()
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(gone, cancel)() // one that ends is not waited for: it does where ClickHouse is away
	if err := stack.WaitListening(ctx, c.listen); err != nil {
		c.Kill()
		said, _ := os.ReadFile(c.logFile())
		return fmt.Errorf("rival: %w; it said: %s", err, said[max(0, len(said)-logTail):])
	}
	return nil
}

func (c *Collector) logFile() string { return filepath.Join(c.cfg.Dir, "otelcol.log") }

func (c *Collector) writeConfig(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it holds a password
	if err != nil {
		return err
	}
	defer f.Close()
	storage := ""
	if c.cfg.Mode == Disk {
		storage = filepath.Join(c.cfg.Dir, "queue")
	}
	return config.Execute(f, map[string]any{
		"Listen": c.listen, "Storage": storage, "Wait": c.cfg.Mode == Wait,
		"ClickHouse": c.cfg.DB.Addr(), "User": localdb.Administrator, "Password": c.cfg.DB.Password(localdb.Administrator), "Database": c.Database(),
		"LimitMiB": limitMiB, "SpikeMiB": spikeMiB, "BatchRows": BatchRows, "Queue": c.cfg.Queue,
	})
}

// Kill ends it with SIGKILL, as a crash would.
func (c *Collector) Kill() { c.end(syscall.SIGKILL) }

// Stop ends it with SIGTERM and waits until it has drained.
func (c *Collector) Stop() { c.end(syscall.SIGTERM) }

func (c *Collector) end(signal syscall.Signal) {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(signal) // fails only where it has ended
	overdue := time.AfterFunc(drainTimeout, func() { _ = c.cmd.Process.Kill() })
	<-c.gone.Done()
	overdue.Stop()
	c.cmd = nil
}
