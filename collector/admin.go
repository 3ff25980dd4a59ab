package collector

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin serves health, metrics and profiles, on loopback.
type admin struct {
	listener net.Listener
	server   *http.Server
	failed   atomic.Pointer[time.Time] // when the last block was not committed; nil: it was
	stopping atomic.Bool
	database string // address, to probe
}

const (
	probeTimeout = time.Second
	// failureMemory: for so long a failed insert counts against readiness. Without
	// an end a collector that gets no traffic would never be ready again.
	failureMemory   = 5 * time.Second
	adminHeaderTime = 5 * time.Second
)

func newAdmin(cfg Config, m *metrics) (*admin, error) {
	listener, err := net.Listen("tcp", cfg.Admin)
	if err != nil {
		return nil, err
	}
	a := &admin{listener: listener, database: cfg.Database.Address}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("/readyz", a.ready)
	mux.Handle("/metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: adminHeaderTime, ErrorLog: log.New(io.Discard, "", 0)}
	return a, nil
}

// run serves until ctx ends.
func (a *admin) run(ctx context.Context) {
	stopped := context.AfterFunc(ctx, func() { a.server.Close() })
	defer stopped()
	_ = a.server.Serve(a.listener) // returns when it is closed, which is how it ends
}

// ready says whether a batch sent now could be stored: the collector is not
// draining, the last insert worked, and the database listens.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	if a.stopping.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.database)
	if err != nil {
		http.Error(w, "the database does not listen", http.StatusServiceUnavailable)
		return
	}
	conn.Close()
	if failed := a.failed.Load(); failed != nil && time.Since(*failed) < failureMemory {
		http.Error(w, "the last insert failed", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (a *admin) draining() { a.stopping.Store(true) }

// stored notes whether a block was committed, and reports whether that is news.
func (a *admin) stored(ok bool) (news bool) {
	var failed *time.Time
	if !ok {
		now := time.Now()
		failed = &now
	}
	return (a.failed.Swap(failed) != nil) == ok
}
