package unary

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd"
)

const method = "/test.Service/Method"

// serve starts a server of grpc-go's whose one method is handle.
func serve(t *testing.T, handle func(ctx context.Context, request []byte) (proto.Message, error)) *Conn {
	t.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var request wrapperspb.BytesValue
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		reply, err := handle(stream.Context(), request.Value)
		if err != nil {
			return err
		}
		return stream.SendMsg(reply)
	}))
	l := listen(t)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return connect(t, l.Addr().String())
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func connect(t *testing.T, address string) *Conn {
	c := New(t.Context(), address, nil, nil, Direct)
	t.Cleanup(c.Close)
	return c
}

func encode(t *testing.T, message []byte) []byte {
	t.Helper()
	octets, err := proto.Marshal(wrapperspb.Bytes(message))
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

func TestMessages(t *testing.T) {
	c := serve(t, func(ctx context.Context, request []byte) (proto.Message, error) {
		if deadline, set := ctx.Deadline(); !set || time.Until(deadline) > 21*time.Second {
			t.Errorf("deadline %v, %t", deadline, set)
		}
		if h, _ := metadata.FromIncomingContext(ctx); fmt.Sprint(h["user-agent"]) != "[slicemetry]" {
			t.Errorf("header %v", h)
		}
		return wrapperspb.Bytes(request), nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, size := range []int{0, 1, 100, 70_000, zstdcodec.MaxMessageBytes - 5} {
		want := strings.Repeat("p", size)
		var got wrapperspb.BytesValue
		if err := c.Call(ctx, method, encode(t, []byte(want)), &got); err != nil || string(got.Value) != want {
			t.Errorf("%d octets come back as %d, %v", size, len(got.Value), err)
		}
	}
	if err := c.Call(ctx, method, make([]byte, zstdcodec.MaxMessageBytes+1), nil); err == nil {
		t.Error("a request that is too large is sent")
	}
}

// Every status of grpc-go's is understood as grpc-go's own client does.
func TestStatuses(t *testing.T) {
	c := serve(t, func(_ context.Context, request []byte) (proto.Message, error) {
		s, err := grpcstatus.New(codes.Code(request[0]), "what a user typed\n%").WithDetails(
			&errdetails.ErrorInfo{Reason: "other"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Minute)})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	})
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		err := c.Call(t.Context(), method, encode(t, []byte{byte(code)}), &wrapperspb.BytesValue{})
		if got, after := Reason(err); got != code || after != 7*time.Minute {
			t.Errorf("%s is read as %s after %s", code, got, after)
		}
		if strings.Contains(err.Error(), "typed") {
			t.Errorf("%v repeats the other side's words", err)
		}
	}
}

// What is no gRPC, or broken gRPC, is an error and no success.
func TestStrangeAnswers(t *testing.T) {
	framed := func(flag byte, length uint32, message string) string {
		return string(binary.BigEndian.AppendUint32([]byte{flag}, length)) + message
	}
	ok := map[string]string{"Grpc-Status": "0"}
	for _, tt := range []struct {
		name    string
		code    int
		kind    string
		body    string
		trailer map[string]string
		want    codes.Code
	}{
		{"good", 200, "application/grpc+proto", framed(0, 0, ""), ok, codes.OK},
		{"page", 200, "text/html", "<html>welcome</html>", ok, codes.Unknown},
		{"alike", 200, "application/grpcweb", framed(0, 0, ""), ok, codes.Unknown},
		{"no status", 200, "application/grpc", framed(0, 0, ""), nil, codes.Internal},
		{"no number", 200, "application/grpc", framed(0, 0, ""), map[string]string{"Grpc-Status": "OK"}, codes.Internal},
		{"no message", 200, "application/grpc", "", ok, codes.Internal},
		{"two messages", 200, "application/grpc", framed(0, 0, "") + framed(0, 0, ""), ok, codes.Internal},
		{"short", 200, "application/grpc", framed(0, 9, "x"), ok, codes.Internal},
		{"endless", 200, "application/grpc", framed(0, 1<<31, strings.Repeat("x", 1<<20)), ok, codes.Internal},
		{"not compressed", 200, "application/grpc", framed(1, 3, "xyz"), ok, codes.Internal},
		{"no such message", 200, "application/grpc", framed(0, 2, "\x0a\x05"), ok, codes.Internal},
		{"details that are none", 200, "application/grpc", "", map[string]string{"Grpc-Status": "14", "Grpc-Status-Details-Bin": "%%"}, codes.Unavailable},
		{"portal", 302, "text/html", "", nil, codes.Unknown},
		{"not found", 404, "text/html", "", nil, codes.Unimplemented},
		{"overloaded", 429, "text/html", "", nil, codes.Unavailable},
		{"gateway", 502, "text/html", "", nil, codes.Unavailable},
		{"proxy", 403, "text/html", "", nil, codes.PermissionDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, plainServer(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", tt.kind)
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, tt.body)
				for name, value := range tt.trailer {
					w.Header().Set(http.TrailerPrefix+name, value)
				}
			}))
			err := c.Call(t.Context(), method, encode(t, []byte("x")), &wrapperspb.BytesValue{})
			if got, _ := Reason(err); got != tt.want {
				t.Errorf("Call() = %v, want %s", err, tt.want)
			}
			if _, answered := tt.trailer["Grpc-Status-Details-Bin"]; err != nil && Class(err) != map[bool]string{false: string(NotGRPC), true: tt.want.String()}[answered] {
				t.Errorf("%v is of class %q", err, Class(err))
			}
		})
	}
}

