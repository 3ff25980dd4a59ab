package unary

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Sockets opens the TCP connections of one Conn, and ends them.
type Sockets struct {
	ctx context.Context

	mu     sync.Mutex
	open   []net.Conn // guarded by mu
	closed bool       // guarded by mu
}

var errEnded = errors.New("unary: the connection was ended")

// DialContext opens a connection which ends with the Conn.
func (s *Sockets) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(errEnded, conn.Close())
	}
	s.open = append(s.open, conn)
	return conn, nil
}

// close ends what is open, and what would be opened. Where ctx ended before, it
// resets: the kernel drops what was written and has not left yet, and would go on
// sending it otherwise.
func (s *Sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conn := range s.open {
		if tcp, ok := conn.(*net.TCPConn); ok && s.ctx.Err() != nil {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	s.open = nil
}
