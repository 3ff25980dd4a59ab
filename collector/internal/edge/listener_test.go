package edge

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// seen counts what a listener closed, by reason.
type seen struct {
	mu    sync.Mutex
	count map[Reason]int // guarded by mu
}

func (s *seen) observe(r Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[r]++
}

func (s *seen) get(r Reason) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[r]
}

// serve starts a listener whose connections are handed to a channel. Its sweeps
// are the test's.
func serve(t *testing.T, cfg Config) (*Listener, <-chan net.Conn, *seen) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &seen{count: map[Reason]int{}}
	cfg.Observe, cfg.tick = s.observe, time.Hour
	l := Listen(inner, cfg)
	accepted := make(chan net.Conn, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l, accepted, s
}

func dial(t *testing.T, l *Listener, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// expectClosed checks that the other side closed, and did not only fall silent.
func expectClosed(t *testing.T, c net.Conn, what string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s: the connection is still open", what)
	}
}

func sweep(l *Listener, ticks int) {
	for range ticks {
		l.sweepOnce()
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in five seconds", what)
		}
	}
}

// The caps hold, what is over them is closed and counted, and a place that
// becomes free is given again.
func TestCaps(t *testing.T) {
	l, accepted, s := serve(t, Config{MaxConns: 3, MaxNetwork: 2})
	dial(t, l, "127.0.1.1")
	dial(t, l, "127.0.1.2")
	first := <-accepted
	<-accepted
	expectClosed(t, dial(t, l, "127.0.1.3"), "the third of a network")
	dial(t, l, "127.0.2.1")
	<-accepted
	expectClosed(t, dial(t, l, "127.0.3.1"), "the fourth of all")
	if s.get(TooManyHere) != 1 || s.get(TooMany) != 1 || l.Open() != 3 {
		t.Errorf("%v, %d open, want one of each and 3", s.count, l.Open())
	}
	first.Close()
	first.Close() // counts once
	dial(t, l, "127.0.1.4")
	<-accepted
	kept := 0
	for _, n := range l.networks {
		kept += n
	}
	if l.Open() != 3 || kept != 3 {
		t.Errorf("%d open, %d on networks' accounts, want 3", l.Open(), kept)
	}
}

// What is counted is forgotten with the last connection: nothing of a network is
// kept.
func TestNothingIsKept(t *testing.T) {
	l, accepted, _ := serve(t, Config{})
	for range 5 {
		dial(t, l, "127.0.9.1")
		(<-accepted).Close()
	}
	if len(l.networks) != 0 || len(l.conns) != 0 {
		t.Errorf("%d networks and %d connections are left", len(l.networks), len(l.conns))
	}
}

func TestAcceptPace(t *testing.T) {
	l, accepted, _ := serve(t, Config{AcceptRate: 20})
	start := time.Now()
	for range 30 { // 20 at once, 10 more in half a second
		dial(t, l, "127.0.0.1")
	}
	for range 30 {
		<-accepted
	}
	if took := time.Since(start); took < 400*time.Millisecond || took > 3*time.Second {
		t.Errorf("30 connections at 20 a second took %s, want half a second", took)
	}
}

// A peer that sends and earns no answer is cut after Progress, one tick late at most.
func TestReadStall(t *testing.T) {
	l, accepted, s := serve(t, Config{Progress: 5 * time.Second})
	client := dial(t, l, "127.0.0.1")
	server := <-accepted
	write(t, server, "hello") // as HTTP/2 settings
	write(t, client, strings.Repeat("x", smallTalk))
	read(t, server, smallTalk)
	sweep(l, 20)
	if s.get(ReadStalled) != 0 {
		t.Fatal("a connection that rests after small talk is closed")
	}
	write(t, client, "y")
	read(t, server, 1)
	sweep(l, 5)
	write(t, server, "an answer")
	write(t, client, "small talk again")
	read(t, server, len("small talk again"))
	sweep(l, 20)
	if s.get(ReadStalled) != 0 {
		t.Fatal("a connection that rests after an answer is closed")
	}
	write(t, server, "an answer")
	write(t, client, strings.Repeat("x", smallTalk+1))
	read(t, server, smallTalk+1)
	for range 5 { // octet by octet
		sweep(l, 1)
		write(t, client, "z")
		read(t, server, 1)
	}
	if s.get(ReadStalled) != 0 {
		t.Fatal("closed too early")
	}
	sweep(l, 1)
	if s.get(ReadStalled) != 1 {
		t.Error("a peer that trickles is served on")
	}
	expectClosed(t, client, "a peer that trickles")
}

