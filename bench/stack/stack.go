// Package stack runs the whole system on one machine, with its real parts: a
// ClickHouse with the schema, and the collector as a process of its own that can
// be killed like one. The demonstration, the load test and the end-to-end tests
// use it.
//
// Everything lives in one folder and listens on loopback. What Start started,
// Stop stops, each by its own process id.
package stack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/internal/port"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

// Config says where a stack lives.
type Config struct {
	Dir       string   // everything: data, keys, certificates, logs
	Collector string   // the collector's binary
	Flags     []string // more flags for it
	Plaintext bool     // without TLS
	// Database says how the collector reaches ClickHouse, given the DSN that leads
	// straight there. It is asked at each start. nil: straight.
	Database func(dsn string) string
}

// Stack is a running system.
type Stack struct {
	DB *localdb.Server

	cfg    Config
	listen string // the collector's address, the same after a restart
	admin  string

	database sync.Mutex // held while ClickHouse is ended or started
	mending  sync.WaitGroup
	stopMend context.CancelFunc

	mu        sync.Mutex
	collector *process // guarded by mu; nil when it is stopped
}

// process is one life of the collector.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it has ended
	err  error         // set before done is closed
}

// policies is what the installations of this machine agree to.
//
//go:embed policies.json
var policies []byte

const policyFile = "policies.json"

// Operator returns who answers for this machine's data.
func (s *Stack) Operator() (operator.Operator, error) { return operator.Parse(policies) }

const (
	readyTimeout = 30 * time.Second
	drainTimeout = 30 * time.Second // a collector flushes what it has accepted
	probePause   = 20 * time.Millisecond
)

// Start starts ClickHouse, applies the schema and starts a collector.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("stack: %w", err)
	}
	db, err := localdb.Start(ctx, localdb.Config{Dir: filepath.Join(cfg.Dir, "clickhouse"), Users: migrations.Users()})
	if err != nil {
		return nil, fmt.Errorf("stack: %w", err)
	}
	s := &Stack{DB: db, cfg: cfg}
	mend, stopMend := context.WithCancel(context.Background())
	s.stopMend = stopMend
	s.mending.Go(func() { s.mendDB(mend) })
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("stack: %w", err), s.Stop(ctx))
	}
	return s, nil
}

func (s *Stack) prepare(ctx context.Context) error {
	conn, err := s.Connect(migrations.Migrator)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := migrations.Apply(ctx, conn); err != nil {
		return err
	}
	if err := writeCertificate(s.cfg.Dir); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.cfg.Dir, policyFile), policies, 0o600); err != nil {
		return err
	}
	if s.listen, err = FreeAddress(); err != nil {
		return err
	}
	if s.admin, err = FreeAddress(); err != nil {
		return err
	}
	return s.StartCollector(ctx)
}

// Connect opens a connection to the database as a user.
func (s *Stack) Connect(user string) (driver.Conn, error) {
	return clickhouse.Open(s.DB.Options(user))
}

// Stored returns how many events a reader sees, and how many rows there are: a batch that
// was stored twice under the same key is read once. Only a comparison with what was sent
// tells whether something is there twice or not at all.
func (s *Stack) Stored(ctx context.Context) (read, rows uint64, err error) {
	conn, err := s.Connect(migrations.Aggregator)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	err = conn.QueryRow(ctx, "SELECT (SELECT count() FROM raw.slices FINAL), (SELECT count() FROM raw.slices)").Scan(&read, &rows)
	return read, rows, err
}

// Target returns the collector's public address.
func (s *Stack) Target() string { return s.listen }

// Admin returns the address of the collector's metrics and health.
func (s *Stack) Admin() string { return s.admin }

// CAFile returns the certificate by which a client knows the collector.
func (s *Stack) CAFile() string { return filepath.Join(s.cfg.Dir, certificateFile) }

// KeyFile returns the key of that certificate.
func (s *Stack) KeyFile() string { return filepath.Join(s.cfg.Dir, keyFile) }

// LogFile returns the collector's log.
func (s *Stack) LogFile() string { return filepath.Join(s.cfg.Dir, "collector.log") }