// plainServer speaks HTTP/2 without TLS.
func plainServer(t *testing.T, handle http.HandlerFunc) (address string) {
	t.Helper()
	l := listen(t)
	server := &http.Server{Handler: handle, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// A status in the header, with nothing after it, is no success.
func TestStatusInHeader(t *testing.T) {
	for n, want := range map[string]codes.Code{"0": codes.Internal, "8": codes.ResourceExhausted} {
		c := connect(t, plainServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", n)
		}))
		if got, _ := Reason(c.Call(t.Context(), method, nil, &wrapperspb.BytesValue{})); got != want {
			t.Errorf("%s is read as %s", n, got)
		}
	}
}

// Nothing stays behind when the context ends, wherever a call hangs: before the
// connection's first octet, or with the answer outstanding. The other side sees
// the connection end, although nobody closes it.
func TestNothingOutlivesTheContext(t *testing.T) {
	for _, answers := range []bool{false, true} {
		l := &watched{Listener: listen(t), accepted: make(chan net.Conn, 1), ended: make(chan struct{})}
		asked := make(chan struct{}, 1)
		server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		})}
		server.Protocols.SetUnencryptedHTTP2(true)
		if answers {
			go server.Serve(l)
			defer server.Close()
		} else {
			defer l.Close()
			go func() {
				if conn, err := l.Accept(); err == nil {
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error)
		go func() { result <- New(ctx, l.Addr().String(), nil, nil, Direct).Call(ctx, method, []byte("x"), nil) }()
		<-l.accepted
		if answers {
			<-asked
		}
		cancel()
		if got, _ := Reason(<-result); got != codes.Canceled {
			t.Errorf("%s after cancel", got)
		}
		select {
		case <-l.ended:
		case <-time.After(10 * time.Second):
			t.Errorf("the connection outlives its context, where the server answers: %t", answers)
		}
	}
}

// watched tells when its one connection begins and ends.
type watched struct {
	net.Listener
	accepted chan net.Conn
	ended    chan struct{}
}

func (l *watched) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- conn
		conn = &watchedConn{Conn: conn, ended: l.ended}
	}
	return conn, err
}

type watchedConn struct {
	net.Conn
	ended chan struct{}
	once  sync.Once
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // the server's own
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := connect(t, plainServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	err := c.Call(ctx, method, nil, &wrapperspb.BytesValue{})
	if got, _ := Reason(err); got != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) || Class(err) != string(Timeout) {
		t.Errorf("Call() = %v, %s", err, Class(err))
	}
	foreign := errors.New("of somebody else")
	if got, _ := Reason(foreign); got != codes.Unknown || Class(foreign) != "Unknown" || Class(nil) != "OK" {
		t.Errorf("Reason() = %s, Class() = %s", got, Class(foreign))
	}
}

// What grpc-go writes is read as it means, and what anybody writes does no harm.
func FuzzRetryDelay(f *testing.F) {
	f.Add(int64(7), int32(500), []byte{0x0a, 0x02, 0x08, 0x07})
	f.Add(int64(0), int32(0), []byte{0x12, 0x00, 0x0a, 0xff})
	f.Add(int64(-1), int32(-1), []byte{0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, seconds int64, nanos int32, anything []byte) {
		retryDelay(anything)
		info := &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: seconds, Nanos: nanos}}
		octets, err := proto.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := retryDelay(octets), info.RetryDelay.AsDuration(); got != want {
			t.Errorf("%v is read as %s, want %s", info, got, want)
		}
	})
}
