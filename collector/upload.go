package collector

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
)

// upload serves Upload: the whole path of a batch. It returns without an error
// only after the rows are committed durably.
func (s *Server) upload(ctx context.Context, u *upload) (any, error) {
	// A reply of some octets is not worth a compressor.
	_ = grpc.SetSendCompressor(ctx, "identity")
	commit, err := s.take(ctx, u)
	if err == nil {
		err = commit.Wait()
	}
	if err != nil {
		return nil, statusOf(err, s.cfg.RetryAfter)
	}
	return s.reply(), nil
}

// take scrubs and stores, and books every event exactly once: here, or in
// the sink's outcome once the rows are accepted. The request is used again by
// another call when it returns.
func (s *Server) take(ctx context.Context, u *upload) (*sink.Commit, error) {
	defer uploads.Put(u)
	rows, err := s.scrub(u, peerPrefix(ctx))
	events := float64(u.decoder.Slices())
	s.metrics.received.Add(events) // not before: what a panic ends is in no book
	if err != nil {
		s.refuse(err, events)
		return nil, err
	}
	for _, f := range u.report.Findings {
		s.metrics.corrected.WithLabelValues(f.Field, string(f.Action)).Inc()
	}
	commit, err := s.sink.Append(&rows)
	if err != nil {
		s.metrics.shed.Add(events) // it was not accepted, so the sink does not book it
	}
	return commit, err
}

func (s *Server) scrub(u *upload, from scrub.Prefix) (scrub.Rows, error) {
	if u.err != nil {
		return scrub.Rows{}, scrub.Malformed
	}
	return s.rules.Batch(u.batch, from, &u.report)
}

// refuse books a batch that was not scrubbed. An error that is no Reason is the
// key ring's: ours to mend, and the client keeps the batch. observeKeys tells of it.
func (s *Server) refuse(err error, events float64) {
	var reason scrub.Reason
	if errors.As(err, &reason) {
		s.metrics.rejected.WithLabelValues(string(reason)).Add(events)
		s.metrics.callsRefused.WithLabelValues(string(reason)).Inc()
		return
	}
	s.metrics.failed.Add(events)
}

// peerPrefix is what may be known of a peer's address.
func peerPrefix(ctx context.Context) scrub.Prefix {
	if p, ok := peer.FromContext(ctx); ok {
		return edge.PrefixOf(p.Addr)
	}
	return scrub.Prefix{}
}
