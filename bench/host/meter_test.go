package host

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// start is a time long enough ago for a year of weeks.
var start = time.Date(2025, 1, 8, 0, 0, 0, 0, time.UTC)

// meter counts what a server of grpc-go's receives in messages.
type meter struct{ octets atomic.Int64 }

func (m *meter) option() grpc.ServerOption { return grpc.StatsHandler(m) }

// HandleRPC implements stats.Handler.
func (m *meter) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		m.octets.Add(int64(in.WireLength))
	}
}

// TagRPC implements stats.Handler.
func (m *meter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (m *meter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (m *meter) HandleConn(context.Context, stats.ConnStats) {}
