package collector

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
)

// callTime is how long a call may take, body and all: more than a client waits (15 s).
const callTime = 20 * time.Second

var limitCall = edge.LimitCall(callTime)

// The reasons why a call is refused before anybody knows what is in it. They are
// a metric's label, together with those of scrub.
const (
	refusedMethod     = "unknown_method"
	refusedCodec      = "unknown_codec"
	refusedLimited    = "limited"    // its network sends too much
	refusedOverloaded = "overloaded" // as many calls are under way as may be
	refusedTooLarge   = "too_large"
	refusedUnreadable = "unreadable" // cannot be decompressed, or is not framed as it says
	refusedUnfinished = "unfinished" // its body did not come in time, or its client left
)

func callRefusals() []string {
	list := []string{refusedMethod, refusedCodec, refusedLimited, refusedOverloaded, refusedTooLarge, refusedUnreadable, refusedUnfinished}
	for _, reason := range scrub.Reasons {
		list = append(list, string(reason))
	}
	return list
}

var (
	errUnknownMethod = status.Error(codes.Unimplemented, "the method is not known here")
	errUnknownCodec  = status.Error(codes.Unimplemented, "messages are protobuf here")
)

// tapped is gRPC's tap: it sees a call before its handler begins, and gives it a time by
// which it ends, whatever its client asked for. It must be quick: a connection's reader waits.
//
// It refuses nothing. Of a call that its tap refuses gRPC 1.85 keeps the timer of the client's
// deadline, and with it the peer's address, for as long as that client said that it would wait.
func (s *Server) tapped(ctx context.Context, call *tap.Info) (context.Context, error) {
	if path := call.FullMethodName; !strings.HasPrefix(path, "/") || strings.LastIndexByte(path, '/') == 0 {
		s.turnAway(refusedMethod, nil) // gRPC does, before it looks for a handler
	}
	return limitCall(ctx, call)
}

// admit takes a place for a call, or says why it is not served. Its body has not been
// read: under overload a call that is not taken must cost little, and one whose
// body never comes must not get in for nothing.
func (s *Server) admit(ctx context.Context) error {
	switch {
	case !protobuf(metadata.ValueFromIncomingContext(ctx, "content-type")):
		return s.turnAway(refusedCodec, errUnknownCodec)
	case !s.limiter.Allow(peerPrefix(ctx).Fine()):
		return s.turnAway(refusedLimited, statusOf(errLimited, s.cfg.RetryAfter))
	case !s.takePlace():
		return s.turnAway(refusedOverloaded, statusOf(sink.ErrOverloaded, s.cfg.RetryAfter))
	}
	return nil
}

// takePlace counts a call among those under way, of which there are never more than may be.
func (s *Server) takePlace() bool {
	for {
		n := s.calls.Load()
		if n >= int64(s.cfg.MaxCalls) {
			return false
		}
		if s.calls.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// turnAway counts a refusal.
func (s *Server) turnAway(reason string, err error) error {
	s.metrics.callsRefused.WithLabelValues(reason).Inc()
	return err
}

// unknownMethod answers calls of methods that are not served.
func (s *Server) unknownMethod(any, grpc.ServerStream) error {
	return s.turnAway(refusedMethod, errUnknownMethod)
}

// protobuf reports whether a call's content type is gRPC's for protobuf. gRPC has
// looked at its beginning, and would take any other codec for protobuf.
func protobuf(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(contentType[0]), ";")
	return kind == "application/grpc" || kind == "application/grpc+proto"
}

// admitted wraps a method's handler: a call has a place from before its body is read, or is
// refused; and one whose body cannot be read is counted, with its reason.
func admitted(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (reply any, err error) {
		s := server.(*Server)
		defer s.survive(&reply, &err)
		if err := s.admit(ctx); err != nil {
			return nil, err
		}
		defer s.calls.Add(-1)
		return handler(server, ctx, func(request any) error {
			if err := decode(request); err != nil {
				return s.unread(err)
			}
			return nil
		}, intercept)
	}
}

// survive is deferred by every call. It keeps a defect in one from ending all others;
// what it says of it holds no value: a panic's text may.
func (s *Server) survive(reply *any, err *error) {
	if recover() != nil {
		s.metrics.panics.Inc()
		s.cfg.Logger.Error("a call ended in a panic")
		*reply, *err = nil, status.Error(codes.Internal, internal.text)
	}
}

// unread counts a request that could not be read. gRPC has answered it by then, in words
// of its own: it may quote to the caller what he sent.
func (s *Server) unread(err error) error {
	reason := refusedUnreadable
	switch status.Code(err) {
	case codes.ResourceExhausted:
		reason = refusedTooLarge
	case codes.Canceled, codes.DeadlineExceeded:
		reason = refusedUnfinished
	}
	return s.turnAway(reason, err)
}
