package rules

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// The generated code does what the rules say, on messages of random values:
// listed and unlisted texts, declared and undeclared choices, numbers of every
// magnitude.
func TestCoarsenEqualsOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		src := randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice)
		before := proto.Clone(src)
		got := &telemetryv1.Slice{}
		Coarsen(got, src, 0, nil)
		if want := oracle(src); !proto.Equal(got, want) {
			t.Fatalf("Coarsen(%s)\n = %s\nwant %s", prototext.Format(src), prototext.Format(got), prototext.Format(want))
		}
		if !proto.Equal(src, before) {
			t.Fatal("the source changed")
		}
	}
}

func TestCoarsenCountersEqualsOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		src := randomMessage(random, &telemetryv1.UsageCounters{}).(*telemetryv1.UsageCounters)
		got := &telemetryv1.UsageCounters{}
		CoarsenCounters(got, src, nil)
		if want := oracle(src); !proto.Equal(got, want) {
			t.Fatalf("CoarsenCounters(%s) = %s, want %s", src, got, want)
		}
	}
}

func TestCoarsenIsIdempotent(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		once, twice := &telemetryv1.Slice{}, &telemetryv1.Slice{}
		Coarsen(once, randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice), 0, nil)
		report := &Report{}
		Coarsen(twice, once, 0, report)
		if !proto.Equal(once, twice) || len(report.Findings) != 0 {
			t.Fatalf("coarsening %s again gives %s and finds %v", once, twice, report.Findings)
		}
	}
}

// A reused destination holds nothing of what it held before.
func TestCoarsenOverwrites(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	reused := &telemetryv1.Slice{}
	for range 2000 {
		src := randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice)
		fresh := &telemetryv1.Slice{}
		Coarsen(fresh, src, 0, nil)
		Coarsen(reused, src, 0, nil)
		if !proto.Equal(reused, fresh) {
			t.Fatalf("into a used message: %s, into a fresh one: %s", reused, fresh)
		}
	}
}

func TestCoarsenInPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		src := randomMessage(random, &telemetryv1.Slice{}).(*telemetryv1.Slice)
		want := &telemetryv1.Slice{}
		Coarsen(want, src, 0, nil)
		Coarsen(src, src, 0, nil)
		if !proto.Equal(src, want) {
			t.Fatalf("in place: %s, want %s", src, want)
		}
	}
}

func TestCoarsenForgetsUnknownFields(t *testing.T) {
	raw := append([]byte{0xfa, 0x3f, 9}, "/home/bob"...) // field 1023, which the protocol does not have
	src := &telemetryv1.Slice{}
	if err := proto.Unmarshal(raw, src); err != nil {
		t.Fatal(err)
	}
	dst := proto.Clone(src).(*telemetryv1.Slice)
	Coarsen(dst, src, 0, nil)
	if got, err := proto.Marshal(dst); err != nil || len(got) != 0 {
		t.Errorf("%q is left, %v, want nothing", got, err)
	}
}

func TestFindings(t *testing.T) {
	src := &telemetryv1.Slice{
		Machine:         "Bob's printer",
		LayerHeightUm:   203,
		WallCount:       proto.Uint32(99),
		ChangedSettings: []string{"layer_height", "my_plugin_setting"},
		Extruders:       []*telemetryv1.Extruder{{MaterialType: "PLA", UsedMg: 12345, NozzleUm: 410}},
		InfillPattern:   77,
	}
	want := []Finding{
		{"machine", Generalised, "not in the catalogue"},
		{"extruders.used_mg", Bucketed, "replaced by the middle of its logarithmic bucket"},
		{"extruders.nozzle_um", Bucketed, "replaced by the nearest listed value"},
		{"layer_height_um", Bucketed, "rounded to the grid"},
		{"wall_count", Clamped, "outside of the range"},
		{"infill_pattern", Generalised, "not a declared choice"},
		{"changed_settings", Dropped, "not in the catalogue"},
	}
	report := &Report{}
	Coarsen(&telemetryv1.Slice{}, src, 0, report)
	if !reflect.DeepEqual(report.Findings, want) {
		t.Errorf("findings\n %v\nwant\n %v", report.Findings, want)
	}
}

// Every bucket holds its representative and the buckets follow one another.
func TestLogScales(t *testing.T) {
	for _, f := range Fields() {
		edges := f.Edges()
		if edges == nil {
			continue
		}
		representatives := f.Numbers()
		if !slices.IsSorted(edges) || len(edges) != len(representatives)+1 {
			t.Fatalf("%s: %d edges for %d buckets", f.Path, len(edges), len(representatives))
		}
		for i, r := range representatives {
			if r < edges[i] || r >= edges[i+1] {
				t.Errorf("%s: representative %d is outside of [%d, %d)", f.Path, r, edges[i], edges[i+1])
			}
		}
	}
}

