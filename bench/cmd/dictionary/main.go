// Command dictionary makes the dictionary that batches are compressed with, from
// what a simulated fleet sends:
//
//	go run ./bench/cmd/dictionary > internal/zstdcodec/dictionary.bin
//
// A dictionary that was released is never changed: a new one gets a new number,
// and a collector reads all that there ever were.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

const (
	number        = 1       // of the dictionary
	size          = 8 << 10 // beyond which a batch of ten gains little
	installations = 4000
	seed          = 1_000_003 // of a fleet that no benchmark uses
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "dictionary writes the dictionary that batches are compressed with to standard output, and takes no arguments:\n\n"+
			"  dictionary > internal/zstdcodec/dictionary.bin")
		os.Exit(2)
	}
	octets, err := build()
	if err == nil {
		_, err = os.Stdout.Write(octets)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dictionary:", err)
		os.Exit(1)
	}
}

func build() ([]byte, error) {
	f, week := fleet.New(seed, installations), period.Of(time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC))
	var requests [][]byte
	for i := range f.Size() {
		w := f.Week(i, week)
		if len(w.Slices) == 0 {
			continue
		}
		token := make([]byte, 32)
		rand.Read(token)
		batch := &telemetryv1.Batch{UnitToken: token[:16], BatchId: token[16:], Period: uint32(week), PolicyVersion: 1}
		for _, s := range w.Slices {
			coarse := &telemetryv1.Slice{}
			rules.Coarsen(coarse, s, rules.Draw(i), nil)
			batch.Slices = append(batch.Slices, coarse)
		}
		request, err := proto.Marshal(&collectorv1.UploadRequest{Batch: batch})
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return dict.BuildZstdDict(requests, dict.Options{MaxDictSize: size, HashBytes: 6, ZstdDictID: number, ZstdLevel: zstd.SpeedFastest})
}
