package collector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// Upload implements collectorgrpc.CollectorServer: the whole path of a batch. It
// returns without an error only after the rows are committed durably.
func (s *Server) Upload(ctx context.Context, request *collectorv1.UploadRequest) (*collectorv1.UploadResponse, error) {
	// A reply of some octets is not worth a compressor.
	_ = grpc.SetSendCompressor(ctx, "identity")
	if err := s.take(ctx, request); err != nil {
		return nil, statusOf(err, s.cfg.RetryAfter)
	}
	return s.reply(), nil
}

// take limits, scrubs and stores, and books every event exactly once: here, or
// in the sink's outcome once the rows are accepted.
func (s *Server) take(ctx context.Context, request *collectorv1.UploadRequest) error {
	events := float64(len(request.GetBatch().GetSlices()))
	s.metrics.received.Add(events)
	from := peerPrefix(ctx)
	if !s.limiter.Allow(from.Fine()) {
		s.metrics.shed.Add(events)
		return errLimited
	}
	report := reports.Get().(*rules.Report)
	defer reports.Put(report)
	report.Reset()
	rows, err := s.rules.Batch(request.GetBatch(), from, report)
	if err != nil {
		s.refuse(err, events)
		return err
	}
	for _, f := range report.Findings {
		s.metrics.corrected.WithLabelValues(f.Field, string(f.Action)).Inc()
	}
	err = s.sink.Add(ctx, rows)
	if errors.Is(err, sink.ErrOverloaded) || errors.Is(err, sink.ErrClosed) {
		s.metrics.shed.Add(events) // it was not accepted, so the sink does not book it
	}
	return err
}

// reports are used again, because most calls find nothing.
var reports = sync.Pool{New: func() any { return new(rules.Report) }}

// refuse books a batch that was not scrubbed. An error that is no Reason is the
// key ring's: ours to mend, and the client keeps the batch.
func (s *Server) refuse(err error, events float64) {
	var reason scrub.Reason
	if errors.As(err, &reason) {
		s.metrics.rejected.WithLabelValues(string(reason)).Add(events)
		return
	}
	s.metrics.failed.Add(events)
	s.cfg.Logger.Error("no pseudonym; the client keeps its batch", "error", err)
}

// peerPrefix is the only place where a client's address is looked at. What it
// returns is truncated before anything else sees it.
func peerPrefix(ctx context.Context) scrub.Prefix {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return scrub.Prefix{}
	}
	address, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return scrub.Prefix{}
	}
	addr, ok := netip.AddrFromSlice(address.IP)
	if !ok {
		return scrub.Prefix{}
	}
	return scrub.PrefixOf(addr)
}
