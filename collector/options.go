package collector

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd" // what clients compress with
)

// Limits of the public listener. A desktop makes one connection a day, sends one
// to four batches of a few KiB, and leaves.
const (
	maxHeaderBytes   = 8 << 10          // gRPC's own headers are a few hundred octets; its default is 16 MiB
	handshakeTime    = 5 * time.Second  // default 120 s: a slow handshake holds a socket
	idleTime         = 30 * time.Second // default: for ever
	connectionAge    = 60 * time.Second // so that many uploads do not share a connection
	connectionGrace  = 10 * time.Second
	pingAfter        = 30 * time.Second
	pingTimeout      = 10 * time.Second
	minPingInterval  = time.Minute
	callTime         = 20 * time.Second // more than a client waits (15 s)
	writeBufferBytes = 4 << 10          // default 32 KiB; all connections share them
	readBufferBytes  = 512              // default 32 KiB, for each connection; TLS has a buffer below it
	streamWindow     = 64 << 10         // static, so that memory is bounded by connections
	connectionWindow = 128 << 10
)

func (s *Server) options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.MaxConcurrentStreams(s.cfg.MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxRecvMsgSize(zstdcodec.MaxMessageBytes),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTime, MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: connectionGrace,
			Time: pingAfter, Timeout: pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval}),
		grpc.ReadBufferSize(readBufferBytes), grpc.WriteBufferSize(writeBufferBytes),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connectionWindow),
		grpc.InTapHandle(s.admit),
		grpc.UnaryInterceptor(s.recoverPanic), grpc.ForceServerCodecV2(newCodec()),
	}
	if !s.cfg.Plaintext {
		options = append(options, grpc.Creds(credentials.NewTLS(serverTLS(s.cfg.TLS))))
	}
	return options
}

var limitCall = edge.LimitCall(callTime)

// admit sends a call away before its body is read, when as many are under way as
// memory is there for: under overload a call that is not taken must cost little.
// One that is taken ends by a time, whatever its client asked for.
func (s *Server) admit(ctx context.Context, call *tap.Info) (context.Context, error) {
	if s.calls.Load() >= int64(s.cfg.MaxCalls) {
		s.metrics.turnedAway.Inc()
		return nil, statusOf(sink.ErrOverloaded, s.cfg.RetryAfter)
	}
	return limitCall(ctx, call)
}

// recoverPanic keeps a defect in one call from ending all others. What it says
// holds no value: a panic's text may.
func (s *Server) recoverPanic(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if recover() != nil {
			s.metrics.panics.Inc()
			s.cfg.Logger.Error("a call ended in a panic")
			reply, err = nil, status.Error(codes.Internal, internal.text)
		}
	}()
	return handler(ctx, request)
}
