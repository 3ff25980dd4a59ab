package edge

import (
	"context"
	"time"

	"google.golang.org/grpc/tap"
)

// LimitCall is a tap handle that ends a call by a time, whatever deadline the
// client asked for: one that trickles its body on a connection where other calls
// get on is seen by nobody else. It costs nothing where the client's own deadline
// is earlier.
func LimitCall(limit time.Duration) tap.ServerInHandle {
	return func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		if earlier, ok := ctx.Deadline(); ok && time.Until(earlier) <= limit {
			return ctx, nil
		}
		limited, cancel := context.WithTimeout(ctx, limit)
		_ = cancel // the parent's end, which comes with the stream's, releases the timer
		return limited, nil
	}
}
