// Package grpczstd lets grpc-go compress messages with zstd. Importing it registers
// the compressor under the name "zstd".
package grpczstd

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/encoding"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
)

func init() { encoding.RegisterCompressor(compressor{}) }

type compressor struct{}

// Name implements encoding.Compressor.
func (compressor) Name() string { return zstdcodec.Name }

// Compress implements encoding.Compressor. The message is gathered and
// compressed as a whole at Close.
func (compressor) Compress(w io.Writer) (io.WriteCloser, error) {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return &writer{to: w, message: b}, nil
}

// Decompress implements encoding.Compressor.
func (compressor) Decompress(r io.Reader) (io.Reader, error) {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(io.LimitReader(r, zstdcodec.MaxMessageBytes+1)); err != nil {
		return nil, fmt.Errorf("grpczstd: read: %w", err)
	}
	message, err := zstdcodec.Decompress(b.Bytes())
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(message), nil
}

var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// writer compresses what was written to it when it is closed.
type writer struct {
	to      io.Writer
	message *bytes.Buffer
}

func (w *writer) Write(p []byte) (int, error) { return w.message.Write(p) }

func (w *writer) Close() error {
	defer buffers.Put(w.message)
	frame := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(frame)
	frame.Reset()
	frame.Grow(w.message.Len() + frameOverhead)
	_, err := w.to.Write(zstdcodec.AppendCompressed(frame.AvailableBuffer(), w.message.Bytes()))
	return err
}

// frameOverhead is more than a frame's header adds to a message that does not shrink.
const frameOverhead = 64