// CollectorPid returns the collector's process id, 0 when it is stopped.
func (s *Stack) CollectorPid() int {
	if p := s.process(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// StartCollector starts the collector and returns when it is ready.
func (s *Stack) StartCollector(ctx context.Context) error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(s.cfg.Collector, append(s.flags(), s.cfg.Flags...)...)
	// The password goes by the environment: arguments are for everybody to see.
	dsn := s.DB.DSN(migrations.Collector)
	if s.cfg.Database != nil {
		dsn = s.cfg.Database(dsn)
	}
	cmd.Env = append(os.Environ(), "COLLECTORD_CLICKHOUSE="+dsn)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for us
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the collector: %w", err), log.Close())
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() { // ends with the process, which KillCollector and Stop wait for
		p.err = cmd.Wait()
		log.Close()
		close(p.done)
	}()
	s.mu.Lock()
	s.collector = p
	s.mu.Unlock()
	return s.waitReady(ctx, p)
}

func (s *Stack) flags() []string {
	flags := []string{"-listen", s.listen, "-admin", s.admin, "-keys", filepath.Join(s.cfg.Dir, "keys"),
		"-policy", filepath.Join(s.cfg.Dir, policyFile)}
	if s.cfg.Plaintext {
		return append(flags, "-plaintext")
	}
	return append(flags, "-tls-cert", s.CAFile(), "-tls-key", s.KeyFile())
}

func (s *Stack) waitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if Ready(ctx, s.admin) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the collector ended (%v); see %s", p.err, s.LogFile())
		case <-ctx.Done():
			return fmt.Errorf("the collector is not ready: %w; see %s", ctx.Err(), s.LogFile())
		case <-time.After(probePause):
		}
	}
}

// Ready reports whether the collector whose admin address is given could store a
// batch now.
func Ready(ctx context.Context, admin string) bool { return Readiness(ctx, admin) == "ready\n" }

// Readiness is what that collector says of it, "" where it cannot be asked.
func Readiness(ctx context.Context, admin string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(response.Body) // cut off is as good as not said
	return string(said)
}

// KillCollector ends the collector with SIGKILL, as a crash would.
func (s *Stack) KillCollector() { s.end(syscall.SIGKILL) }

// StopCollector ends the collector with SIGTERM and waits until it has drained.
func (s *Stack) StopCollector() { s.end(syscall.SIGTERM) }

func (s *Stack) end(signal syscall.Signal) {
	s.mu.Lock()
	p := s.collector
	s.collector = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // fails only where it has ended
	select {
	case <-p.done:
	case <-time.After(drainTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (s *Stack) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.collector
}

// CrashDB ends ClickHouse with SIGKILL, calls away while it is gone, and starts
// it again.
func (s *Stack) CrashDB(ctx context.Context, away func()) error {
	s.database.Lock()
	defer s.database.Unlock()
	if err := s.DB.Kill(); err != nil {
		return err
	}
	away()
	return s.DB.Restart(ctx)
}

// mendDB starts ClickHouse again where it ended by itself, as a service manager
// would, until ctx ends.
func (s *Stack) mendDB(ctx context.Context) {
	for due := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.DB.Done():
		}
		s.database.Lock()
		if (due || s.DB.Err() != nil) && ctx.Err() == nil {
			due = errors.Join(s.DB.Kill(), s.DB.Restart(ctx)) != nil // a full disk, say: it is tried again
		}
		s.database.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(probePause):
		}
	}
}

// Stop stops everything, the collector first.
func (s *Stack) Stop(ctx context.Context) error {
	s.StopCollector()
	s.stopMend()
	s.mending.Wait()
	if err := s.DB.Stop(ctx); !errors.Is(err, localdb.ErrDied) {
		return err
	}
	return nil // an engine that ends uncleanly has lost nothing that was acknowledged
}

// FreeAddress returns a loopback address that nobody listens at, each once.
func FreeAddress() (string, error) {
	free, err := port.Free()
	return fmt.Sprintf("127.0.0.1:%d", free), err
}

// WaitListening returns when somebody listens at an address.
func WaitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stack: nobody listens at %s: %w", address, ctx.Err())
		case <-time.After(probePause):
		}
	}
}

// BesideProgram is a binary in this program's folder, where `make build` puts it.
func BesideProgram(name string) string {
	program, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(program), name)
}
