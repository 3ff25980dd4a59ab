package aggregator

import (
	"context"
	"net"

	"github.com/slicemetry/slicemetry/aggregator/internal/serve"
)

// DefaultListen is where a site is served: to this machine only, until somebody
// decides otherwise or puts a server with a certificate in front.
const DefaultListen = "127.0.0.1:8080"

// Serve serves a site that Site wrote, and its downloads, read-only until ctx
// ends. It reads no database. It calls started with the address on which it
// listens.
func Serve(ctx context.Context, dir, listen string, started func(net.Addr)) error {
	return serve.Run(ctx, dir, listen, started)
}
