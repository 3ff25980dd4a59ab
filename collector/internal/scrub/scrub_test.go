package scrub

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testRules(t testing.TB) Rules {
	t.Helper()
	ring, err := pseudonym.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Rules{Hasher: ring, Covers: func(policy uint32, _ period.Period) bool { return policy == 1 || policy == 2 }, KeepOrigins: true, Now: func() time.Time { return now }}
}

func octets() []byte {
	b := make([]byte, randomBytes)
	rand.Read(b)
	return b
}

func goodBatch() *telemetryv1.Batch {
	return &telemetryv1.Batch{
		UnitToken: octets(), BatchId: octets(), Period: uint32(period.Of(now)), PolicyVersion: 1,
		Slices:   []*telemetryv1.Slice{{Machine: "ultimaker_s5", LayerHeightUm: 200}},
		Counters: &telemetryv1.UsageCounters{SlicesStarted: 3, SlicesFailed: 1 << 31},
	}
}

func TestBatch(t *testing.T) {
	s, b := testRules(t), goodBatch()
	token := bytes.Clone(b.UnitToken)
	rows, err := s.Batch(b, PrefixOf(netip.MustParseAddr("203.0.113.77")), nil)
	if err != nil {
		t.Fatal(err)
	}
	unit, _, err := s.Hasher.Hashes(period.Of(now), token, octets())
	if err != nil {
		t.Fatal(err)
	}
	if rows.Period() != period.Of(now) || rows.Unit() != unit || rows.Batch() == 0 || len(rows.Slices()) != 1 || rows.Counters().SlicesStarted != 3 || rows.Counters().SlicesFailed != 10_000 {
		t.Errorf("rows of %s, unit %x, %d slices, counters %v", rows.Period(), rows.Unit(), len(rows.Slices()), rows.Counters())
	}
	if got := rows.Origin().String(); got != "203.0.0.0/16" {
		t.Errorf("origin %s, want 203.0.0.0/16", got)
	}
}

func TestOriginsCanBeLeftOut(t *testing.T) {
	s := testRules(t)
	s.KeepOrigins = false
	rows, err := s.Batch(goodBatch(), PrefixOf(netip.MustParseAddr("203.0.113.77")), nil)
	if err != nil || rows.Origin().IsValid() {
		t.Errorf("origin %v, %v, want none", rows.Origin(), err)
	}
}

func TestBatchRefuses(t *testing.T) {
	day := func(at time.Time) uint32 { return uint32(period.Of(at)) }
	tests := []struct {
		name   string
		change func(*telemetryv1.Batch)
		want   Reason
	}{
		{"nothing", func(*telemetryv1.Batch) {}, ""},
		{"no token", func(b *telemetryv1.Batch) { b.UnitToken = nil }, Malformed},
		{"long token", func(b *telemetryv1.Batch) { b.UnitToken = make([]byte, 17) }, Malformed},
		{"zero token", func(b *telemetryv1.Batch) { b.UnitToken = make([]byte, 16) }, Malformed},
		{"no batch id", func(b *telemetryv1.Batch) { b.BatchId = nil }, Malformed},
		{"empty", func(b *telemetryv1.Batch) { b.Slices, b.Counters = nil, nil }, Empty},
		{"counters only", func(b *telemetryv1.Batch) { b.Slices = nil }, ""},
		{"nil slice", func(b *telemetryv1.Batch) { b.Slices = []*telemetryv1.Slice{nil} }, ""},
		{"too many", func(b *telemetryv1.Batch) { b.Slices = make([]*telemetryv1.Slice, rules.MaxSlices+1) }, TooManySlices},
		{"a Tuesday", func(b *telemetryv1.Batch) { b.Period++ }, BadPeriod},
		{"beyond Date", func(b *telemetryv1.Batch) { b.Period = 4 + 7*1_000_000 }, BadPeriod},
		{"1970", func(b *telemetryv1.Batch) { b.Period = 4 }, PeriodClosed},
		{"oldest open", func(b *telemetryv1.Batch) { b.Period = day(now.Add(-period.Retention)) }, ""},
		{"closed", func(b *telemetryv1.Batch) { b.Period = day(now.Add(-period.Retention)) - 7 }, PeriodClosed},
		{"next week", func(b *telemetryv1.Batch) { b.Period = day(now.AddDate(0, 0, 7)) }, PeriodFuture},
		{"no policy", func(b *telemetryv1.Batch) { b.PolicyVersion = 0 }, PolicyUnknown},
		{"unknown policy", func(b *telemetryv1.Batch) { b.PolicyVersion = 3 }, PolicyUnknown},
	}
	for _, tt := range tests {
		b := goodBatch()
		tt.change(b)
		_, err := testRules(t).Batch(b, Prefix{}, nil)
		var got Reason
		errors.As(err, &got)
		if got != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.want != "" && !slices.Contains(Reasons, tt.want) {
			t.Errorf("%s is not in Reasons", tt.want)
		}
	}
	if _, err := testRules(t).Batch(nil, Prefix{}, nil); err != error(Malformed) {
		t.Errorf("no batch: %v, want %v", err, Malformed)
	}
}

