package client_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// What is not a collector takes nothing: everything is kept.
func TestNotACollector(t *testing.T) {
	for name, endpoint := range map[string]string{
		"portal says OK": clienttest.Portal(t, http.StatusOK), "portal redirects": clienttest.Portal(t, http.StatusFound),
		"not found": clienttest.Portal(t, http.StatusNotFound), "half closed": clienttest.HalfClosed(t), "absent": "127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := granted(t, config(dir, endpoint))
			c.Record(numbered(0))
			var retry *client.RetryError
			if err := c.Flush(t.Context()); !errors.As(err, &retry) {
				t.Errorf("Flush() = %v, want a RetryError", err)
			}
			if s := c.Status(); s.SpoolEvents != 1 || s.Quarantined != 0 || s.LastError == "" {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// An answer that takes its time is waited for.
func TestSlowCollector(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Delay: 300 * time.Millisecond})
	c := granted(t, config(t.TempDir(), r.Addr()))
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// secure starts a recorder with a certificate of its own.
func secure(t *testing.T) (r *clienttest.Recorder, roots *x509.CertPool, pin string) {
	t.Helper()
	r, certificate := certified(t)
	roots = x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
	return r, roots, base64.StdEncoding.EncodeToString(sum[:])
}

func certified(t *testing.T) (*clienttest.Recorder, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"collector.invalid"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	options := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})
	return clienttest.StartWith(t, grpc.Creds(options)), certificate
}

func TestPins(t *testing.T) {
	r, roots, pin := secure(t)
	other := base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for _, tt := range []struct {
		name string
		pins client.Pins
		sent bool
	}{
		{"none", client.Pins{}, true},
		{"its key and a spare one", client.Pins{SHA256: []string{other, pin}}, true},
		{"other keys", client.Pins{SHA256: []string{other, other}}, false},
		{"other keys, no longer", client.Pins{SHA256: []string{other, other}, Until: time.Now().Add(-time.Hour)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t.TempDir(), r.Addr())
			cfg.Plaintext, cfg.RootCAs, cfg.Pins = false, roots, tt.pins
			c := granted(t, cfg)
			c.Record(numbered(0))
			err := c.Flush(t.Context())
			if sent := err == nil; sent != tt.sent || c.Status().SpoolBatches == 1 == tt.sent {
				t.Errorf("Flush() = %v with %d batches kept, want sent %t", err, c.Status().SpoolBatches, tt.sent)
			}
		})
	}
	for _, pins := range [][]string{{pin}, {pin, "short"}} {
		cfg := config(t.TempDir(), r.Addr())
		cfg.Pins.SHA256 = pins
		if c, err := client.Open(cfg); err == nil || c.Close() != nil {
			t.Errorf("pins %v are taken", pins)
		}
	}
}

