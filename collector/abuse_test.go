package collector_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/collector"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

const (
	uploadPath = "/slicemetry.collector.v1.Collector/Upload"
	erasePath  = "/slicemetry.collector.v1.Collector/Erase"
	policyPath = "/slicemetry.collector.v1.Collector/GetPolicy"
)

// raw is a client that keeps no rules: HTTP/2 by hand.
type raw struct {
	net.Conn
	*http2.Framer
	headers bytes.Buffer
	encoder *hpack.Encoder
	said    []hpack.HeaderField // by the server, up to the answer
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	return dialRawBy(t, &net.Dialer{}, address, "")
}

// dialRawBy connects by a dialer, and says something before HTTP/2 begins.
func dialRawBy(t *testing.T, dialer *net.Dialer, address, first string) *raw {
	t.Helper()
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, first)
	r := &raw{Conn: conn, Framer: http2.NewFramer(conn, conn)}
	r.encoder = hpack.NewEncoder(&r.headers)
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = r.WriteSettings()
	return r
}

// open begins a call with the usual headers, those that are named again in place, and
// more behind: a pseudo header there would make the whole frame malformed.
func (r *raw) open(stream uint32, path string, more ...string) error {
	r.headers.Reset()
	fields := []string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "x", "content-type", "application/grpc", "te", "trailers"}
	usual := len(fields)
	for i := 0; i < len(more); i += 2 {
		if at := slices.Index(fields[:usual], more[i]); at >= 0 && at%2 == 0 {
			fields[at+1] = more[i+1]
		} else {
			fields = append(fields, more[i:i+2]...)
		}
	}
	for i := 0; i < len(fields); i += 2 {
		_ = r.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.headers.Bytes(), EndHeaders: true})
}

// told is answer, or "" where the server has read everything and not answered: it
// answers a ping in the order of what it read.
func (r *raw) told(stream uint32) string {
	_ = r.WritePing(false, [8]byte{1})
	for {
		frame, err := r.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				if field.Name == "grpc-status" && f.StreamID == stream {
					return field.Value
				}
			}
		case *http2.PingFrame:
			if f.IsAck() {
				return ""
			}
		}
	}
}

// answer reads until the call is answered: its gRPC status, or its HTTP status, or
// how it ended otherwise.
func (r *raw) answer(stream uint32) string {
	for {
		frame, err := r.ReadFrame()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return "no answer"
		case err != nil:
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			r.said = append(r.said, f.Fields...)
			for _, field := range f.Fields {
				if field.Name == "grpc-status" && f.StreamID == stream {
					return field.Value
				}
				if field.Name == ":status" && field.Value != "200" {
					return "HTTP " + field.Value
				}
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream { // not what is left of the one before
				return "reset"
			}
		}
	}
}

// message is a body with gRPC's prefix: a flag and a length that may lie.
func message(flag byte, length int, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(length)), body...)
}

// framed is a request as it travels.
func framed(t *testing.T, request *collectorv1.UploadRequest) []byte {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return message(0, len(body), body)
}

