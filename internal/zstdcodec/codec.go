// Package zstdcodec lets gRPC compress messages with zstd. Importing it registers
// the compressor under the name "zstd".
//
// It guarantees that a hostile peer cannot make the receiver spend much memory:
// a frame whose window or content is larger than MaxMessageBytes is refused
// before anything is allocated for it. Coders are pooled, because a fresh one
// costs more than the messages they work on.
package zstdcodec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// Name is what the header grpc-encoding carries.
const Name = "zstd"

// MaxMessageBytes bounds a message before compression and after decompression. A
// batch of 200 full events is about 40 KiB; 256 KiB leaves room for six times that.
const MaxMessageBytes = 256 << 10

// frameOverhead is more than a frame's header adds to a message that does not shrink.
const frameOverhead = 64

// ErrTooLarge says that a frame would decompress to more than MaxMessageBytes.
var ErrTooLarge = errors.New("zstdcodec: message too large")

func init() { encoding.RegisterCompressor(compressor{}) }

type compressor struct{}

// Name implements encoding.Compressor.
func (compressor) Name() string { return Name }

// Compress implements encoding.Compressor. The message is gathered and
// compressed as a whole at Close: batches are small, and one block with its
// size in the header is what the other side can check before it allocates.
func (compressor) Compress(w io.Writer) (io.WriteCloser, error) {
	b := buffers.Get().(*buffer)
	b.Reset()
	return &writer{to: w, buffer: b}, nil
}

// Decompress implements encoding.Compressor.
func (compressor) Decompress(r io.Reader) (io.Reader, error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(io.LimitReader(r, MaxMessageBytes+1)); err != nil {
		return nil, fmt.Errorf("zstdcodec: read: %w", err)
	}
	if b.Len() > MaxMessageBytes {
		return nil, ErrTooLarge
	}
	decoder := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(decoder)
	message, err := decoder.DecodeAll(b.Bytes(), nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || len(message) > MaxMessageBytes {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("zstdcodec: decompress: %w", err)
	}
	return bytes.NewReader(message), nil
}

type buffer struct{ bytes.Buffer }

var buffers = sync.Pool{New: func() any { return &buffer{} }}

// The options cannot fail, so the constructors' errors are defects.
var (
	encoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(MaxMessageBytes), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err)
		}
		return e
	}}
	decoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxMessageBytes),
			zstd.WithDecoderMaxMemory(MaxMessageBytes), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// writer compresses what was written to it when it is closed.
type writer struct {
	to     io.Writer
	buffer *buffer
}

func (w *writer) Write(p []byte) (int, error) { return w.buffer.Write(p) }

func (w *writer) Close() error {
	defer buffers.Put(w.buffer)
	encoder := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(encoder)
	frame := buffers.Get().(*buffer)
	defer buffers.Put(frame)
	frame.Reset()
	frame.Grow(w.buffer.Len() + frameOverhead)
	_, err := w.to.Write(encoder.EncodeAll(w.buffer.Bytes(), frame.AvailableBuffer()))
	return err
}
