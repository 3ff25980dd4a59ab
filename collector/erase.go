package collector

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// Erase implements collectorgrpc.CollectorServer. When it returns without an error
// no row of that installation and week is readable, and none ever will be: the
// readers' filter on the raw tables leaves out what raw.erasures names, whenever
// it was stored. The rows themselves are removed by the next `aggregator drop`.
func (s *Server) Erase(ctx context.Context, request *collectorv1.EraseRequest) (*collectorv1.EraseResponse, error) {
	_ = grpc.SetSendCompressor(ctx, "identity")
	reply, err := s.erase(request)
	s.metrics.erasures.WithLabelValues(eraseOutcome(err)).Inc()
	if err != nil {
		return nil, statusOf(err, s.cfg.RetryAfter)
	}
	return reply, nil
}

func (s *Server) erase(request *collectorv1.EraseRequest) (*collectorv1.EraseResponse, error) {
	rows, receipt, err := s.rules.Erasure(request.GetUnitToken(), request.GetPeriod())
	if errors.Is(err, scrub.PeriodClosed) {
		// Everything of that week is destroyed, and the key to tell whose it was.
		return &collectorv1.EraseResponse{GoneBy: s.today()}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.sink.Add(rows); err != nil {
		return nil, err
	}
	goneBy := rows.Period().End().Add(period.Retention)
	return &collectorv1.EraseResponse{Receipt: receipt, GoneBy: Day{goneBy}.number()}, nil
}

func (s *Server) today() uint32 { return Day{s.cfg.Now()}.number() }

// The outcomes of an erasure, a metric's label.
const (
	eraseDone    = "erased"
	eraseRefused = "refused" // malformed
	eraseFailed  = "failed"  // to be repeated by the client
)

var eraseOutcomes = []string{eraseDone, eraseRefused, eraseFailed}

func eraseOutcome(err error) string {
	var reason scrub.Reason
	switch {
	case err == nil:
		return eraseDone
	case errors.As(err, &reason):
		return eraseRefused
	}
	return eraseFailed
}