// B06, B08, B09, B17, B18: what is asked wrongly is refused by a fixed code.
func TestAbusiveCalls(t *testing.T) {
	r := start(t, nil)
	good := framed(t, request(1))
	body := good[5:] // without the prefix
	tests := []struct {
		name, path string
		headers    []string
		body       []byte
		want       string // the answers allowed
	}{
		{"good", uploadPath, nil, good, "0"},
		{"gzip", uploadPath, []string{"grpc-encoding", "gzip"}, message(1, len(body), body), "12"},
		{"unknown encoding", uploadPath, []string{"grpc-encoding", "x"}, message(1, len(body), body), "12"},
		{"not zstd", uploadPath, []string{"grpc-encoding", "zstd"}, message(1, len(body), body), "13 3"},
		{"compressed without an encoding", uploadPath, nil, message(1, len(body), body), "13 12"},
		{"a wrong flag", uploadPath, nil, message(7, len(body), body), "13 12"},
		{"JSON", uploadPath, []string{"content-type", "application/grpc+json"}, good, "12"},
		{"JSON indeed", uploadPath, []string{"content-type", "application/grpc+json"}, message(0, 2, []byte("{}")), "12"},
		{"unknown codec", uploadPath, []string{"content-type", "application/grpc+x"}, good, "12"},
		{"parameters instead of a codec", uploadPath, []string{"content-type", "application/grpc;x=y"}, good, "0"},
		{"protobuf by name", uploadPath, []string{"content-type", "application/grpc+proto"}, good, "0"},
		{"no gRPC", uploadPath, []string{"content-type", "text/html"}, good, "HTTP415 HTTP 415"},
		{"longer than is allowed", uploadPath, nil, message(0, 1<<31-1, body), "8"},
		{"shorter than it says", uploadPath, nil, message(0, len(body)+10, body), "13 3"},
		{"longer than is allowed, and nothing comes", uploadPath, nil, message(0, 1<<31-1, nil), "8"},
		{"longer than is allowed, by one", uploadPath, nil, message(0, 256<<10+1, nil), "8"},
		{"no time", uploadPath, []string{"grpc-timeout", "0n"}, good, "4"},
		{"next to no time", uploadPath, []string{"grpc-timeout", "1n"}, good, "4"},
		{"half a prefix", uploadPath, nil, good[:3], "13"},
		{"nothing at all", uploadPath, nil, nil, "13"},
		{"of no length", uploadPath, nil, message(0, 0, nil), "3"},
		{"trailing octets", uploadPath, nil, append(bytes.Clone(good), "trailing"...), "13 8"},
		{"not protobuf", uploadPath, nil, message(0, 4, []byte{0xff, 0xff, 0xff, 0xff}), "13 3"},
		{"no slash", uploadPath[1:], nil, good, "12 reset closed"},
		{"two slashes", "/" + uploadPath, nil, good, "12"},
		{"upper case", strings.ToUpper(uploadPath), nil, good, "12"},
		{"a slash behind", uploadPath + "/", nil, good, "12"},
		{"a way up", "/x/.." + uploadPath, nil, good, "12"},
		{"a question", uploadPath + "?x=y", nil, good, "12"},
		{"a whole address", "http://x" + uploadPath, nil, good, "12 reset closed"},
		{"no path", "", nil, good, "12 reset closed"},
		{"per cent", strings.Replace(uploadPath, "U", "%55", 1), nil, good, "12"},
		{"pprof", "/debug/pprof/", nil, good, "12"},
		{"metrics", "/metrics", nil, good, "12"},
		{"reflection", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", nil, good, "12"},
		{"health", "/grpc.health.v1.Health/Watch", nil, good, "12"},
		{"channelz", "/grpc.channelz.v1.Channelz/GetServers", nil, good, "12"},
	}
	for _, tt := range tests {
		c := dialRaw(t, r.Addr())
		_ = c.open(1, tt.path, tt.headers...)
		_ = c.WriteData(1, true, tt.body)
		if got := c.answer(1); !strings.Contains(" "+tt.want+" ", " "+got+" ") {
			t.Errorf("%s: answered %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, reason := range []string{"unknown_method", "unknown_codec", "too_large", "unreadable", "malformed"} {
		if n := r.metric(t, `slicemetry_calls_refused_total{reason="`+reason+`"}`); n == "0" || n == "" {
			t.Errorf("no call is counted as refused because of %s", reason)
		}
	}
	r.balanced(t)
}

// elsewhere connects from another network than the one that floods.
func elsewhere(ctx context.Context, address string) (net.Conn, error) {
	return local("127.0.50.1").DialContext(ctx, "tcp", address)
}

// B01-B05, B13, B18: floods end the flooder's connection or are borne; memory and
// calls under way stay within bounds, and others are served meanwhile.
func TestFloods(t *testing.T) {
	r := start(t, func(cfg *collector.Config) { cfg.LimitRate = 0 }) // the limit would end most floods early
	client := r.client(t, grpc.WithContextDialer(elsewhere))
	good := framed(t, request(1))
	tests := map[string]func(c *raw, i uint32) error{
		"rapid reset": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"a whole batch, then reset": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteData(2*i+1, true, good), c.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"made to reset": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteRawFrame(http2.FrameWindowUpdate, 0, 2*i+1, make([]byte, 4)))
		},
		"made to reset, by too large a window": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteWindowUpdate(2*i+1, 1<<31-1), c.WriteWindowUpdate(2*i+1, 1<<31-1))
		},
		"made to reset, by data after the end": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteData(2*i+1, true, good), c.WriteData(2*i+1, false, good))
		},
		"made to reset, by headers after the end": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WriteData(2*i+1, true, good), c.open(2*i+1, uploadPath))
		},
		"made to reset, by a stream that depends on itself": func(c *raw, i uint32) error {
			return errors.Join(c.open(2*i+1, uploadPath), c.WritePriority(2*i+1, http2.PriorityParam{StreamDep: 2*i + 1}))
		},
		"methods that are not there": func(c *raw, i uint32) error {
			return c.open(2*i+1, []string{"/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}[i%2])
		},
		"window updates": func(c *raw, i uint32) error { return c.WriteWindowUpdate(0, 1) },
		"answers to nothing": func(c *raw, i uint32) error {
			return errors.Join(c.WritePing(true, [8]byte{}), c.WriteSettingsAck())
		},
		"farewells":           func(c *raw, i uint32) error { return c.WriteGoAway(0, http2.ErrCodeNo, nil) },
		"streams never ended": func(c *raw, i uint32) error { return c.open(2*i+1, uploadPath) },
		"large headers":       func(c *raw, i uint32) error { return c.open(2*i+1, uploadPath, "x-large", strings.Repeat("x", 12<<10)) },
		"many headers": func(c *raw, i uint32) error {
			return c.open(2*i+1, uploadPath, strings.Split(strings.Repeat("x-many,y,", 500)+"x,y", ",")...)
		},
		"continuations": func(c *raw, i uint32) error {
			if i == 0 {
				return c.WriteRawFrame(http2.FrameHeaders, 0, 1, nil)
			}
			return c.WriteContinuation(1, false, bytes.Repeat([]byte{0x40, 1, 'a', 1, 'b'}, 1000))
		},
		"pings":          func(c *raw, i uint32) error { return c.WritePing(false, [8]byte{}) },
		"settings":       func(c *raw, i uint32) error { return c.WriteSettings() },
		"priorities":     func(c *raw, i uint32) error { return c.WritePriority(2*i+1, http2.PriorityParam{StreamDep: 0}) },
		"unknown frames": func(c *raw, i uint32) error { return c.WriteRawFrame(http2.FrameType(0xa+i%6), 0, 0, []byte("x")) },
		"empty data": func(c *raw, i uint32) error {
			if i == 0 {
				return c.open(1, uploadPath)
			}
			return c.WriteData(1, false, nil)
		},
		"octet by octet": func(c *raw, i uint32) error {
			if i < 16 { // all the streams that there may be, each with a body of 255 KiB to come
				return errors.Join(c.open(2*i+1, uploadPath), c.WriteData(2*i+1, false, message(0, 255<<10, nil)))
			}
			return c.WriteData(2*(i%16)+1, false, []byte{0})
		},
	}
	for name, flood := range tests {
		t.Run(name, func(t *testing.T) {
			r.ebbed(t)
			before := heap()
			c := dialRaw(t, r.Addr())
			ended := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, c.Conn); close(ended) }()
			for i := range uint32(5_000) {
				if flood(c, i) != nil {
					break // it was closed
				}
			}
			var calls float64
			if err := parse(r.metric(t, "slicemetry_calls"), &calls); err != nil || calls > 16 {
				t.Errorf("%g calls under way, %v, want no more than a connection may have", calls, err)
			}
			if _, err := client.Upload(t.Context(), request(1)); err != nil {
				t.Errorf("another client: %v", err)
			}
			if grown := int64(heap()) - int64(before); grown > 16<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			c.Close()
			<-ended
		})
	}
	if n := r.metric(t, "slicemetry_panics_total"); n != "0" {
		t.Errorf("%s panics", n)
	}
	if n := r.metric(t, `slicemetry_connections_closed_total{reason="crumbled"}`); n != "2" {
		t.Errorf("%s connections are counted as closed for their crumbs, want 2: empty data, and octet by octet", n)
	}
	r.ebbed(t)
	r.balanced(t)
}