// A week is taken from a day before it begins, for clocks that are ahead of ours, to
// the end of its retention, to the second.
func TestOpenPeriod(t *testing.T) {
	week := period.Of(now)
	opens, closes := week.Start().Add(-24*time.Hour), week.End().Add(period.Retention)
	for _, tt := range []struct {
		at   time.Time
		want error
	}{{opens.Add(-time.Second), PeriodFuture}, {opens, nil}, {week.Start().Add(-time.Hour), nil}, {closes.Add(-time.Second), nil}, {closes, PeriodClosed}} {
		s := testRules(t)
		s.Now = func() time.Time { return tt.at }
		if _, err := s.Batch(goodBatch(), Prefix{}, nil); err != tt.want {
			t.Errorf("at %s: %v, want %v", tt.at, err, tt.want)
		}
		if _, _, err := s.Erasure(octets(), uint32(week)); err != tt.want {
			t.Errorf("an erasure at %s: %v, want %v", tt.at, err, tt.want)
		}
	}
}

// FuzzBatch feeds whatever a peer could send and checks every value that would be stored
// against what its own field declares, and that nothing unknown is left.
func FuzzBatch(f *testing.F) {
	hostile := goodBatch()
	hostile.Slices[0].Machine = "/home/alice/my printer"
	hostile.Slices[0].ChangedSettings = []string{"alice@example.org", "layer_height"}
	confused := goodBatch() // every text is on a list, of another field; no number is on its scale
	confused.Slices = []*telemetryv1.Slice{{
		Machine: "PLA", Intent: "ultimaker_s5", Quality: "en", ChangedSettings: []string{"ultimaker_s5", "PLA", "cura"}, Application: "layer_height", Language: "ultimaker_s5",
		Extruders:     []*telemetryv1.Extruder{{MaterialType: "Ultimaker", MaterialBrand: "PLA", UsedMg: 12_347, UsedMm: 12_347, NozzleUm: 399}},
		ExtruderCount: 9, LayerHeightUm: 201, WallCount: proto.Uint32(11), InfillDensityPercent: proto.Uint32(21), GradualInfillSteps: proto.Uint32(6),
		NozzleTemperatureCelsius: 201, BedTemperatureCelsius: 61, SpeedMmPerS: 61, ChangedSettingsCount: proto.Uint32(3),
		VersionMajor: 100, VersionMinor: 100, ModelCount: 3, PrintTimeS: 7301, SlicingTimeMs: 2203,
		InfillPattern: 99, Support: -1, Adhesion: 99, OperatingSystem: 99, Output: 99, Mode: 99,
	}}
	confused.Counters = &telemetryv1.UsageCounters{SlicesStarted: 10_001, SlicesFinished: 10_001, SlicesFailed: 10_001, SlicesCancelled: 10_001}
	for _, b := range []*telemetryv1.Batch{goodBatch(), hostile, confused, {}} {
		raw, err := proto.Marshal(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(protowire.AppendString(protowire.AppendTag(raw, 999, protowire.BytesType), "bob's secret"))
	}
	s := testRules(f)
	decoder := &rules.Decoder{}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := &telemetryv1.Batch{}
		if proto.Unmarshal(raw, b) != nil {
			return
		}
		// Make the frame valid, so that the fuzzer's time goes into what is inside.
		b.UnitToken, b.BatchId, b.Period, b.PolicyVersion = octets(), octets(), uint32(period.Of(now)), 1
		request, err := proto.Marshal(&collectorv1.UploadRequest{Batch: b})
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := decoder.UploadRequest(request) // as the collector decodes, into what the last one left
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []*telemetryv1.Batch{b, decoded} {
			if rows, err := s.Batch(b, Prefix{}, &rules.Report{}); err == nil {
				assertRowsScrubbed(t, rows)
			}
		}
	})
}

