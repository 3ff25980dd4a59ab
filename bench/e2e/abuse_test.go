package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/internal/zstdcodec"
)

const (
	// cutBy is when even the slowest is cut: one who is idle after 30 s and gRPC's
	// farewell, on a machine that is busy with other things.
	cutBy = 2 * time.Minute
	// floodTime is how long the floods go on.
	floodTime = 6 * time.Second
	// abusedRSS bounds what the collector may take under all of it together, with
	// places for 512 calls of at most 256 KiB each. A quiet one takes 40 MiB.
	abusedRSS = 300 << 20
	abusers   = 8 // of each kind
	marker    = "mark3r-e2e-5f0c"
)

// peer is a client that keeps no rules.
type peer struct {
	net.Conn
	*http2.Framer
}

// connect connects from a network of this kind of peers.
func connect(target string, network int) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 9, byte(network), 1)}
	conn, err := (&net.Dialer{LocalAddr: from, Timeout: 30 * time.Second}).Dial("tcp", target)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(cutBy))
	}
	return conn, err
}

// handshake goes on to TLS.
func handshake(conn net.Conn, roots *x509.CertPool) (net.Conn, error) {
	secure := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
	return secure, secure.Handshake()
}

// greet goes on to HTTP/2.
func greet(conn net.Conn, settings ...http2.Setting) (*peer, error) {
	p := &peer{conn, http2.NewFramer(conn, conn)}
	_, err := io.WriteString(conn, http2.ClientPreface)
	return p, errors.Join(err, p.WriteSettings(settings...))
}

// open begins an upload.
func (p *peer) open(stream uint32, end bool, more ...string) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := append([]string{":method", "POST", ":scheme", "https", ":path", "/slicemetry.collector.v1.Collector/Upload", ":authority", marker,
		"content-type", "application/grpc", "te", "trailers", "user-agent", marker, "x-forwarded-for", marker}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: end})
}