// A peer that says nothing from the start is cut likewise.
func TestSilence(t *testing.T) {
	l, accepted, s := serve(t, Config{Progress: 5 * time.Second})
	client := dial(t, l, "127.0.0.1")
	<-accepted
	sweep(l, 6)
	if s.get(ReadStalled) != 1 || l.Open() != 0 {
		t.Errorf("%v, %d open", s.count, l.Open())
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a silent peer's connection ends with %v, want a reset: nothing of it is kept", err)
	}
}

// A peer that does not read is cut after WriteStall, and the writer is free.
func TestWriteStall(t *testing.T) {
	l, accepted, s := serve(t, Config{WriteStall: 3 * time.Second})
	dial(t, l, "127.0.0.1")
	server := <-accepted
	ended := make(chan error)
	go func() {
		for {
			if _, err := server.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	eventually(t, "a write under way", func() bool { return server.(*conn).writing.Load() != 0 })
	for s.get(WriteStalled) == 0 {
		sweep(l, 1)
		time.Sleep(10 * time.Millisecond)
	}
	<-ended
	if l.Open() != 0 {
		t.Errorf("%d open", l.Open())
	}
}

// Nothing lives for ever, however lively it is.
func TestLife(t *testing.T) {
	l, accepted, s := serve(t, Config{Life: 4 * time.Second, Progress: -1})
	client := dial(t, l, "127.0.0.1")
	server := <-accepted
	for range 4 {
		sweep(l, 1)
		write(t, client, "ping")
		read(t, server, 4)
		write(t, server, "pong")
	}
	if s.get(TooOld) != 0 {
		t.Fatal("closed too early")
	}
	sweep(l, 1)
	if s.get(TooOld) != 1 {
		t.Error("a connection lives for ever")
	}
}

// Close ends a wait for the pace, and the sweep.
func TestClose(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, Config{AcceptRate: 0.001})
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept() = %v, want net.ErrClosed", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close() = %v", err)
	}
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// Without a word about it each limit holds, with the value that the documents name.
func TestDefaults(t *testing.T) {
	l, _, _ := serve(t, Config{})
	for name, limit := range map[string]struct{ got, want any }{
		"connections":             {l.cfg.MaxConns, min(50_000, openFiles()-256)},
		"of one network":          {l.cfg.MaxNetwork, 1000},
		"new ones a second":       {l.cfg.AcceptRate, 1000.0},
		"sending for nothing":     {l.cfg.Progress, 20 * time.Second},
		"not reading":             {l.cfg.WriteStall, 10 * time.Second},
		"a connection's life":     {l.cfg.Life, 90 * time.Second},
		"octets of small talk":    {smallTalk, 128},
		"time between two sweeps": {defaultTick, time.Second},
	} {
		if limit.got != limit.want {
			t.Errorf("%s: %v, want %v", name, limit.got, limit.want)
		}
	}
}

// Who is turned away takes no token of those that are let in.
func TestTurnedAwayTakeNoPace(t *testing.T) {
	l, accepted, s := serve(t, Config{AcceptRate: 10, MaxNetwork: 1})
	dial(t, l, "127.0.0.1")
	<-accepted
	const flood = 200
	for range flood {
		dial(t, l, "127.0.0.1") // the kernel takes it
	}
	dial(t, l, "127.0.1.1")
	select {
	case <-accepted:
	case <-time.After(5 * time.Second): // their tokens would have taken twenty
		t.Errorf("nobody else is let in after %d were turned away", s.get(TooManyHere))
	}
}
