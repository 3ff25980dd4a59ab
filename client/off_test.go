package client_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
)

// ear is a server that only listens, and knows what it heard.
type ear struct {
	net.Listener
	own chan struct{} // a connection of its own was accepted

	mu     sync.Mutex
	open   map[net.Conn]bool // guarded by mu, as is all below
	conns  int               // accepted, but for its own
	octets int64
}

func startEar(t *testing.T) *ear {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{Listener: l, own: make(chan struct{}), open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close() })
	go e.listen()
	return e
}

// mark begins a connection of the ear's own; HTTP begins with a letter.
const mark = 0

// listen takes connections in the order in which they were made.
func (e *ear) listen() {
	for {
		conn, err := e.Accept()
		if err != nil {
			return
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(conn, first); err != nil { // ended before it carried anything
			conn.Close()
			continue
		}
		if first[0] == mark {
			conn.Close()
			e.own <- struct{}{}
			continue
		}
		e.mu.Lock()
		e.conns++
		e.open[conn] = true
		e.mu.Unlock()
		go e.hear(conn)
	}
}

func (e *ear) hear(conn net.Conn) {
	n, _ := io.Copy(io.Discard, conn)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.octets += n
	delete(e.open, conn)
	conn.Close()
}

func (e *ear) heard() (conns, open int, octets int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns, len(e.open), e.octets
}

// alive counts the connections, of all that were made until now and have carried
// something, that the other side has not reset: those that can be written to.
func (e *ear) alive(t *testing.T) (n int) {
	t.Helper()
	conn, err := net.Dial("tcp", e.Addr().String()) // which stands behind all others
	if err == nil {
		_, err = conn.Write([]byte{mark})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-e.own
	e.mu.Lock()
	defer e.mu.Unlock()
	for conn := range e.open {
		if _, err := conn.Write([]byte{mark}); err == nil {
			n++
		}
	}
	return n
}

// However fast the user changes it, with the host recording and sending from
// another thread: when Refuse returns no connection is left, and until the next yes
// there is none.
func TestNothingLeavesWhileOff(t *testing.T) {
	const changes = 1000
	e := startEar(t)
	c := open(t, config(volatile(t), e.Addr().String()))
	stop := make(chan struct{})
	var host sync.WaitGroup
	host.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				c.Record(numbered(0))
				_ = c.Flush(t.Context()) // hangs until it is refused
			}
		}
	})
	for i := range changes {
		before, _, _ := e.heard()
		if err := c.Grant(1); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			await(t, "it sends", func() bool { conns, _, _ := e.heard(); return conns > before })
		}
		if err := c.Refuse(); err != nil {
			t.Fatal(err)
		}
		if n := e.alive(t); n > 0 {
			t.Fatalf("change %d: %d connections are left by the refusal", i, n)
		}
		await(t, "all is heard", func() bool { _, open, _ := e.heard(); return open == 0 })
		conns, _, octets := e.heard()
		if err := c.Flush(t.Context()); !errors.Is(err, client.ErrNoConsent) {
			t.Errorf("Flush() = %v while off", err)
		}
		e.alive(t)
		if again, _, more := e.heard(); again != conns || more != octets {
			t.Fatalf("change %d: %d connections and %d octets after the refusal", i, again-conns, more-octets)
		}
	}
	close(stop)
	host.Wait()
	if conns, _, _ := e.heard(); conns < changes/2 {
		t.Errorf("%d connections, want one in every other change at least", conns)
	}
}
