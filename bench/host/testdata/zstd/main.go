// Command zstd uses the compressor.
package main

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

func main() {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	fmt.Println(len(w.EncodeAll([]byte("hello"), nil)), err)
}
