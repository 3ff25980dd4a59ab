package collector_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
)

// allocated is how much this process has allocated since it started, the collector
// and the test together.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// asIs passes octets through gRPC as messages, and drops those that come back.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (asIs) Unmarshal([]byte, any) error { return nil }

// zstdFrame is a frame by hand (RFC 8878, 3.1.1): its header says what it likes.
// window is the window descriptor, size the content's size; 0: not said.
func zstdFrame(window byte, size uint64, blocks ...byte) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd}
	if size == 0 {
		frame = append(frame, 0x00, window)
	} else {
		frame = append(frame, 0xc0, window) // a size of eight octets
		frame = binary.LittleEndian.AppendUint64(frame, size)
	}
	return append(frame, blocks...)
}

// B06, B07: what says that it becomes large is refused before memory is made for it,
// and what does become large before it has. The bound is on all that is allocated
// for many of them, so that no garbage collection hides any.
func TestDecompressionBombs(t *testing.T) {
	r := start(t, nil)
	client := r.client(t, grpc.WithContextDialer(elsewhere))
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	zeros := make([]byte, 64<<20)
	bomb := encoder.EncodeAll(zeros, nil)
	lastOfZeros := []byte{0x03 | 0xf8, 0xff, 0x0f, 0x00} // the last block, one octet 131,071 times
	says, grows := uint64(64<<10), uint64(2<<20)         // what may be allocated for it: a message holds 256 KiB
	tests := []struct {
		name  string
		bound uint64
		frame []byte
	}{
		{"a window of 3.75 TiB", says, zstdFrame(0xff, 0, lastOfZeros...)},
		{"a window of 2 GiB", says, zstdFrame(21<<3, 0, lastOfZeros...)},
		{"a content of 4 EiB", says, zstdFrame(0x00, 1<<62, lastOfZeros...)},
		{"a content of 1 GiB", says, zstdFrame(0x50, 1<<30, lastOfZeros...)},
		{"both", says, zstdFrame(0xff, 1<<40, lastOfZeros...)},
		{"no block", says, zstdFrame(0xff, 1<<40)},
		{"64 MiB in some KiB", says, bomb},
		{"64 MiB, cut off", says, bomb[:len(bomb)/2]},
		{"64 MiB in a frame in a frame", says, encoder.EncodeAll(bomb, nil)},
		{"many frames", grows, bytes.Repeat(encoder.EncodeAll(zeros[:200<<10], nil), 1000)},
		{"a skippable frame of 4 GiB", says, []byte{0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}},
		{"a dictionary that nobody has", says, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x23, 0xff, 0xff, 0xff, 0xff, 0x01, 0x09, 0x00, 0x00, 'x'}},
		{"blocks that repeat, without a size", grows, zstdFrame(0x40, 0, bytes.Repeat([]byte{0x02 | 0xf8, 0xff, 0x0f, 0x00}, 1000)...)},
	}
	const rounds = 20
	c := dialRaw(t, r.Addr())
	stream := uint32(1)
	for _, tt := range tests {
		before := allocated()
		for range rounds {
			_ = c.open(stream, uploadPath, "grpc-encoding", zstdcodec.Name)
			for body := message(1, len(tt.frame), tt.frame); len(body) > 0; {
				n := min(len(body), 16<<10) // the largest frame that every peer takes
				_ = c.WriteData(stream, n == len(body), body[:n])
				body = body[n:]
			}
			if got := c.answer(stream); got != "13" && got != "3" {
				t.Errorf("%s: answered %s, want 13 or 3", tt.name, got)
			}
			stream += 2
		}
		if each := (allocated() - before) / rounds; each > tt.bound {
			t.Errorf("%s: %d KiB were allocated for each, want at most %d", tt.name, each>>10, tt.bound>>10)
		}
	}
	var refused float64
	if err := parse(r.metric(t, `slicemetry_calls_refused_total{reason="unreadable"}`), &refused); err != nil || refused < rounds*float64(len(tests)-1) {
		t.Errorf("%g calls are counted as unreadable, %v, want about %d", refused, err, rounds*len(tests))
	}
	if _, err := client.Upload(t.Context(), request(1)); err != nil {
		t.Errorf("another client: %v", err)
	}
	r.balanced(t)
}

// full is about as much as a message may hold.
const full = zstdcodec.MaxMessageBytes - 256

// batchOf encodes a request whose batch is valid but for what follows in it.
func batchOf(t *testing.T, more ...byte) []byte {
	t.Helper()
	b := request(0).Batch
	encoded, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), append(encoded, more...))
}

// sliceOf encodes a slice, as a batch's field, whose content is given.
func sliceOf(content ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), content)
}

// number is a slice's field by its name.
func number(name protoreflect.Name) protowire.Number {
	return (&telemetryv1.Slice{}).ProtoReflect().Descriptor().Fields().ByName(name).Number()
}

// fill repeats octets until they fill a message.
func fill(octets ...byte) []byte { return bytes.Repeat(octets, full/len(octets)) }

