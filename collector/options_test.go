package collector

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"reflect"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
)

// unstarted is a server that is configured and does not run.
func unstarted(t *testing.T) *Server {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen, cfg.Admin, cfg.KeyDir, cfg.Database.Address = "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), "127.0.0.1:1"
	cfg.TLS, cfg.Logger = &tls.Config{}, slog.New(slog.DiscardHandler)
	day := Day{time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	cfg.Policy = Policies{Operator: operator.Operator{PrivacyContact: "x", Complaints: "x", AnswerDays: 30}, Current: Policy{Version: 1, Effective: day, URL: "x"}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.sink.Close()
		s.public.Close()
		s.admin.listener.Close()
	})
	return s
}

// What gRPC was told, each setting, by its own names: some of them cannot be seen
// from outside within a test's time, and nothing else would notice were one lost. The
// reasons are beside the constants in options.go. TestSettingsOnTheWire,
// TestControlFramesWait, TestPings, TestTLS, TestAbusiveCalls, TestFloods and bench/e2e
// look from outside.
func TestSettings(t *testing.T) {
	s := unstarted(t)
	told := reflect.ValueOf(s.grpc).Elem().FieldByName("opts")
	at := func(path ...string) reflect.Value {
		v := told
		for _, name := range path {
			if v = v.FieldByName(name); !v.IsValid() {
				t.Fatalf("gRPC has no setting %v any more: look what became of it", path)
			}
		}
		return v
	}
	for name, tt := range map[string]struct{ got, want any }{
		"MaxConcurrentStreams":         {at("maxConcurrentStreams").Uint(), uint64(16)},
		"MaxHeaderListSize":            {at("maxHeaderListSize").Elem().Uint(), uint64(8 << 10)},
		"MaxRecvMsgSize":               {at("maxReceiveMessageSize").Int(), int64(256 << 10)},
		"ConnectionTimeout":            {time.Duration(at("connectionTimeout").Int()), 5 * time.Second},
		"MaxConnectionIdle":            {time.Duration(at("keepaliveParams", "MaxConnectionIdle").Int()), 30 * time.Second},
		"MaxConnectionAge":             {time.Duration(at("keepaliveParams", "MaxConnectionAge").Int()), 60 * time.Second},
		"MaxConnectionAgeGrace":        {time.Duration(at("keepaliveParams", "MaxConnectionAgeGrace").Int()), 10 * time.Second},
		"keepalive Time":               {time.Duration(at("keepaliveParams", "Time").Int()), 30 * time.Second},
		"keepalive Timeout":            {time.Duration(at("keepaliveParams", "Timeout").Int()), 10 * time.Second},
		"enforcement MinTime":          {time.Duration(at("keepalivePolicy", "MinTime").Int()), time.Minute},
		"enforcement without a stream": {at("keepalivePolicy", "PermitWithoutStream").Bool(), false},
		"WriteBufferSize":              {at("writeBufferSize").Int(), int64(4 << 10)},
		"ReadBufferSize":               {at("readBufferSize").Int(), int64(512)},
		"SharedWriteBuffer":            {at("sharedWriteBuffer").Bool(), true},
		"stream window":                {at("initialWindowSize").Int(), int64(64 << 10)},
		"connection window":            {at("initialConnWindowSize").Int(), int64(128 << 10)},
		"static windows":               {at("staticWindowSize").Bool(), true},
		"InTapHandle":                  {at("inTapHandle").IsNil(), false},
		"TLS":                          {at("creds").IsNil(), false},
		"binary log":                   {at("binaryLogger").IsNil(), true},
		"stats handlers":               {at("statsHandlers").Len(), 0},
		"unknown services":             {at("unknownStreamDesc").IsNil(), false}, // refused by unknownMethod
		"stream interceptors":          {at("streamInt").IsNil() && at("chainStreamInts").Len() == 0, true},
		"tracing":                      {grpc.EnableTracing, false},
		"services":                     {len(s.grpc.GetServiceInfo()), 1}, // no reflection, no channelz, no health
		"time for a call":              {callTime, 20 * time.Second},
		"calls under way":              {s.cfg.MaxCalls, 4096},
		"calls a second of a network":  {s.cfg.LimitRate, 20.0},
		"calls at once of a network":   {s.cfg.LimitBurst, 2000.0},
		"rows that wait":               {s.cfg.MaxPending, 250_000},
		"methods":                      {len(s.grpc.GetServiceInfo()["slicemetry.collector.v1.Collector"].Methods), 3},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
	if secure := serverTLS(&tls.Config{}); secure.MinVersion != tls.VersionTLS13 || !secure.SessionTicketsDisabled ||
		len(secure.NextProtos) != 1 || secure.NextProtos[0] != "h2" || secure.ClientAuth != tls.NoClientCert {
		t.Errorf("TLS is served with %+v", secure)
	}
}

// The tap gives every call a time by which it ends, and a call that finds no place is sent
// away before its body is read.
func TestAdmit(t *testing.T) {
	s := unstarted(t)
	ctx, err := s.tapped(t.Context(), &tap.Info{FullMethodName: collectorgrpc.Collector_Upload_FullMethodName})
	if err != nil {
		t.Fatal(err)
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > callTime {
		t.Errorf("a call may last until %s (%t), want at most %s", end, ok, callTime)
	}
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("content-type", "application/grpc"))
	s.calls.Store(int64(s.cfg.MaxCalls) - 1)
	if err := s.admit(ctx); err != nil || s.calls.Load() != int64(s.cfg.MaxCalls) {
		t.Errorf("the last place: %v, %d under way", err, s.calls.Load())
	}
	_, err = admitted(nil)(s, ctx, nil, nil)
	if refusal := status.Convert(err); refusal.Code() != codes.ResourceExhausted || len(refusal.Details()) != 1 || s.calls.Load() != int64(s.cfg.MaxCalls) {
		t.Errorf("a call too many: %v, %d under way, want ResourceExhausted with a time to come back, and %d", err, s.calls.Load(), s.cfg.MaxCalls)
	}
}

// pipes is a listener whose connections have no buffer anywhere.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// greetPipe serves gRPC, as the collector sets it, over a pipe, and greets it. What the
// server says goes to hear, which ends with the connection.
func greetPipe(t *testing.T, hear func(net.Conn)) (net.Conn, *http2.Framer) {
	t.Helper()
	s := unstarted(t)
	s.cfg.Plaintext = true
	server := grpc.NewServer(s.options()...)
	ours, theirs := net.Pipe()
	l := pipes{make(chan net.Conn, 1), make(chan struct{})}
	l.conns <- theirs
	served, heard := make(chan struct{}), make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	go func() { defer close(heard); hear(ours) }()
	t.Cleanup(func() { ours.Close(); <-heard; server.Stop(); <-served })
	framer := http2.NewFramer(ours, nil)
	_, _ = io.WriteString(ours, http2.ClientPreface)
	_ = framer.WriteSettings()
	return ours, framer
}

// A peer that asks for answers and does not read them is not read any more when some
// hundred wait. gRPC would go on to 10,000: throttle came in time.
func TestControlFramesWait(t *testing.T) {
	t.Parallel() // it waits most of the time
	read := make(chan struct{})
	conn, framer := greetPipe(t, func(c net.Conn) {
		defer close(read)
		in := http2.NewFramer(nil, c)
		for { // up to the answer to our greeting, and nothing after it
			frame, err := in.ReadFrame()
			settings, ok := frame.(*http2.SettingsFrame)
			if err != nil || ok && settings.IsAck() {
				return
			}
		}
	})
	<-read
	asked := 0
	for ; asked < 5000; asked++ {
		_ = conn.SetWriteDeadline(time.Now().Add(3 * time.Second)) // a server that is only slow makes it fewer, not more
		if framer.WriteSettings() != nil {
			break
		}
	}
	if asked == 0 || asked >= 2000 { // 100 wait, and a buffer of 4 KiB holds some more
		t.Errorf("%d answers wait for a peer that does not read", asked)
	}
	t.Logf("%d questions are read of a peer that reads no answer", asked)
}

// Who sends pings without a call is sent away.
func TestPings(t *testing.T) {
	told := make(chan http2.ErrCode, 1)
	_, framer := greetPipe(t, func(c net.Conn) {
		in := http2.NewFramer(nil, c)
		for {
			frame, err := in.ReadFrame()
			if err != nil {
				return
			}
			if farewell, ok := frame.(*http2.GoAwayFrame); ok {
				select {
				case told <- farewell.ErrCode:
				default:
				}
			}
		}
	})
	for range 10 {
		if framer.WritePing(false, [8]byte{}) != nil {
			break
		}
	}
	select {
	case code := <-told:
		if code != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("sent away with %s", code)
		}
	case <-time.After(20 * time.Second):
		t.Error("pings without end are answered")
	}
}
