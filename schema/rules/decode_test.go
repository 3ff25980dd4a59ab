package rules

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// assertDecodesAlike holds the decoder against protobuf's own: they refuse the
// same octets, and what Coarsen makes of theirs and reports about them is the same.
func assertDecodesAlike(t *testing.T, d *Decoder, raw []byte) {
	t.Helper()
	plain := &collectorv1.UploadRequest{}
	refused := proto.Unmarshal(raw, plain)
	batch, err := d.UploadRequest(raw)
	if (err != nil) != (refused != nil) {
		t.Fatalf("decoding says %v, protobuf %v", err, refused)
	}
	if err != nil {
		return
	}
	want := plain.GetBatch()
	if (batch == nil) != (want == nil) {
		t.Fatalf("a batch: %t, protobuf: %t", batch != nil, want != nil)
	}
	if batch == nil {
		return
	}
	if d.Slices() != len(want.Slices) {
		t.Fatalf("%d slices, protobuf: %d", d.Slices(), len(want.Slices))
	}
	if !bytes.Equal(batch.UnitToken, want.UnitToken) || !bytes.Equal(batch.BatchId, want.BatchId) ||
		batch.Period != want.Period || batch.PolicyVersion != want.PolicyVersion {
		t.Fatalf("decoded %v, protobuf %v", batch, want)
	}
	for i, s := range batch.Slices[:min(d.Slices(), MaxSlices)] {
		ours, theirs := &Report{}, &Report{}
		Coarsen(s, s, 0, ours)
		Coarsen(want.Slices[i], want.Slices[i], 0, theirs)
		if !proto.Equal(s, want.Slices[i]) || !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("slice %d: %v with %v, protobuf: %v with %v", i, s, ours, want.Slices[i], theirs)
		}
	}
	if (batch.Counters == nil) != (want.Counters == nil) {
		t.Fatalf("counters: %v, protobuf: %v", batch.Counters, want.Counters)
	}
	if batch.Counters != nil {
		CoarsenCounters(batch.Counters, batch.Counters, nil)
		CoarsenCounters(want.Counters, want.Counters, nil)
		if !proto.Equal(batch.Counters, want.Counters) {
			t.Fatalf("counters: %v, protobuf: %v", batch.Counters, want.Counters)
		}
	}
}

func randomRequest(t testing.TB, random *rand.Rand) []byte {
	t.Helper()
	batch := &telemetryv1.Batch{UnitToken: []byte("0123456789abcdef"), BatchId: []byte("fedcba9876543210"), Period: random.Uint32(), PolicyVersion: 1}
	for range random.IntN(4) {
		batch.Slices = append(batch.Slices, randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice))
	}
	if random.IntN(2) == 0 {
		batch.Counters = &telemetryv1.UsageCounters{SlicesStarted: random.Uint32(), SlicesFailed: random.Uint32N(100)}
	}
	raw, err := proto.Marshal(&collectorv1.UploadRequest{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A decoder decodes whatever comes, one after the other, as protobuf does: valid
// requests, such with octets changed, cut off, or put together of two.
func TestDecoderIsProtobufs(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	d := &Decoder{}
	for range 20_000 {
		raw := randomRequest(t, random)
		switch random.IntN(4) {
		case 0:
			for range 1 + random.IntN(4) {
				if len(raw) > 0 {
					raw[random.IntN(len(raw))] = byte(random.Uint32())
				}
			}
		case 1:
			raw = raw[:random.IntN(len(raw)+1)]
		case 2: // protobuf merges what is repeated
			raw = append(raw, randomRequest(t, random)...)
		}
		assertDecodesAlike(t, d, raw)
	}
}

// More than a batch may hold is counted, and no more than that is kept.
func TestDecoderIsBounded(t *testing.T) {
	many := &telemetryv1.Batch{}
	full := &telemetryv1.Slice{}
	for range 1000 {
		full.Extruders = append(full.Extruders, &telemetryv1.Extruder{MaterialType: "PLA"})
	}
	for range 1000 {
		many.Slices = append(many.Slices, full)
	}
	raw, err := proto.Marshal(&collectorv1.UploadRequest{Batch: many})
	if err != nil {
		t.Fatal(err)
	}
	d := &Decoder{}
	batch, err := d.UploadRequest(raw)
	if err != nil || d.Slices() != 1000 || len(batch.Slices) != MaxSlices+1 || len(batch.Slices[0].Extruders) != 9 {
		t.Fatalf("%d slices, %d kept, %v", d.Slices(), len(batch.Slices), err)
	}
	assertDecodesAlike(t, d, raw)
}

// What a request made large is let go with the next, wherever it was: one after
// another, requests could fill every place.
func TestDecoderKeepsNothingLarge(t *testing.T) {
	d := &Decoder{}
	large := &telemetryv1.Slice{ChangedSettings: make([]string, 10_000)}
	for places := MaxSlices + 2; places > 0; places-- {
		many := &telemetryv1.Batch{UnitToken: make([]byte, 10_000), BatchId: make([]byte, 10_000)}
		for range places - 1 {
			many.Slices = append(many.Slices, &telemetryv1.Slice{})
		}
		many.Slices = append(many.Slices, large)
		raw, err := proto.Marshal(&collectorv1.UploadRequest{Batch: many})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.UploadRequest(raw); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.UploadRequest(nil); err != nil {
		t.Fatal(err)
	}
	kept := cap(d.batch.UnitToken) + cap(d.batch.BatchId)
	for _, s := range d.slices {
		kept += 16*cap(s.m.ChangedSettings) + 8*cap(s.m.Extruders)
	}
	if most := (MaxSlices + 1) * 512; kept > most {
		t.Errorf("%d octets are kept, want at most %d", kept, most)
	}
}

// What has been decoded once costs no memory the next time.
func TestDecoderDoesNotAllocate(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	raw := randomRequest(t, random)
	d := &Decoder{}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.UploadRequest(raw); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations a request, want none", n)
	}
}

func FuzzDecoder(f *testing.F) {
	random := rand.New(rand.NewPCG(25, 26))
	for range 10 {
		f.Add(randomRequest(f, random))
	}
	f.Add(protowire.AppendTag(nil, 1, protowire.StartGroupType))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := &Decoder{}
		assertDecodesAlike(t, d, raw)
		assertDecodesAlike(t, d, raw) // into what is used already
	})
}
