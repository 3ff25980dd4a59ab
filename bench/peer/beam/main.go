// Command beam counts with Privacy on Beam v3: how fast is the same count, over the same
// rows, bounded and noised by the library that this project is most often
// compared with?
//
// It makes rows up, ten a unit over four machines, counts them by machine with
// at most two machines a unit and forty rows each, and prints a line of JSON.
// `make bench-beam` runs it beside ours, on as many rows.
//
// Privacy on Beam's direct runner is for tests; on a cluster it scales out. It is
// what one machine has. Reading is not counted on either side: rows are made in
// memory here and are in the database there.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "how many, in ten thousands")
	flag.Parse()
	beam.Init()
	start := time.Now()
	if err := count(*rows); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	seconds := time.Since(start).Seconds()
	line := map[string]any{"rows": *rows, "seconds": seconds, "rows_per_second": float64(*rows) / seconds}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		os.Exit(1)
	}
}