// trickle does a little every now and then until it fails.
func trickle(step func() error) error {
	for {
		if err := step(); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// slow are those who hold a connection and do not get on. Each returns when it was
// cut; a deadline that passes first is an error of its own.
var slow = map[string]func(conn net.Conn, roots *x509.CertPool) error{
	"silent": func(conn net.Conn, _ *x509.CertPool) error { return untilClosed(conn) },
	"handshake stalled": func(conn net.Conn, _ *x509.CertPool) error {
		_, _ = conn.Write([]byte{0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc}) // a ClientHello of 16 KiB
		return trickle(func() error { _, err := conn.Write([]byte{0}); return err })
	},
	"silent after the handshake": func(conn net.Conn, roots *x509.CertPool) error {
		conn, err := handshake(conn, roots)
		return errors.Join(err, untilClosed(conn))
	},
	"slow headers": func(conn net.Conn, roots *x509.CertPool) error {
		return onward(conn, roots, func(p *peer) error {
			_ = p.open(1, false)
			return trickle(func() error { return p.WriteContinuation(1, false, []byte{0x40, 1, 'a', 1, 'b'}) })
		})
	},
	"slow body": func(conn net.Conn, roots *x509.CertPool) error {
		return onward(conn, roots, func(p *peer) error {
			for i := range uint32(16) {
				_ = p.open(2*i+1, true)
				_ = p.WriteData(2*i+1, false, append([]byte{0, 0, 0, 0xff, 0}, make([]byte, 8<<10)...))
			}
			return trickle(func() error { return p.WriteData(1, false, []byte{0}) })
		})
	},
	"reads nothing": func(conn net.Conn, roots *x509.CertPool) error {
		conn, err := handshake(conn, roots)
		if err != nil {
			return err
		}
		p, err := greet(conn)
		for err == nil {
			err = p.WriteSettings() // each asks for an answer
		}
		return err
	},
	"idle": func(conn net.Conn, roots *x509.CertPool) error {
		return onward(conn, roots, func(p *peer) error { return untilClosed(p.Conn) })
	},
}

// onward goes on to HTTP/2, reads what comes meanwhile, and does something.
func onward(conn net.Conn, roots *x509.CertPool, do func(*peer) error) error {
	conn, err := handshake(conn, roots)
	if err != nil {
		return err
	}
	p, err := greet(conn)
	if err != nil {
		return err
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.Close()
	reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	return do(p)
}

// untilClosed returns when the other side has closed, which writing shows as well:
// somebody else may be reading.
func untilClosed(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	if err == nil {
		err = io.EOF
	}
	return err
}

// floods are those who send as fast as they can until they are closed; then they come
// again.
var floods = map[string]func(p *peer, i uint32) error{
	"rapid reset": func(p *peer, i uint32) error {
		return errors.Join(p.open(2*i+1, true), p.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
	},
	"made to reset": func(p *peer, i uint32) error {
		return errors.Join(p.open(2*i+1, true), p.WriteRawFrame(http2.FrameWindowUpdate, 0, 2*i+1, make([]byte, 4)))
	},
	"bombs": func(p *peer, i uint32) error {
		frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}
		return errors.Join(p.open(2*i+1, true, "grpc-encoding", zstdcodec.Name),
			p.WriteData(2*i+1, true, append([]byte{1, 0, 0, 0, byte(len(frame))}, frame...)))
	},
	"large headers": func(p *peer, i uint32) error { return p.open(2*i+1, true, "x-large", strings.Repeat("x", 12<<10)) },
	"pings":         func(p *peer, i uint32) error { return p.WritePing(false, [8]byte{}) },
	"full bodies": func(p *peer, i uint32) error {
		return errors.Join(p.open(2*i+1, true), p.WriteData(2*i+1, false, append([]byte{0, 0, 3, 0xff, 0}, make([]byte, 16<<10-5)...)),
			p.WriteData(2*i+1, false, make([]byte, 16<<10)), p.WriteData(2*i+1, false, make([]byte, 16<<10)))
	},
	"methods that are not there": func(p *peer, i uint32) error { return p.open(2*i+1, true, ":path", "/"+marker) },
}

// B01-B07, B11, B24 against the real process, all at once: who does not get on is cut,
// those who send are served throughout, memory is bounded, and the log is as it was.
func TestAbuse(t *testing.T) {
	t.Parallel() // most of it is waiting
	s, cfg := startStack(t, "-max-calls", "512", "-max-streams", "16")
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(s.CAFile())
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate: %v", err)
	}
	cfg.Churn, cfg.InFlight, cfg.Events, cfg.Rate = true, 4, 200, 200
	if _, err := load.Run(t.Context(), cfg); err != nil { // what a first upload logs is logged
		t.Fatal(err)
	}
	log := read(t, s.LogFile())

	cut := map[string]time.Duration{} // the last of each kind
	var mu sync.Mutex
	var holding, flooding sync.WaitGroup
	for i, name := range slices.Sorted(maps.Keys(slow)) {
		for range abusers {
			holding.Go(func() {
				took := hold(t, s.Target(), i, name, roots)
				mu.Lock()
				defer mu.Unlock()
				cut[name] = max(cut[name], took.Round(time.Second))
			})
		}
	}
	var sent atomic.Int64
	flooded := time.Now().Add(floodTime)
	for i, name := range slices.Sorted(maps.Keys(floods)) {
		for range 2 {
			flooding.Go(func() {
				for time.Now().Before(flooded) {
					sent.Add(flood(s.Target(), 100+i, floods[name], roots, flooded))
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { holding.Wait(); flooding.Wait(); close(done) }()
	acked, refused := serve(t, cfg, done)
	usage, err := stack.UsageOf(s.CollectorPid())
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := stack.ReadMetrics(t.Context(), s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cut after %v; %d frames in floods; beside them %d events stored, refused %v; peak %d MiB", cut, sent.Load(), acked, refused, usage.PeakRSS>>20)
	if usage.PeakRSS > abusedRSS {
		t.Errorf("the collector took %d MiB, want at most %d", usage.PeakRSS>>20, abusedRSS>>20)
	}
	for code, n := range refused { // a busy machine may be late with a handshake now and then
		if n*10*20 > acked {
			t.Errorf("those who send were refused with %s %d times, and acknowledged %d events", code, n, acked)
		}
	}
	if more := aboutPeers(t, log, read(t, s.LogFile())); more != "" {
		t.Errorf("the log has more than it had:\n%s", more)
	}
	for series := range metrics {
		if strings.Contains(series, marker) {
			t.Errorf("the metrics have %s", series)
		}
	}
	if books := metrics.Accounting(); metrics["slicemetry_panics_total"] != 0 || !books.Balanced() {
		t.Errorf("%g panics, books %+v", metrics["slicemetry_panics_total"], books)
	}
}

// hold is one who does not get on, and has to be cut. It returns after how long.
func hold(t *testing.T, target string, network int, name string, roots *x509.CertPool) time.Duration {
	conn, err := connect(target, network)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	defer conn.Close()
	began := time.Now()
	err = slow[name](conn, roots)
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s: not cut within %s: %v", name, cutBy, err)
	}
	return time.Since(began)
}

// flood sends until the connection ends, and returns how much.
func flood(target string, network int, step func(*peer, uint32) error, roots *x509.CertPool, until time.Time) (sent int64) {
	conn, err := connect(target, network)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(until.Add(time.Second))
	_ = onward(conn, roots, func(p *peer) error {
		for i := uint32(0); time.Now().Before(until); i++ {
			if err := step(p, i); err != nil {
				return err
			}
			sent++
		}
		return nil
	})
	return sent
}

// serve sends as honest clients do until done, and returns what became of it.
func serve(t *testing.T, cfg load.Config, done <-chan struct{}) (acked int64, refused map[string]int64) {
	t.Helper()
	refused = map[string]int64{}
	ctx, cancel := context.WithTimeout(t.Context(), cutBy+time.Minute)
	defer cancel()
	for round := uint64(0); ; round++ {
		cfg.Seed = round
		result, err := load.Run(ctx, cfg)
		if err != nil {
			t.Fatalf("those who send are not served: %v", err)
		}
		acked += result.Acked
		for code, n := range result.Refused {
			refused[code] += n
		}
		select {
		case <-done:
			return acked, refused
		default:
		}
	}
}

// aboutPeers returns the lines that a log has grown by, but those about the database,
// without a word of the peers': on a busy machine an insert may take too long.
func aboutPeers(t *testing.T, before, now string) (more string) {
	t.Helper()
	grown, found := strings.CutPrefix(now, before)
	if !found {
		t.Error("the log is not what it was and something behind it")
	}
	for line := range strings.Lines(grown) {
		var entry struct{ Msg string }
		storing := json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Msg, "storing ")
		if !storing || strings.Contains(line, marker) || strings.Contains(line, "127.9.") { // marker, or whence peers come
			more += line
		}
	}
	return more
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
