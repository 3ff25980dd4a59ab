package rules

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Whatever is coarse is encoded as protobuf encodes it, octet for octet.
func TestEncodersAreProtobuf(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	plain := proto.MarshalOptions{Deterministic: true}
	for range 20_000 {
		s, u := &telemetryv1.Slice{}, &telemetryv1.UsageCounters{}
		Coarsen(s, randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice), Draw(random.Uint64()), nil)
		CoarsenCounters(u, randomMessage(random, &telemetryv1.UsageCounters{}).(*telemetryv1.UsageCounters), nil)
		for _, tt := range []struct {
			m   proto.Message
			got []byte
		}{{s, AppendSlice([]byte("before"), s)}, {u, AppendCounters([]byte("before"), u)}} {
			want, err := plain.Marshal(tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if got, found := bytes.CutPrefix(tt.got, []byte("before")); !found || !bytes.Equal(got, want) {
				t.Fatalf("%v is encoded as\n%x, want\n%x", tt.m, tt.got, want)
			}
		}
	}
}

// A nested message may be longer than one octet of length says, or than two.
func TestLongNestedMessages(t *testing.T) {
	for _, n := range []int{0, 1, 100, 127, 128, 300, 20_000} {
		s := &telemetryv1.Slice{Machine: "before", Quality: "after", Extruders: []*telemetryv1.Extruder{{MaterialType: strings.Repeat("x", n)}, {UsedMg: 7}}}
		back := &telemetryv1.Slice{}
		if err := proto.Unmarshal(AppendSlice(nil, s), back); err != nil || !proto.Equal(s, back) {
			t.Errorf("%d octets read back as %v, %v", n, back, err)
		}
	}
}

func BenchmarkAppendSlice(b *testing.B) {
	s := &telemetryv1.Slice{}
	Coarsen(s, fullSlice(), 0, nil)
	var octets []byte
	b.Run("generated", func(b *testing.B) {
		for b.Loop() {
			octets = AppendSlice(octets[:0], s)
		}
	})
	b.Run("protobuf", func(b *testing.B) {
		for b.Loop() {
			octets, _ = proto.MarshalOptions{}.MarshalAppend(octets[:0], s)
		}
	})
}
