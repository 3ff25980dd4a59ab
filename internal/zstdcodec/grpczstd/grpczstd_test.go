package grpczstd

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
)

func compress(t testing.TB, message []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := encoding.GetCompressor(zstdcodec.Name).Compress(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decompress(frame []byte) ([]byte, error) {
	r, err := encoding.GetCompressor(zstdcodec.Name).Decompress(bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	noise := make([]byte, 100<<10)
	rand.Read(noise)
	for _, message := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("layer"), 20_000), noise} {
		got, err := decompress(compress(t, message))
		if err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes came back as %d, %v", len(message), len(got), err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		message := bytes.Repeat([]byte{byte(i)}, 1000*i)
		wg.Go(func() {
			for range 200 {
				if got, err := decompress(compress(t, message)); err != nil || !bytes.Equal(got, message) {
					t.Errorf("%d bytes came back as %d, %v", len(message), len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestRefusesBombs(t *testing.T) {
	encode := func(message []byte, options ...zstd.EOption) []byte {
		e, err := zstd.NewWriter(nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(message, nil)
	}
	streamed := func() []byte { // without a size in the header
		var out bytes.Buffer
		e, err := zstd.NewWriter(&out, zstd.WithWindowSize(1<<10))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(e, io.LimitReader(zeros{}, 64<<20))
		e.Close()
		return out.Bytes()
	}
	tests := map[string][]byte{
		"64 MiB of zeros":         encode(make([]byte, 64<<20)),
		"64 MiB without a size":   streamed(),
		"one byte too many":       encode(make([]byte, zstdcodec.MaxMessageBytes+1)),
		"large before decoding":   bytes.Repeat([]byte("y"), zstdcodec.MaxMessageBytes+1),
		"concatenated small ones": bytes.Repeat(encode(make([]byte, 64<<10)), 100),
	}
	for name, frame := range tests {
		if got, err := decompress(frame); !errors.Is(err, zstdcodec.ErrTooLarge) {
			t.Errorf("%s: got %d bytes, %v, want ErrTooLarge", name, len(got), err)
		}
	}
}

func TestRefusesDamage(t *testing.T) {
	frame := compress(t, []byte(strings.Repeat("prime tower ", 100)))
	for _, damaged := range [][]byte{frame[:len(frame)-1], frame[1:], []byte("not zstd at all")} {
		if got, err := decompress(damaged); err == nil {
			t.Errorf("damage was read as %d bytes", len(got))
		}
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add(compress(f, []byte("machine material settings")))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if got, err := decompress(frame); err == nil && len(got) > zstdcodec.MaxMessageBytes {
			t.Errorf("%d bytes came out", len(got))
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
