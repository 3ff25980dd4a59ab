package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/slicemetry/slicemetry/aggregator"
)

func serveCommand(out, errOut io.Writer) *ffcli.Command {
	fs, s := newSettings("serve", out, errOut)
	dir := fs.String("dir", "", "directory of the pages that site wrote")
	listen := fs.String("listen", aggregator.DefaultListen, "address and port")
	return s.new(fs, "serve", " -dir DIR [-listen 127.0.0.1:8080]", "serve the pages and downloads, read-only", `Answers GET and HEAD with the files of a site, until it is interrupted or told to
terminate. It needs no database, keeps no log of who reads, and may run while the
site is written again. For more than this machine put a server with a certificate
in front, and see that it keeps no log of addresses either.`,
		func(ctx context.Context) error {
			if *dir == "" {
				return fmt.Errorf("%w: aggregator serve wants -dir DIR", errUsage)
			}
			return aggregator.Serve(ctx, *dir, *listen, func(a net.Addr) { fmt.Fprintf(errOut, "open http://%s/\n", a) })
		})
}