// proxyServer is a proxy that asks for a password and knows one host: by HTTP, by
// HTTP over TLS where there is a certificate, or by SOCKS.
func proxyServer(t *testing.T, target string, certificate *tls.Certificate, handshake func(net.Conn) bool) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if certificate != nil {
				conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}})
			}
			running.Go(func() {
				defer conn.Close()
				if handshake(conn) {
					relay(conn, target)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

// connect is a proxy's side of CONNECT.
func connect(conn net.Conn) bool {
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:secret"))
	if request.Method != http.MethodConnect || request.Header.Get("Proxy-Authorization") != want {
		_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	return request.Host == "collector.invalid:443" // a name that only the proxy knows
}

// socks is a proxy's side of SOCKS 5 (RFC 1928) with a password (RFC 1929).
func socks(conn net.Conn) bool {
	expect := func(want, answer string) bool {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			return false
		}
		_, err := io.WriteString(conn, answer)
		return err == nil
	}
	methods := make([]byte, 2)
	if _, err := io.ReadFull(conn, methods); err != nil {
		return false
	}
	if _, err := io.CopyN(io.Discard, conn, int64(methods[1])); err != nil {
		return false
	}
	if _, err := io.WriteString(conn, "\x05\x02"); err != nil {
		return false
	}
	return expect("\x01\x04user\x06secret", "\x01\x00") &&
		expect("\x05\x01\x00\x03\x11collector.invalid\x01\xbb", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
}

func relay(conn net.Conn, target string) {
	onward, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer onward.Close()
	go func() { // ends when either side does
		_, _ = io.Copy(onward, conn)
		onward.Close()
	}()
	_, _ = io.Copy(conn, onward)
}

// Through a proxy with a password, by which the collector's name is looked up. A
// wrong password keeps everything and is not repeated in any error.
func TestProxies(t *testing.T) {
	r, roots, _ := secure(t)
	address, socksAddress := proxyServer(t, r.Addr(), nil, connect), proxyServer(t, r.Addr(), nil, socks)
	for _, tt := range []struct {
		name, proxy string
		sent        bool
	}{
		{"right password", "http://user:secret@" + address, true},
		{"SOCKS", "socks5://user:secret@" + socksAddress, true},
		{"SOCKS, wrong password", "socks5h://user:Secret@" + socksAddress, false},
		{"wrong password", "http://user:wrong@" + address, false},
		{"switched off", client.NoProxy, false},
		{"absent", "http://user:secret@127.0.0.1:1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t.TempDir(), "collector.invalid:443")
			cfg.Plaintext, cfg.RootCAs, cfg.Proxy = false, roots, tt.proxy
			c := granted(t, cfg)
			c.Record(numbered(0))
			err := c.Flush(t.Context())
			if sent := err == nil; sent != tt.sent || c.Status().SpoolEvents == 1 == tt.sent {
				t.Errorf("Flush() = %v with %d events kept, want sent %t", err, c.Status().SpoolEvents, tt.sent)
			}
			if s := c.Status(); strings.Contains(s.LastError, "secret") || err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, status %+v", err, s)
			}
		})
	}
	for _, proxy := range []string{"user:secret@host", "ftp://user:secret@host", "http://"} {
		cfg := config(t.TempDir(), "collector.invalid:443")
		cfg.Plaintext, cfg.Proxy = false, proxy
		if c, err := client.Open(cfg); err == nil || c.Close() != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v for a proxy that is none", err)
		}
	}
}

// The environment's proxy counts, for a process in which it is set from the start.
// One that is none keeps what was recorded, and the host.
func TestProxyOfTheEnvironment(t *testing.T) {
	r, certificate := certified(t)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	plain := "http://user:secret@" + proxyServer(t, r.Addr(), nil, connect)
	for i, tt := range []struct {
		proxy, exceptions string
		sent              bool
	}{
		{plain, "collector.invalid", false},
		{plain, "elsewhere.invalid", true},
		{"https://user:secret@" + proxyServer(t, r.Addr(), &certificate, connect), "", true},
		{"socks5://user:secret@" + proxyServer(t, r.Addr(), nil, socks), "", true},
		{"http://[user:secret", "", false},
	} {
		t.Setenv("HTTPS_PROXY", tt.proxy)
		t.Setenv("NO_PROXY", tt.exceptions)
		before, dir := len(r.Slices()), t.TempDir()
		cfg := config(dir, r.Addr())
		granted(t, cfg)
		cmd, _ := start(t, "send", dir, "collector.invalid:443", 0, 1)
		if err := cmd.Wait(); (err == nil) != tt.sent {
			t.Errorf("%d: through %s, but not to %q: %v", i, tt.proxy, tt.exceptions, err)
		}
		if arrived, kept := len(r.Slices())-before, open(t, cfg).Status().SpoolEvents; arrived+kept != 1 || (arrived == 1) != tt.sent {
			t.Errorf("%d: %d arrived and %d are kept", i, arrived, kept)
		}
	}
}