func assertRowsScrubbed(t *testing.T, rows Rows) {
	t.Helper()
	for _, slice := range rows.Slices() {
		assertScrubbed(t, "Slice", "", slice.ProtoReflect())
	}
	if rows.Counters() != nil {
		assertScrubbed(t, "UsageCounters", "", rows.Counters().ProtoReflect())
	}
}

func assertScrubbed(t *testing.T, message, prefix string, m protoreflect.Message) {
	t.Helper()
	if len(m.GetUnknown()) > 0 {
		t.Errorf("%s keeps unknown fields", m.Descriptor().Name())
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := prefix + string(fd.Name())
		values := []protoreflect.Value{v}
		if fd.IsList() {
			values = nil
			for i := range v.List().Len() {
				values = append(values, v.List().Get(i))
			}
		}
		allowed := domains()[message+"."+path]
		for _, v := range values {
			switch fd.Kind() {
			case protoreflect.MessageKind:
				assertScrubbed(t, message, path+".", v.Message())
			case protoreflect.StringKind:
				if !allowed.texts[v.String()] {
					t.Errorf("%s holds a text that is not on its list", path)
				}
			case protoreflect.EnumKind:
				if n := v.Enum(); n < 0 || int(n) > allowed.choices {
					t.Errorf("%s is an undeclared choice", path)
				}
			case protoreflect.Uint32Kind:
				if n := uint32(v.Uint()); !allowed.numbers[n] {
					t.Errorf("%s is %d, which is not on its scale", path, n)
				}
			default:
				t.Errorf("%s is of a kind that nothing checks", path)
			}
		}
		if most := allowed.most; fd.IsList() && most > 0 && len(values) > most {
			t.Errorf("%s has %d items, at most %d are allowed", path, len(values), most)
		}
		return true
	})
}

// domain is what a field may hold once it is scrubbed.
type domain struct {
	texts   map[string]bool
	numbers map[uint32]bool
	choices int // of an enumeration, after "not reported"
	most    int // items of a list of texts; 0: it is none
}

// domains are those of all fields, by message and path.
var domains = sync.OnceValue(func() map[string]domain {
	all := map[string]domain{}
	for _, f := range rules.Fields() {
		d := domain{texts: map[string]bool{}, numbers: map[uint32]bool{}, choices: len(f.Names()), most: int(f.Rule.GetAllow().GetMaxItems())}
		for _, text := range f.Names() {
			d.texts[text] = true
		}
		d.texts[""] = d.most == 0 // not reported; a list leaves it out
		for _, n := range f.Numbers() {
			d.numbers[n] = true
		}
		all[f.Message+"."+f.Path] = d
	}
	return all
})

func BenchmarkBatch(b *testing.B) {
	s := testRules(b)
	batch := goodBatch()
	for range 9 {
		batch.Slices = append(batch.Slices, proto.Clone(batch.Slices[0]).(*telemetryv1.Slice))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Batch(batch, Prefix{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
