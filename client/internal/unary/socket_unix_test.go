//go:build unix

package unary

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
)

// crowded listens with a receive buffer so small that most of a request waits in
// the sender's kernel.
func crowded(t *testing.T) net.Listener {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if controlled := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) }); controlled != nil || err != nil {
		t.Fatal(controlled, err)
	}
	return l
}

// What was written and has not left when a call is ended never leaves. What the
// other side's kernel took before cannot be taken back: a few KiB here.
func TestNothingLeavesAfterTheEnd(t *testing.T) {
	request := make([]byte, min(60<<10, zstdcodec.MaxMessageBytes))
	rand.Read(request) // which nothing compresses
	for name, end := range map[string]func(*Conn, context.CancelFunc){
		"by its context": func(c *Conn, cancel context.CancelFunc) { cancel(); c.Close() },
		"nobody ends it": func(*Conn, context.CancelFunc) {},
	} {
		t.Run(name, func(t *testing.T) {
			l := crowded(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := New(ctx, l.Addr().String(), nil, nil, Direct)
			called := make(chan error, 1)
			go func() { called <- c.Call(ctx, method, request, nil) }()
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			first := make([]byte, 24) // of HTTP/2: it has begun to write
			if _, err := io.ReadFull(peer, first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // for the rest to reach the kernel; less makes the test weaker, not wrong
			end(c, cancel)
			arrived, ended := drain(peer, len(request))
			switch {
			case name == "nobody ends it":
				if arrived < len(request) {
					t.Errorf("%d octets arrive, want all %d", arrived, len(request))
				}
			case !ended:
				t.Error("the connection goes on")
			case arrived > len(request)/2:
				t.Errorf("%d of %d octets arrive after the end", arrived, len(request))
			}
		})
	}
}

// drain reads until there are enough octets or the connection ends.
func drain(conn net.Conn, enough int) (n int, ended bool) {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 4<<10)
	for n < enough {
		got, err := conn.Read(b)
		n += got
		if err != nil {
			timeout, _ := err.(net.Error)
			return n, timeout == nil || !timeout.Timeout()
		}
	}
	return n, false
}
