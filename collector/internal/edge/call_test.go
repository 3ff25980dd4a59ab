package edge

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
)

// raw is a client of HTTP/2 by hand.
type raw struct {
	net.Conn
	*http2.Framer
}

// behind starts a gRPC server behind a listener.
func behind(t *testing.T, cfg Config, options ...grpc.ServerOption) *Listener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	collectorgrpc.RegisterCollectorServer(server, collectorgrpc.UnimplementedCollectorServer{})
	l := Listen(inner, cfg)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	return l
}

func greet(t *testing.T, l *Listener) *raw {
	t.Helper()
	conn := dial(t, l, "127.0.0.1")
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	write(t, conn, http2.ClientPreface)
	r := &raw{conn, http2.NewFramer(conn, conn)}
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = r.WriteSettings()
	return r
}

// begin opens a call and sends some of its body.
func (r *raw) begin() {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := []string{":method", "POST", ":scheme", "http", ":path", collectorgrpc.Collector_Upload_FullMethodName, ":authority", "x", "content-type", "application/grpc", "te", "trailers"}
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = r.WriteData(1, false, []byte{0, 0, 0, 0, 9, 1})
}

// A body that does not come ends its call, without a deadline of the client's,
// and the connection goes on.
func TestSlowBody(t *testing.T) {
	r := greet(t, behind(t, Config{}, grpc.InTapHandle(LimitCall(200*time.Millisecond))))
	r.begin()
	start := time.Now()
	for {
		frame, err := r.ReadFrame()
		if err != nil {
			t.Fatalf("no answer to a slow body: %v", err)
		}
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		for _, f := range headers.Fields {
			if f.Name == "grpc-status" {
				if f.Value != "4" || time.Since(start) > 2*time.Second {
					t.Errorf("a slow body is answered %s after %s, want 4 after 200 ms", f.Value, time.Since(start))
				}
				return
			}
		}
	}
}

// A client's own deadline is left alone where it is earlier, and not where it is later.
func TestLimitCall(t *testing.T) {
	for _, tt := range []struct {
		name string
		own  time.Duration
		same bool
	}{{"earlier", 5 * time.Second, true}, {"later", time.Hour, false}} {
		ctx, cancel := context.WithTimeout(t.Context(), tt.own)
		defer cancel()
		limited, err := LimitCall(10*time.Second)(ctx, nil)
		if err != nil || (limited == ctx) != tt.same {
			t.Errorf("%s: a context of its own: %t, %v", tt.name, limited != ctx, err)
		}
		if end, ok := limited.Deadline(); !ok || time.Until(end) > 10*time.Second {
			t.Errorf("%s: the call may last until %s", tt.name, end)
		}
	}
}

// A call that begins just after the GOAWAY of an idle connection outlives all of
// gRPC's timers, and not Life.
func TestCallAfterGoAway(t *testing.T) {
	s := &seen{count: map[Reason]int{}}
	l := behind(t, Config{Life: 3 * time.Second, Observe: s.observe}, grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionIdle: 100 * time.Millisecond, MaxConnectionAge: time.Second, MaxConnectionAgeGrace: 100 * time.Millisecond,
	}))
	r := greet(t, l)
	for {
		frame, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*http2.GoAwayFrame); ok {
			break
		}
	}
	r.begin()
	expectClosed(t, r.Conn, "a call after GOAWAY")
	eventually(t, "closed for its age by the listener", func() bool { return s.get(TooOld) == 1 })
}

// A flood of connections fills its cap and no more, and when it ebbs others are
// served again.
func TestConnectionFlood(t *testing.T) {
	const flood, limit = 2000, 500
	s := &seen{count: map[Reason]int{}}
	l := behind(t, Config{MaxConns: -1, MaxNetwork: limit, AcceptRate: -1, Observe: s.observe})
	var conns []net.Conn
	for range flood {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	eventually(t, "the rest is closed", func() bool { return s.get(TooManyHere) == flood-limit })
	if n := l.Open(); n != limit {
		t.Errorf("%d connections, want %d", n, limit)
	}
	elsewhere := dial(t, l, "127.0.50.1") // another network is served meanwhile
	write(t, elsewhere, http2.ClientPreface)
	_ = elsewhere.SetReadDeadline(time.Now().Add(10 * time.Second))
	read(t, elsewhere, 9) // the server's settings
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "accepting again", func() bool { return l.Open() <= 1 })
	r := greet(t, l)
	if _, err := r.ReadFrame(); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}