// ebbed waits until nothing of a flood is left: what its connection sent before it was
// closed may still have to be read. Another client's connection may be there.
func (r *running) ebbed(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		n := r.metric(t, "slicemetry_connections")
		if n == "0" || n == "1" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s connections are left", n)
		}
	}
	r.quiet(t)
}

// B11, B13: bodies that never come take a place each among the calls that may be
// under way. The limit for a network counts them before that, so that others find
// places.
func TestSlowBodiesLeaveRoom(t *testing.T) {
	const places, allowed = 24, 12
	r := start(t, func(cfg *collector.Config) { cfg.MaxCalls, cfg.LimitRate, cfg.LimitBurst = places, 0.001, allowed })
	var slow []*raw
	for i := range uint32(3 * places) {
		c := dialRaw(t, r.Addr())
		slow = append(slow, c)
		if err := errors.Join(c.open(1, []string{uploadPath, erasePath}[i%2]), c.WriteData(1, false, []byte{0, 0, 0, 1})); err != nil {
			t.Fatal(err)
		}
		if i < allowed {
			r.reaches(t, "slicemetry_calls", strconv.Itoa(int(i)+1))
		} else if got := c.answer(1); got != "8" {
			t.Errorf("body %d is answered %q, want 8", i, got)
		}
	}
	r.reaches(t, "slicemetry_calls", strconv.Itoa(allowed))
	if _, err := r.client(t, grpc.WithContextDialer(elsewhere)).Upload(t.Context(), request(1)); err != nil {
		t.Errorf("from another network: %v", err)
	}
	if n := r.metric(t, `slicemetry_calls_refused_total{reason="limited"}`); n != strconv.Itoa(3*places-allowed) {
		t.Errorf("%s calls limited, want %d", n, 3*places-allowed)
	}
	for _, c := range slow {
		c.Close()
	}
	r.balanced(t)
}

