package collector

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
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

// admit is gRPC's tap: it sees a call before its body is read, and sends away here
// what will not be served: under overload a call that is not taken must cost little,
// and one whose body never comes must not get in for nothing. What is taken ends by
// a time, whatever its client asked for. It must be quick: a connection's reader waits.
func (s *Server) admit(ctx context.Context, call *tap.Info) (context.Context, error) {
	switch {
	case !slices.Contains(methods, call.FullMethodName):
		return nil, s.turnAway(refusedMethod, errUnknownMethod)
	case !protobuf(call.Header.Get("content-type")):
		return nil, s.turnAway(refusedCodec, errUnknownCodec)
	case !s.limiter.Allow(peerPrefix(ctx).Fine()):
		return nil, s.turnAway(refusedLimited, statusOf(errLimited, s.cfg.RetryAfter))
	case s.calls.Load() >= int64(s.cfg.MaxCalls): // of a burst more come by than counted lets in
		return nil, s.turnAway(refusedOverloaded, s.overloaded())
	}
	return limitCall(ctx, call)
}

func (s *Server) overloaded() error { return statusOf(sink.ErrOverloaded, s.cfg.RetryAfter) }

// turnAway counts a refusal.
func (s *Server) turnAway(reason string, err error) error {
	s.metrics.callsRefused.WithLabelValues(reason).Inc()
	return err
}

// methods are the paths that are served.
var methods = func() (paths []string) {
	for _, m := range collectorgrpc.Collector_ServiceDesc.Methods {
		paths = append(paths, "/"+collectorgrpc.Collector_ServiceDesc.ServiceName+"/"+m.MethodName)
	}
	return paths
}()

// protobuf reports whether a call's content type is gRPC's for protobuf. gRPC has
// looked at its beginning, and would take any other codec for protobuf.
func protobuf(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(contentType[0]), ";")
	return kind == "application/grpc" || kind == "application/grpc+proto"
}

// counted wraps a method's handler: its calls are among those under way from before
// their body is read, and one too many is refused there; and one whose body cannot be
// read is refused in words of ours, with its reason counted.
//
// That admit counts would cost 6 % of a call of one event: gRPC drops some calls between
// the two, and to hear of that takes a function on each call's context.
func counted(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (reply any, err error) {
		s := server.(*Server)
		defer s.endCall(&reply, &err)
		if s.calls.Add(1) > int64(s.cfg.MaxCalls) {
			return nil, s.turnAway(refusedOverloaded, s.overloaded())
		}
		return handler(server, ctx, func(request any) error {
			if err := decode(request); err != nil {
				return s.unread(err)
			}
			return nil
		}, intercept)
	}
}

// endCall is deferred by every call. It keeps a defect in one from ending all others;
// what it says of it holds no value: a panic's text may.
func (s *Server) endCall(reply *any, err *error) {
	s.calls.Add(-1)
	if recover() != nil {
		s.metrics.panics.Inc()
		s.cfg.Logger.Error("a call ended in a panic")
		*reply, *err = nil, status.Error(codes.Internal, internal.text)
	}
}

// unread counts a request that could not be read, and refuses it. The codes are
// gRPC's; its texts may quote the caller.
func (s *Server) unread(err error) error {
	reason, code, text := refusedUnreadable, status.Code(err), "the request cannot be read"
	switch code {
	case codes.ResourceExhausted:
		reason, text = refusedTooLarge, "the request is too large"
	case codes.Unimplemented:
		text = "the compression is not known here"
	case codes.Canceled, codes.DeadlineExceeded:
		reason, text = refusedUnfinished, "the request did not arrive"
	default:
		code = codes.Internal
	}
	return s.turnAway(reason, status.Error(code, text))
}