// B10: whatever fills a message, the caps on counts hold, what is not known is
// dropped, and what is refused is refused by a fixed code and counted.
func TestHostilePayloads(t *testing.T) {
	const marker = "mArk3r-b10-7c1d"
	r := start(t, nil)
	client := r.client(t, grpc.WithContextDialer(elsewhere))
	tagOf := func(name protoreflect.Name, kind protowire.Type) []byte {
		return protowire.AppendTag(nil, number(name), kind)
	}
	unknownField := protowire.AppendString(protowire.AppendTag(nil, 1023, protowire.BytesType), strings.Repeat(marker, 100))
	tests := []struct {
		name, path string
		body       []byte
		want       codes.Code
		reason     string // counted among the calls refused; "" for none
	}{
		{"as many slices as fit", uploadPath, batchOf(t, fill(sliceOf()...)...), codes.InvalidArgument, "too_many_slices"},
		{"one slice too many", uploadPath, batchOf(t, bytes.Repeat(sliceOf(), 201)...), codes.InvalidArgument, "too_many_slices"},
		{"as many batches as fit", uploadPath, fill(0x0a, 2, 0x2a, 0), codes.InvalidArgument, "malformed"},
		{"as many extruders as fit", uploadPath, batchOf(t, sliceOf(fill(append(tagOf("extruders", protowire.BytesType), 0)...)...)...), codes.OK, ""},
		{"as many settings as fit", uploadPath, batchOf(t, sliceOf(fill(append(tagOf("changed_settings", protowire.BytesType), 1, 'x')...)...)...), codes.OK, ""},
		{"a number packed, as if it were many", uploadPath, batchOf(t, sliceOf(protowire.AppendBytes(tagOf("layer_height_um", protowire.BytesType), fill(1))...)...), codes.OK, ""},
		{"a number 87,000 times", uploadPath, batchOf(t, sliceOf(fill(append(tagOf("layer_height_um", protowire.VarintType), 1)...)...)...), codes.OK, ""},
		{"a text of 250 KiB", uploadPath, batchOf(t, sliceOf(protowire.AppendBytes(tagOf("machine", protowire.BytesType), fill('m'))...)...), codes.OK, ""},
		{"unknown fields in the request", uploadPath, append(batchOf(t, sliceOf()...), bytes.Repeat(unknownField, full/2/len(unknownField))...), codes.OK, ""},
		{"unknown fields in the batch", uploadPath, batchOf(t, append(sliceOf(), bytes.Repeat(unknownField, full/2/len(unknownField))...)...), codes.OK, ""},
		{"unknown fields in a slice", uploadPath, batchOf(t, sliceOf(bytes.Repeat(unknownField, full/2/len(unknownField))...)...), codes.OK, ""},
		{"groups in groups", uploadPath, fill(0x0b), codes.InvalidArgument, "malformed"},
		{"groups in groups, that end", uploadPath, append(bytes.Repeat([]byte{0x1b}, full/2), bytes.Repeat([]byte{0x1c}, full/2)...), codes.InvalidArgument, "malformed"},
		{"messages in messages", uploadPath, nested(full), codes.InvalidArgument, "malformed"},
		{"a length of 4 EiB", uploadPath, []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f}, codes.InvalidArgument, "malformed"},
		{"a number that does not end", uploadPath, fill(0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), codes.InvalidArgument, "malformed"},
		{"field 0", uploadPath, fill(0x00, 0x01), codes.InvalidArgument, "malformed"},
		{"wire type 7", uploadPath, fill(0x0f), codes.InvalidArgument, "malformed"},
		{"an erasure of unknown fields", erasePath, bytes.Repeat(unknownField, full/len(unknownField)), codes.InvalidArgument, ""},
		{"an erasure of groups in groups", erasePath, fill(0x0b), codes.Internal, "unreadable"},
		{"a question of unknown fields", policyPath, bytes.Repeat(unknownField, full/len(unknownField)), codes.OK, ""},
	}
	conn := dialPlain(t, r.Addr())
	for _, tt := range tests {
		series := `slicemetry_calls_refused_total{reason="` + tt.reason + `"}`
		counted := r.metric(t, series)
		before := allocated()
		const rounds = 4
		for i := range rounds {
			options := []grpc.CallOption{grpc.ForceCodec(asIs{})}
			if i%2 == 1 {
				options = append(options, grpc.UseCompressor(zstdcodec.Name))
			}
			if err := conn.Invoke(t.Context(), tt.path, tt.body, nil, options...); status.Code(err) != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
			}
		}
		// Garbage, most of it of the list of settings that are on no list. What stays
		// is bounded by the caps.
		if each := (allocated() - before) / rounds; each > 64*zstdcodec.MaxMessageBytes {
			t.Errorf("%s: %d KiB were allocated for each", tt.name, each>>10)
		}
		if tt.reason != "" && r.metric(t, series) == counted {
			t.Errorf("%s: is not counted as %s", tt.name, tt.reason)
		}
		if _, err := client.Upload(t.Context(), request(1)); err != nil {
			t.Errorf("%s: another client: %v", tt.name, err)
		}
	}
	if n := r.metric(t, "slicemetry_panics_total"); n != "0" {
		t.Errorf("%s panics", n)
	}
	var extruders, settings uint64
	if err := dbtest.Connect(t, r.db, localdb.Administrator).QueryRow(t.Context(),
		"SELECT max(length(`extruders.material_type`)), max(length(changed_settings)) FROM raw.slices").Scan(&extruders, &settings); err != nil {
		t.Fatal(err)
	}
	if extruders != 8 || settings > 4 {
		t.Errorf("up to %d extruders and %d settings are stored, want 8 and at most 4", extruders, settings)
	}
	for place, text := range map[string]string{"rows": r.dump(t), "log": r.log.String(), "metrics": r.get(t, "/metrics")} {
		if strings.Contains(text, marker) {
			t.Errorf("an unknown field is in the %s", place)
		}
	}
	r.balanced(t)
}

// nested is a message in field 1 of a message, and so on, of so many octets at most:
// a batch in a request, and what is unknown in it.
func nested(octets int) (b []byte) {
	for len(b) < octets/2 {
		b = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
		if len(b) > 4096 { // from here on it takes too long to build, and adds nothing
			break
		}
	}
	return b
}
