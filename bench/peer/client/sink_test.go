package client

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	"github.com/slicemetry/slicemetry/client/clienttest"
)

// server is what a library sends to, once it is up.
type server interface {
	address() string
	// distinct is how many different events have arrived, and repeated how often
	// one arrived again.
	counts() (distinct, repeated int)
}

// serverFor is the server that a library speaks to.
func serverFor(t *testing.T, name string) server {
	if name == "slicemetry" {
		return recorder{clienttest.Start(t)}
	}
	s := &sink{seen: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true) // OTLP over gRPC
	s.Start()
	t.Cleanup(s.Close)
	return s
}

type recorder struct{ *clienttest.Recorder }

func (r recorder) address() string { return r.Addr() }

func (r recorder) counts() (distinct, repeated int) {
	seen := map[uint32]int{}
	for _, s := range r.Slices() {
		seen[100*s.VersionMajor+s.VersionMinor]++
	}
	for _, n := range seen {
		repeated += n - 1
	}
	return len(seen), repeated
}

// sink takes whatever is posted, counts the markers in it, and says yes in the
// way that each of the libraries understands.
type sink struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]int // guarded by mu
}

var markers = regexp.MustCompile(`evt-\d{6}`)

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off: it does not count
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(z)
		}
	}
	s.mu.Lock()
	for _, m := range markers.FindAll(body, -1) {
		s.seen[string(m)]++
	}
	s.mu.Unlock()
	if r.Header.Get("Content-Type") == "application/grpc" {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.Write(make([]byte, 5)) // an empty message
		w.Header().Set("Grpc-Status", "0")
		return
	}
	io.WriteString(w, `{"status":1}`)
}

func (s *sink) address() string { return s.Listener.Addr().String() }

func (s *sink) counts() (distinct, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.seen {
		repeated += n - 1
	}
	return len(s.seen), repeated
}