func FuzzCoarsen(f *testing.F) {
	random := rand.New(rand.NewPCG(11, 12))
	for range 10 {
		raw, err := proto.Marshal(randomMessage(random, &telemetryv1.Slice{}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		src, once, twice := &telemetryv1.Slice{}, &telemetryv1.Slice{}, &telemetryv1.Slice{}
		if proto.Unmarshal(raw, src) != nil {
			return
		}
		Coarsen(once, src, 0, nil)
		assertDomain(t, once)
		Coarsen(twice, once, 0, nil)
		if !proto.Equal(once, twice) {
			t.Errorf("not idempotent: %s, then %s", once, twice)
		}
	})
}

// assertDomain checks that each value is one that its field declares.
func assertDomain(t *testing.T, s *telemetryv1.Slice) {
	t.Helper()
	for _, f := range Fields() {
		if f.Message != "Slice" || f.Path == "extruders" {
			continue
		}
		for _, v := range valuesOf(s, f) {
			switch f.descriptor.Kind() {
			case protoreflect.StringKind:
				if v.String() != "" && !slices.Contains(f.Names(), v.String()) {
					t.Errorf("%s is an undeclared text", f.Path)
				}
			case protoreflect.EnumKind:
				if int(v.Enum()) > len(f.Names()) {
					t.Errorf("%s is an undeclared choice", f.Path)
				}
			default:
				n := uint32(v.Uint())
				if !slices.Contains(f.Numbers(), n) && (n != 0 || f.HasPresence()) {
					t.Errorf("%s is %d, which is not on its scale", f.Path, n)
				}
			}
		}
	}
}

// valuesOf returns the values of a field that are set, wherever it lies.
func valuesOf(s *telemetryv1.Slice, f Field) []protoreflect.Value {
	var values []protoreflect.Value
	messages := []protoreflect.Message{s.ProtoReflect()}
	if f.descriptor.Parent() != s.ProtoReflect().Descriptor() {
		messages = nil
		for _, e := range s.Extruders {
			messages = append(messages, e.ProtoReflect())
		}
	}
	for _, m := range messages {
		switch {
		case !m.Has(f.descriptor):
		case f.descriptor.IsList():
			for i := range m.Get(f.descriptor).List().Len() {
				values = append(values, m.Get(f.descriptor).List().Get(i))
			}
		default:
			values = append(values, m.Get(f.descriptor))
		}
	}
	return values
}

// randomMessage fills a message with values of which about half are on the lists.
func randomMessage(random *rand.Rand, m proto.Message) proto.Message {
	fill(random, m.ProtoReflect())
	return m
}

func fill(random *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case random.IntN(4) == 0:
		case fd.IsList() && fd.Message() != nil:
			list := m.Mutable(fd).List()
			for range random.IntN(10) {
				item := list.NewElement()
				fill(random, item.Message())
				list.Append(item)
			}
		case fd.IsList():
			list := m.Mutable(fd).List()
			for range random.IntN(5) {
				list.Append(randomValue(random, fd))
			}
		default:
			m.Set(fd, randomValue(random, fd))
		}
	}
}

func randomValue(random *rand.Rand, fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(40) - 10))
	case protoreflect.StringKind:
		lists := catalog.Lists()
		values := catalog.Values(lists[random.IntN(len(lists))])
		return protoreflect.ValueOfString(values[random.IntN(len(values))])
	}
	magnitude := math.Exp(random.Float64() * math.Log(math.MaxUint32))
	return protoreflect.ValueOfUint32(uint32(magnitude) - 1)
}

// fullSlice is an event with every field set, as a slicer would record it.
func fullSlice() *telemetryv1.Slice {
	return &telemetryv1.Slice{
		Machine: "ultimaker_s5", MachineSettingsChanged: telemetryv1.Flag_FLAG_NO, ExtruderCount: 2,
		Extruders: []*telemetryv1.Extruder{
			{MaterialType: "PLA", MaterialBrand: "Ultimaker", UsedMg: 23_456, UsedMm: 2960, NozzleUm: 400},
			{MaterialType: "PVA", MaterialBrand: "Ultimaker", UsedMg: 4567, UsedMm: 590, NozzleUm: 400},
		},
		LayerHeightUm: 150, WallCount: proto.Uint32(3), InfillDensityPercent: proto.Uint32(20),
		InfillPattern:      telemetryv1.InfillPattern_INFILL_PATTERN_TRIANGLES,
		GradualInfillSteps: proto.Uint32(0), Support: telemetryv1.Flag_FLAG_YES, Adhesion: telemetryv1.Adhesion_ADHESION_BRIM,
		PrimeTower: telemetryv1.Flag_FLAG_YES, Retraction: telemetryv1.Flag_FLAG_YES,
		PrintSequence:            telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		NozzleTemperatureCelsius: 205, BedTemperatureCelsius: 60, SpeedMmPerS: 70,
		Intent: "default", Quality: "normal", Mode: telemetryv1.Mode_MODE_CUSTOM,
		ChangedSettings: []string{"layer_height", "infill_sparse_density"}, ChangedSettingsCount: proto.Uint32(2),
		Application: "cura", VersionMajor: 5, VersionMinor: 9,
		OperatingSystem: telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX, Language: "en",
		Output: telemetryv1.OutputKind_OUTPUT_KIND_FILE, ModelCount: 1, PrintTimeS: 7300, SlicingTimeMs: 2200,
	}
}

// Coarsening is on the slicer's own thread: it may not allocate for an event
// whose optional numbers are on their grids already.
func TestCoarsenDoesNotAllocate(t *testing.T) {
	src, dst := fullSlice(), &telemetryv1.Slice{}
	Coarsen(dst, src, 0, nil)
	if n := testing.AllocsPerRun(100, func() { Coarsen(dst, src, 0, nil) }); n != 0 {
		t.Errorf("%g allocations, want 0", n)
	}
}

func BenchmarkCoarsen(b *testing.B) {
	src, dst := fullSlice(), &telemetryv1.Slice{}
	b.ReportAllocs()
	for b.Loop() {
		Coarsen(dst, src, 0, nil)
	}
}
