package clienttest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trackingListener knows its connections, so that one can be broken.
type trackingListener struct {
	net.Listener
	received atomic.Int64 // octets

	mu       sync.Mutex
	conns    map[string]*countingConn // guarded by mu: by the peer's address
	accepted int                      // guarded by mu
}

// Accept implements net.Listener.
func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted++
	counting := &countingConn{TCPConn: conn.(*net.TCPConn), received: &l.received}
	l.conns[conn.RemoteAddr().String()] = counting
	return counting, nil
}

func (l *trackingListener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted
}

func (l *trackingListener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		conn.Close()
	}
}

// conn finds a connection; nil where there is none.
func (l *trackingListener) conn(peer string) *countingConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[peer]
}

// reset ends a connection with RST instead of FIN.
func (l *trackingListener) reset(peer string) {
	if conn := l.conn(peer); conn != nil {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

// halfClose ends this side of a connection.
func (l *trackingListener) halfClose(peer string) {
	if conn := l.conn(peer); conn != nil {
		_ = conn.CloseWrite()
	}
}

// breakOff ends this side of a connection in the middle of what is written next.
func (l *trackingListener) breakOff(peer string) {
	if conn := l.conn(peer); conn != nil {
		conn.breaks.Store(true)
	}
}

// countingConn counts what it reads.
type countingConn struct {
	*net.TCPConn
	received *atomic.Int64
	breaks   atomic.Bool
}

// Read implements net.Conn.
func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *countingConn) Write(b []byte) (int, error) {
	if !c.breaks.Load() {
		return c.TCPConn.Write(b)
	}
	n, err := c.TCPConn.Write(b[:len(b)/2])
	return n, errors.Join(err, c.CloseWrite(), io.ErrShortWrite)
}

// BlackHole starts a server that takes connections and never says a word. It
// returns its address.
func BlackHole(t testing.TB) string {
	t.Helper()
	return serve(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
}

// HalfClosed starts a server that ends its side of each connection at once and
// goes on reading. It returns its address.
func HalfClosed(t testing.TB) string {
	t.Helper()
	return serve(t, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
}

// serve serves each connection with f until the test ends.
func serve(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l := listen(t)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				f(conn.(*countingConn).TCPConn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		l.closeAll()
		running.Wait()
	})
	return l.Addr().String()
}

// Portal starts what a hotel's network puts in front of the Internet: a web
// server that answers everything with a page and the given status. It speaks
// HTTP/1 and HTTP/2. It returns its address.
func Portal(t testing.TB, status int) string {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html>Please log in</html>")
	})
}

// serveHTTP serves HTTP/1 and HTTP/2 without TLS until the test ends.
func serveHTTP(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	l := listen(t)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, ReadHeaderTimeout: time.Minute, Handler: handler}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() { server.Close(); <-ended })
	return l.Addr().String()
}

// Partial starts a server that answers every call as a collector does and breaks
// off in the middle: the message is cut and no status follows. It returns its
// address.
func Partial(t testing.TB) string {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc+proto")
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8}) // two octets are announced
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // which resets the stream
	})
}

// Clock stands still unless it is moved. Its Now is for Config.Now.
type Clock struct{ nanoseconds atomic.Int64 }

// NewClock returns a clock that shows a time.
func NewClock(at time.Time) *Clock {
	c := &Clock{}
	c.nanoseconds.Store(at.UnixNano())
	return c
}

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanoseconds.Load()) }

// Add moves the clock, also back.
func (c *Clock) Add(d time.Duration) { c.nanoseconds.Add(int64(d)) }
