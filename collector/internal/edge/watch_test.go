package edge

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// sent returns how many frames of DATA a peer could send, in pieces of any sizes, before its
// connection was closed.
func sent(t *testing.T, pieces int, write func(*http2.Framer, int) error, most int) (int, *seen) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	s := &seen{count: map[Reason]int{}}
	conn, _, err := Watch(insecure.NewCredentials(), s.observe).ServerHandshake(theirs)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, pieces)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}()
	_, _ = io.WriteString(ours, http2.ClientPreface)
	framer := http2.NewFramer(ours, nil)
	_ = framer.WriteSettings()
	for i := range most {
		if err := write(framer, i); err != nil {
			return i, s
		}
	}
	return most, s
}

func TestCrumbs(t *testing.T) {
	const many = 300
	octets := make([]byte, 16<<10)
	data := func(size int) func(*http2.Framer, int) error {
		return func(f *http2.Framer, _ int) error { return f.WriteData(1, false, octets[:size]) }
	}
	for name, tt := range map[string]struct {
		write func(*http2.Framer, int) error
		want  int // frames; at most a few more or fewer
	}{
		"octets":         {data(1), 16},
		"empty frames":   {data(0), 16},
		"half a KiB":     {data(512), 32},
		"a KiB":          {data(1 << 10), many},
		"16 KiB":         {data(16 << 10), many},
		"one after much": {func(f *http2.Framer, i int) error { return data([]int{16 << 10, 1, 1, 1}[i%4])(f, i) }, many},
		"many calls": {func(f *http2.Framer, i int) error {
			return f.WriteData(uint32(2*(i/4)+1), i%4 == 3, octets[:1])
		}, many},
		"many calls that end nowhere": {func(f *http2.Framer, i int) error { return f.WriteData(uint32(2*i+1), false, octets[:1]) }, many},
		"two calls in turns": {func(f *http2.Framer, i int) error {
			return f.WriteData(uint32(2*(i%2)+1), false, octets[:1])
		}, 32},
		"a new call each time": {func(f *http2.Framer, i int) error { // does not give the first a new account
			if i%2 == 0 {
				return f.WriteData(uint32(2*i+3), false, octets[:1])
			}
			return f.WriteData(1, false, octets[:1])
		}, 2 * maxBodies},
		"other frames": {func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) }, many},
	} {
		for _, pieces := range []int{7, 512, 64 << 10} {
			got, s := sent(t, pieces, tt.write, many)
			if got > tt.want+2 || tt.want == many && got != many || tt.want < many && (got == many || s.get(Crumbled) != 1) {
				t.Errorf("%s, read in pieces of %d: closed after %d frames (%d counted), want about %d", name, pieces, got, s.get(Crumbled), tt.want)
			}
		}
	}
}

// A handshake that fails is counted: with a certificate that is no good all do.
func TestFailedHandshakesAreCounted(t *testing.T) {
	s := &seen{count: map[Reason]int{}}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() { _, _ = io.WriteString(ours, "GET / HTTP/1.1\r\n\r\n"); ours.Close() }()
	if _, _, err := Watch(credentials.NewTLS(&tls.Config{}), s.observe).ServerHandshake(theirs); err == nil || s.get(HandshakeFailed) != 1 {
		t.Errorf("%v, %d counted, want an error and 1", err, s.get(HandshakeFailed))
	}
}