// B13: of a burst of calls on many connections at once no more get in than there are
// places, to the call.
func TestBurstTakesItsPlaces(t *testing.T) {
	const places, connections, streams = 64, 500, 16
	r := start(t, func(cfg *collector.Config) {
		cfg.MaxCalls, cfg.LimitRate, cfg.MaxNetworkConnections = places, 0, connections
	})
	var burst []*raw
	var frames [connections]bytes.Buffer
	for n := range connections {
		c := dialRaw(t, r.Addr())
		if got := c.told(1); got != "" {
			t.Fatalf("before the burst: %q", got)
		}
		burst = append(burst, c)
		c.Framer = http2.NewFramer(&frames[n], c.Conn)
		for i := range uint32(streams) {
			_ = c.open(2*i+1, uploadPath)
		}
	}
	var sent sync.WaitGroup
	for n, c := range burst {
		sent.Go(func() {
			if _, err := c.Write(frames[n].Bytes()); err != nil {
				t.Error(err)
			}
		})
	}
	sent.Wait()
	want := [2]string{strconv.Itoa(places), strconv.Itoa(connections*streams - places)}
	var got [2]string // calls under way, and refused
	for end := time.Now().Add(10 * time.Second); got != want && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got = [2]string{r.metric(t, "slicemetry_calls"), r.metric(t, `slicemetry_calls_refused_total{reason="overloaded"}`)}
	}
	if got != want {
		t.Errorf("calls under way and refused: %v, want %v", got, want)
	}
	for _, c := range burst {
		c.Close()
	}
	r.ebbed(t)
	if _, err := r.client(t).Upload(t.Context(), request(1)); err != nil {
		t.Error(err)
	}
	r.balanced(t)
}

func heap() uint64 { return memory().HeapAlloc }

// memory is what lives.
func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// B21: what is not HTTP/2 is closed, and the log says nothing of it.
func TestOtherProtocols(t *testing.T) {
	r := start(t, nil)
	for name, octets := range map[string]string{
		"HTTP/1.1":       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"upgrade":        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"random":         strings.Repeat("\x93\x01\xfe\x77", 64),
		"a PROXY header": proxyHeader("203.0.113.77") + http2.ClientPreface,
		"a text header":  "PROXY TCP4 203.0.113.77 127.0.0.1 4660 443\r\n" + http2.ClientPreface,
	} {
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, octets)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = io.Copy(io.Discard, conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: still open", name)
		}
		conn.Close()
	}
	if strings.Contains(r.log.String(), "203.0.113") || strings.Contains(r.log.String(), "127.0.0.1:") && strings.Count(r.log.String(), "\n") > 1 {
		t.Errorf("the log speaks of peers: %s", r.log)
	}
	if _, err := r.client(t).Upload(t.Context(), request(1)); err != nil {
		t.Error(err)
	}
}
