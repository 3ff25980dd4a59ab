// Command example is a tiny slicer that embeds the client: it asks once, writes
// an output, reports it and ends at once.
//
//	go run ./client/example -endpoint telemetry.example.org:443 model.stl
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/slicemetry/slicemetry/client"
)

func main() {
	var cfg client.Config
	flag.StringVar(&cfg.Endpoint, "endpoint", "localhost:4680", "the collector, host:port")
	flag.StringVar(&cfg.Dir, "dir", "", "folder of the decision and the spool (default: the user's configuration folder)")
	flag.BoolVar(&cfg.Plaintext, "plaintext", false, "send without TLS, to loopback only")
	now := flag.Bool("now", false, "send at once; a real slicer leaves the time to the client")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: example [flags] MODEL")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(cfg, flag.Arg(0), *now, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}
