package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/limit"
	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
)

// Server is a collector.
type Server struct {
	collectorgrpc.UnimplementedCollectorServer // of which Upload is never called, see codec.go

	cfg     Config
	limiter *limit.Limiter
	keys    *pseudonym.Ring
	rules   scrub.Rules
	sink    *sink.Sink
	metrics *metrics
	grpc    *grpc.Server
	public  *edge.Listener
	admin   *admin
	calls   atomic.Int64 // under way, those included whose body has not come yet
}

const (
	// giveUp is how long the sink tries a block, from its first batch on, so that the
	// wait for more rows counts. It stays below a client's deadline of 15 s: the client
	// hears why.
	giveUp = 8 * time.Second
	// inserters: while one waits for the disk the other encodes.
	inserters = 2
	// drainTime is how long calls under way may take at shutdown.
	drainTime = giveUp + maxFlushAge + 2*time.Second
	// pruneInterval: keys are destroyed within an hour of their time.
	pruneInterval = time.Hour
)

// New checks the configuration and binds the addresses. The database may be away.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("collector: configuration: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	keys, err := pseudonym.Open(cfg.KeyDir)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	s := &Server{cfg: cfg, keys: keys, limiter: limit.New(cfg.LimitRate, cfg.LimitBurst, cfg.Now)}
	keys.Observe = s.observeKeys
	s.rules = scrub.Rules{Hasher: keys, KeepOrigins: cfg.StorePrefix == PrefixCoarse, Now: cfg.Now}
	s.rules.Covers = func(version uint32, p period.Period) bool { return s.cfg.Policy.covers(version, p, s.cfg.Now()) }
	s.metrics = newMetrics(func() int { return s.sink.Pending() }, func() int { return s.public.Open() }, func() int { return int(s.calls.Load()) }, keys.Overdue)
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("collector: listen: %w", err)
	}
	s.public = edge.Listen(listener, edge.Config{
		MaxConns: cfg.MaxConnections, MaxNetwork: cfg.MaxNetworkConnections, Proxies: cfg.Proxies, Observe: s.metrics.closedConnection,
	})
	if s.admin, err = newAdmin(cfg, s.metrics, keys); err != nil {
		return nil, errors.Join(fmt.Errorf("collector: admin: %w", err), s.public.Close())
	}
	s.sink = sink.New(sink.Config{
		Database:  cfg.Database,
		FlushRows: cfg.FlushRows, FlushAge: cfg.FlushAge, MaxPending: cfg.MaxPending, GiveUp: giveUp, Inserters: inserters,
		Observe: s.observe,
	})
	s.grpc = grpc.NewServer(s.options()...)
	s.grpc.RegisterService(service(), s)
	return s, nil
}

// Addr returns the public address.
func (s *Server) Addr() string { return s.public.Addr().String() }

// AdminAddr returns the address of health and metrics.
func (s *Server) AdminAddr() string { return s.admin.listener.Addr().String() }

// Run serves until ctx ends or no connection can be accepted any more, then drains: it
// stops taking connections, lets the calls under way end, stores what was accepted, and
// returns.
func (s *Server) Run(ctx context.Context) error {
	// Order of shutdown: public calls, sink, then keys and admin: health and metrics
	// are there to the last.
	var background sync.WaitGroup
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	background.Go(func() { s.pruneKeys(stopping) })
	background.Go(func() { s.admin.run(stopping) })
	var failed error // of Serve
	var serve sync.WaitGroup
	serving, ended := context.WithCancel(ctx)
	serve.Go(func() { defer ended(); failed = s.grpc.Serve(s.public) })
	s.cfg.Logger.Info("serving", "listen", s.Addr(), "admin", s.AdminAddr(), "policy", s.reply().PolicyVersion)
	<-serving.Done()
	s.admin.draining()
	s.drain()
	serve.Wait() // which drain has ended
	s.sink.Close()
	stop()
	background.Wait()
	if failed != nil && !errors.Is(failed, grpc.ErrServerStopped) { // which it says where ctx ended first
		return fmt.Errorf("collector: serve: %w", failed)
	}
	s.cfg.Logger.Info("drained")
	return nil
}

// drain lets calls end by themselves for a while.
func (s *Server) drain() {
	timer := time.AfterFunc(drainTime, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
}

// observe books the end of a block and says when storing begins to fail.
func (s *Server) observe(o sink.Outcome) {
	s.metrics.observe(o)
	if s.admin.stored(o.Err == nil) {
		if o.Err != nil {
			s.cfg.Logger.Error("storing fails; clients keep their batches", "code", sink.Code(o.Err), "attempts", o.Attempts, "error", o.Err)
		} else {
			s.cfg.Logger.Info("storing works")
		}
	}
}

// observeKeys says when a week's key cannot be had, and when it can again.
func (s *Server) observeKeys(p period.Period, err error) {
	if err != nil {
		s.cfg.Logger.Error("no pseudonym; clients keep their batches", "error", err)
		return
	}
	s.cfg.Logger.Info("pseudonyms work again", "week", p.String())
}

// pruneKeys destroys the keys of closed periods, at the start and every hour.
func (s *Server) pruneKeys(ctx context.Context) {
	tick := time.NewTicker(pruneInterval)
	defer tick.Stop()
	for {
		switch n, err := s.keys.Prune(s.cfg.Now()); {
		case err != nil:
			s.cfg.Logger.Error("keys not destroyed", "error", err)
		case n > 0:
			s.cfg.Logger.Info("keys destroyed", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serverTLS is the certificate's configuration with ours on top: TLS 1.3, and no
// session tickets, by which two connections of one client could be linked.
func serverTLS(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion = tls.VersionTLS13
	c.SessionTicketsDisabled = true
	c.NextProtos = []string{"h2"}
	return c
}
