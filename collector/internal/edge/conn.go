package edge

import (
	"net"
	"sync/atomic"
	"time"
)

// smallTalk is how many octets a peer may send for nothing: HTTP/2's
// acknowledgements and window updates, in TLS records of their own, after which
// an honest connection may well rest.
const smallTalk = 128

// conn is a connection that notes, in ticks, whether its peer gets on.
type conn struct {
	net.Conn
	listener *Listener
	proxied  *proxied // nil: not a proxy's
	born     uint32

	since   atomic.Uint32 // when the peer began to send what is not answered; 0: it did not
	octets  atomic.Uint32 // of that
	writing atomic.Uint32 // when the write under way began; 0: there is none
	closed  atomic.Bool

	network uint64 // guarded by listener.mu, as is counted
	counted bool   // network's account has this connection
	reason  Reason // guarded by listener.mu until it is aborted
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if c.proxied != nil {
		if err := c.proxied.read(c); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(b)
	if n > 0 && c.octets.Add(uint32(n)) > smallTalk && c.since.Load() == 0 {
		c.since.Store(c.listener.now.Load())
	}
	return n, err
}

// Write implements net.Conn. Whatever the server writes is an answer: the peer
// has got on.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Store(c.listener.now.Load())
	n, err := c.Conn.Write(b)
	c.writing.Store(0)
	c.octets.Store(0)
	c.since.Store(0)
	return n, err
}

// RemoteAddr implements net.Conn: of a proxied connection, the client's address.
func (c *conn) RemoteAddr() net.Addr {
	if c.proxied != nil && c.proxied.read(c) == nil && c.proxied.client != nil {
		return c.proxied.client
	}
	return c.Conn.RemoteAddr()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.listener.forget(c)
	}
	return c.Conn.Close()
}

// abort closes a connection with a reset, so that nothing that waits for its
// peer is kept, neither here nor in the kernel.
func (c *conn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// verdict says why a connection is to be closed now, "" where it is not.
func (c *conn) verdict(now uint32) Reason {
	cfg := &c.listener.cfg
	switch {
	case c.exceeds(now, c.since.Load(), cfg.Progress):
		return ReadStalled
	case c.exceeds(now, c.writing.Load(), cfg.WriteStall):
		return WriteStalled
	case c.exceeds(now, c.born, cfg.Life):
		return TooOld
	}
	return ""
}

// exceeds reports whether something that began at a tick has taken longer than
// allowed. Sweeps are a tick apart, so it may take up to a tick more.
func (c *conn) exceeds(now, began uint32, allowed time.Duration) bool {
	ticks, limited := c.listener.ticks(allowed)
	return began != 0 && limited && now-began > ticks
}
