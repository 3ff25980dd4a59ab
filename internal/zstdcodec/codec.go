// Package zstdcodec compresses messages with zstd. Its sub-package grpczstd lets
// grpc-go use it.
//
// It guarantees that a hostile peer cannot make the receiver spend much memory:
// a frame whose window or content is larger than MaxMessageBytes is refused
// before anything is allocated for it. Coders are pooled, because a fresh one
// costs more than the messages they work on.
package zstdcodec

import (
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Name is what the header grpc-encoding carries.
const Name = "zstd"

// MaxMessageBytes bounds a message before compression and after decompression. A
// batch of 200 full events is about 40 KiB; 256 KiB leaves room for six times that.
const MaxMessageBytes = 256 << 10

// ErrTooLarge says that a frame would decompress to more than MaxMessageBytes.
var ErrTooLarge = errors.New("zstdcodec: message too large")

// dictionary holds what batches have in common, the names above all: a batch of
// one event takes half as much with it. It is number 1 to zstd. Frames say which
// dictionary they need, and frames without one are read too.
//
//go:embed dictionary.bin
var dictionary []byte

// AppendCompressed appends a frame that holds a message. It is one block with its
// size in the header: that is what the other side can check before it allocates.
func AppendCompressed(dst, message []byte) []byte {
	encoder := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(encoder)
	return encoder.EncodeAll(message, dst)
}

// Decompress returns the message that a frame holds.
func Decompress(frame []byte) ([]byte, error) {
	if len(frame) > MaxMessageBytes {
		return nil, ErrTooLarge
	}
	decoder := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(decoder)
	message, err := decoder.DecodeAll(frame, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || len(message) > MaxMessageBytes {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("zstdcodec: decompress: %w", err)
	}
	return message, nil
}

// The options cannot fail, so the constructors' errors are defects.
var (
	encoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(MaxMessageBytes), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithEncoderDict(dictionary))
		if err != nil {
			panic(err)
		}
		return e
	}}
	decoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxMessageBytes),
			zstd.WithDecoderMaxMemory(MaxMessageBytes), zstd.WithDecoderLowmem(true), zstd.WithDecoderDicts(dictionary))
		if err != nil {
			panic(err)
		}
		return d
	}}
)
