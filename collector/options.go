package collector

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	_ "github.com/slicemetry/slicemetry/collector/internal/throttle" // answers to control frames
	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd" // what clients compress with
)

// Limits of the public listener. A desktop makes one connection a day, sends one
// to four batches of a few KiB, and leaves.
const (
	maxHeaderBytes   = 8 << 10          // gRPC's own headers are a few hundred octets; its default is 16 MiB
	handshakeTime    = 5 * time.Second  // default 120 s: a slow handshake holds a socket
	idleTime         = 30 * time.Second // default: for ever
	connectionAge    = 60 * time.Second // so that many uploads do not share a connection; default: for ever
	connectionGrace  = 10 * time.Second // for the calls that are then under way; default: for ever
	pingAfter        = 30 * time.Second // of silence, whether the peer is still there; default 2 h
	pingTimeout      = 10 * time.Second // default 20 s
	minPingInterval  = time.Minute      // default 5 min; without a call none is allowed, as by default
	writeBufferBytes = 4 << 10          // default 32 KiB; shared, so that who is idle has none, which is the default by now
	readBufferBytes  = 512              // default 32 KiB, for each connection; TLS has a buffer below it
	// Static windows do not grow with what a peer can send, as they do by default, up
	// to 16 MiB. gRPC opens a stream's for the message that it has begun to read, and
	// the connection's whatever is read, so it is twice MaxCalls times the largest message
	// that bounds what bodies hold: a frame's buffer may be half empty, and edge.Watch refuses crumbs.
	streamWindow     = 64 << 10
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
		grpc.InTapHandle(s.tapped), grpc.UnknownServiceHandler(s.unknownMethod),
		grpc.ForceServerCodecV2(newCodec()), experimental.BufferPool(buffers),
	}
	transport := insecure.NewCredentials()
	if !s.cfg.Plaintext {
		transport = credentials.NewTLS(serverTLS(s.cfg.TLS))
	}
	return append(options, grpc.Creds(edge.Watch(transport, s.metrics.closedConnection)))
}
