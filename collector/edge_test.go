package collector_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
)

func parse(text string, v *float64) error {
	_, err := fmt.Sscan(text, v)
	return err
}

func TestConfigReportsEveryProblem(t *testing.T) {
	cfg := collector.DefaultConfig()
	cfg.Listen, cfg.Admin, cfg.Plaintext = "0.0.0.0:4680", "0.0.0.0:4681", true
	cfg.StorePrefix, cfg.FlushAge, cfg.MaxPending = "all", time.Hour, 1
	_, err := collector.New(cfg)
	if err == nil {
		t.Fatal("a useless configuration is taken")
	}
	for _, want := range []string{"admin:", "clickhouse:", "keys:", "policy:", "plaintext:", "store-prefix:", "flush-age:", "max-pending:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// The public listener speaks TLS 1.3 only, gives no tickets, and speaks h2 only.
func TestTLS(t *testing.T) {
	r := start(t, func(cfg *collector.Config) {
		cfg.Plaintext = false
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	})
	dial := func(cfg *tls.Config) (*tls.Conn, error) {
		cfg.InsecureSkipVerify = true // the certificate is not what is tested
		return tls.Dial("tcp", r.Addr(), cfg)
	}
	if conn, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}); err == nil {
		conn.Close()
		t.Error("TLS 1.2 is served")
	}
	// crypto/tls lets a client of HTTP/1.1 through the handshake; it gets no octet.
	if conn, err := dial(&tls.Config{NextProtos: []string{"http/1.1"}}); err == nil {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("HTTP/1.1 is served %d octets", n)
		}
		conn.Close()
	}
	cache := tls.NewLRUClientSessionCache(10)
	for range 2 {
		conn, err := dial(&tls.Config{NextProtos: []string{"h2"}, ServerName: "localhost", ClientSessionCache: cache})
		if err != nil {
			t.Fatal(err)
		}
		// A ticket comes with the first bytes of data.
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("a session was resumed: two connections can be linked")
		}
		conn.Close()
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Nothing but Upload is there, and what is too large is refused.
func TestPublicSurface(t *testing.T) {
	r := start(t, nil)
	conn := dialPlain(t, r.Addr())
	for _, method := range []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check",
		"/grpc.channelz.v1.Channelz/GetServers", "/slicemetry.collector.v1.Collector/upload", "/x",
	} {
		err := conn.Invoke(t.Context(), method, request(1), request(0))
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v, want Unimplemented", method, err)
		}
	}
	big := request(1)
	big.Batch.UnitToken = make([]byte, 300<<10)
	if _, err := r.client(t).Upload(t.Context(), big); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a batch of 300 KiB: %v, want ResourceExhausted", err)
	}
}

func dialPlain(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
