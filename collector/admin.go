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

	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/internal/period"
)

// admin serves health, metrics and profiles, on loopback.
type admin struct {
	listener net.Listener
	server   *http.Server
	failed   atomic.Pointer[time.Time] // when the last block was not committed; nil: it was
	stopping atomic.Bool
	keys     *pseudonym.Ring
	probe    *sink.Probe
	now      func() time.Time
}

const (
	// failureMemory: for so long a failed insert counts against readiness, whatever
	// the probe says: a full disk shows in inserts only. Without an end a collector
	// that gets no traffic would never be ready again.
	failureMemory   = 5 * time.Second
	adminHeaderTime = 5 * time.Second
)

func newAdmin(cfg Config, m *metrics, keys *pseudonym.Ring) (*admin, error) {
	listener, err := net.Listen("tcp", cfg.Admin)
	if err != nil {
		return nil, err
	}
	a := &admin{listener: listener, keys: keys, probe: sink.NewProbe(cfg.Database), now: cfg.Now}
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
	defer a.probe.Close()
	_ = a.server.Serve(a.listener) // returns when it is closed, which is how it ends
}

// ready says whether a batch sent now could be stored: the collector is not
// draining, this week's key is there, the last insert worked, and the database would
// take another.
func (a *admin) ready(w http.ResponseWriter, _ *http.Request) {
	if a.stopping.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	if a.keys.Ready(period.Of(a.now())) != nil {
		http.Error(w, "no key for this week", http.StatusServiceUnavailable)
		return
	}
	if err := a.probe.Ready(); err != nil {
		http.Error(w, "the database takes no rows: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
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
