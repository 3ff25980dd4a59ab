package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// An upload is a connection of its own, on which nothing tells one client from
// another or one upload from the next: TLS 1.3, no session of the last one, although
// this server offers some, the same headers, and a deadline of 15 s.
func TestTransport(t *testing.T) {
	_, certificate := certified(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w, _ := startWire(t)
	var mu sync.Mutex
	var calls []http.Header
	peers := map[string]bool{}
	server := &http.Server{ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, r.Header.Clone())
			peers[r.RemoteAddr] = true
			if r.TLS == nil || r.TLS.Version != tls.VersionTLS13 || r.TLS.DidResume || r.TLS.NegotiatedProtocol != "h2" {
				t.Errorf("connected with %+v", r.TLS)
			}
			w.ServeHTTP(rw, r)
		})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(l, "", "") // ends with Close
	}()
	t.Cleanup(func() { server.Close(); <-ended })
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	const uploads = 3
	for range uploads {
		cfg := config(t.TempDir(), l.Addr().String())
		cfg.Plaintext, cfg.RootCAs = false, roots
		c := granted(t, cfg)
		for range 2 { // and again by the same client
			c.Record(numbered(0))
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != 2*uploads || len(peers) != 2*uploads {
		t.Errorf("%d calls over %d connections, want %d over as many", len(calls), len(peers), 2*uploads)
	}
	for _, header := range calls {
		header.Del("Content-Length") // follows from what is sent
		if !maps.EqualFunc(header, calls[0], slices.Equal) {
			t.Errorf("one call has the headers %v, another %v", header, calls[0])
		}
	}
	if got := calls[0].Get("Grpc-Timeout"); got != "15S" {
		t.Errorf("the collector is given %q, want 15S", got)
	}
}
