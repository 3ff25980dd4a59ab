package localdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/gofrs/flock"
)

// Server is a running ClickHouse.
type Server struct {
	cfg    Config
	engine string
	lock   *flock.Flock // held while the server runs

	mu      sync.Mutex
	id      identity // guarded by mu
	current *process // guarded by mu; nil when stopped
}

// process is one life of the engine.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // closing it ends the engine
	stderr *tail         // what it said last
	done   chan struct{} // closed when it has ended
	err    error         // why; set before done is closed
}

const (
	startTimeout = 60 * time.Second      // recovery of large tables after a crash takes a while
	probePause   = 20 * time.Millisecond // an engine is ready in about 150 ms
	dialTimeout  = 5 * time.Second       // a hung server must not hang its clients
	stopTimeout  = 30 * time.Second      // then it is killed
	tailBytes    = 4 << 10               // of its standard error
	lockFile     = "lock"                // freed by the kernel with its holder
	hold         = `SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT * FROM file('/dev/stdin', 'LineAsString', 'line String') FORMAT Null`
)

// Start starts a server and returns when it answers.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("localdb: %w", err)
	}
	engine, err := findEngine(cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("localdb: %w", err)
	}
	if cfg.Dir, err = prepareDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("localdb: %w", err)
	}
	s := &Server{cfg: cfg, engine: engine, lock: flock.New(filepath.Join(cfg.Dir, lockFile), flock.SetPermissions(0o600))}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("localdb: start in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	held, err := s.lock.TryLock()
	if err != nil {
		return err
	}
	if !held {
		return ErrDirInUse
	}
	if err := s.launch(ctx); err != nil {
		return errors.Join(err, s.lock.Unlock())
	}
	return nil
}

// launch begins a life of the engine and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	id, err := loadIdentity(s.cfg)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	if err := writeSettings(s.cfg, id); err != nil {
		return err
	}
	p, err := s.spawn(id)
	if err != nil {
		return err
	}
	if err := s.waitReady(ctx, p); err != nil {
		p.kill()
		return err
	}
	s.mu.Lock()
	s.current = p
	s.mu.Unlock()
	return nil
}

func (s *Server) spawn(id identity) (*process, error) {
	args := []string{
		"--config-file", filepath.Join(s.cfg.Dir, "config.xml"),
		"--path", filepath.Join(s.cfg.Dir, "data"),
		"--log-level", "error",
		"--query", hold, "--",
		"--listen_host=127.0.0.1",
		fmt.Sprintf("--tcp_port=%d", id.TCPPort), fmt.Sprintf("--http_port=%d", id.HTTPPort),
	}
	cmd := exec.Command(s.engine, append([]string{"local"}, args...)...)
	if isLibrary(s.engine) {
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd = exec.Command(program, args...)
		cmd.Env = append(os.Environ(), childVariable+"="+s.engine)
	}
	cmd.Dir = s.cfg.Dir
	// A group of its own: an interrupt from the terminal is for this process,
	// which then ends the engine in its own order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd, stderr: &tail{}, done: make(chan struct{})}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the engine, which kill and Stop wait for
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// waitReady returns when the engine answers a query, or why it will not.
func (s *Server) waitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := clickhouse.Open(s.Options(Administrator))
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		err := conn.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.death()
		case <-ctx.Done():
			return fmt.Errorf("it did not answer in %s: %w", startTimeout, err)
		case <-time.After(probePause):
		}
	}
}

// Options returns how to connect as a user.
func (s *Server) Options(user string) *clickhouse.Options {
	return &clickhouse.Options{
		Addr:        []string{s.Addr()},
		Auth:        clickhouse.Auth{Username: user, Password: s.Password(user)},
		DialTimeout: dialTimeout,
	}
}

// DSN returns the same as a text.
func (s *Server) DSN(user string) string {
	return fmt.Sprintf("clickhouse://%s:%s@%s?dial_timeout=%s", user, s.Password(user), s.Addr(), dialTimeout)
}

// Addr returns host:port of the native protocol.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.identity().TCPPort) }

// HTTPAddr returns host:port of the HTTP protocol.
func (s *Server) HTTPAddr() string { return fmt.Sprintf("127.0.0.1:%d", s.identity().HTTPPort) }

// Password returns a user's password, "" for a user that does not exist.
func (s *Server) Password(user string) string { return s.identity().Passwords[user] }

// Dir returns the server's directory.
func (s *Server) Dir() string { return s.cfg.Dir }

// Engine returns the path of the library or binary that runs.
func (s *Server) Engine() string { return s.engine }

// Pid returns the engine's process id, 0 when it is stopped.
func (s *Server) Pid() int {
	if p := s.process(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Done is closed when the engine has ended, for whatever reason. After a Restart
// there is a new one.
func (s *Server) Done() <-chan struct{} {
	if p := s.process(); p != nil {
		return p.done
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Err says why the engine ended: nil while it runs or after a clean stop.
func (s *Server) Err() error {
	p := s.process()
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return p.death()
	default:
		return nil
	}
}

func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *Server) identity() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// take leaves the server stopped and returns what ran.
func (s *Server) take() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.current
	s.current = nil
	return p
}

// Stop ends the engine cleanly and returns when it has ended.
func (s *Server) Stop(ctx context.Context) error {
	p := s.take()
	if p == nil {
		return nil
	}
	defer s.lock.Unlock()
	p.stdin.Close()
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("localdb: stop: the engine did not end and was killed: %w", ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("localdb: stop: %w", p.death())
	}
	return nil
}

// Kill ends the engine with SIGKILL, as a crash would, and returns when it has ended.
func (s *Server) Kill() error {
	p := s.take()
	if p == nil {
		return nil
	}
	p.kill()
	return s.lock.Unlock()
}

// Restart starts the engine again, on the same directory and ports, ending it
// first where it still runs.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("localdb: restart in %s: %w", s.cfg.Dir, err)
	}
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only where it has ended
	<-p.done
	p.stdin.Close()
}

// death says how the engine ended and what it said last.
func (p *process) death() error {
	said := strings.TrimSpace(p.stderr.String())
	if p.err == nil {
		return fmt.Errorf("%w; it said: %s", ErrDied, said)
	}
	return fmt.Errorf("%w (%w); it said: %s", ErrDied, p.err, said)
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = bytes.Clone(t.text[extra:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
