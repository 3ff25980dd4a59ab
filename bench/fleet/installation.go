package fleet

import (
	"math"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// installation is what stays the same from week to week.
type installation struct {
	fleet       *Fleet
	machine     catalog.Machine
	application string
	major       uint32
	minor       uint32
	system      telemetryv1.OperatingSystem
	language    string
	favourite   string // type of material
	brand       string
	layer       uint32
	activity    float64 // mean of jobs a week
	mode        telemetryv1.Mode
	habit       *telemetryv1.Slice // the profile that its user keeps coming back to
}

// installation follows from the seed and the number alone.
func (f *Fleet) installation(i int) *installation {
	random := rand.New(rand.NewPCG(f.seed, uint64(i)+1))
	in := &installation{
		fleet:     f,
		machine:   f.shuffled[f.machines.draw(random)],
		system:    weighted(random, []float64{0.66, 0.2, 0.14}, telemetryv1.OperatingSystem_OPERATING_SYSTEM_WINDOWS, telemetryv1.OperatingSystem_OPERATING_SYSTEM_MACOS, telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX),
		language:  weighted(random, []float64{0.6, 0.12, 0.06, 0.05, 0.04}, "en", "de", "fr", "es", "nl"),
		favourite: weighted(random, []float64{0.6, 0.22, 0.08, 0.06, 0.04}, f.types...),
		brand:     f.brands[random.IntN(len(f.brands))],
		layer:     weighted[uint32](random, []float64{0.5, 0.2, 0.12, 0.1, 0.08}, 200, 120, 160, 280, 100),
		activity:  2 + 6*random.ExpFloat64(),
		mode:      weighted(random, []float64{0.4, 0.6}, telemetryv1.Mode_MODE_RECOMMENDED, telemetryv1.Mode_MODE_CUSTOM),
	}
	in.application = weighted(random, []float64{0.7, 0.15, 0.15}, "cura", "prusaslicer", "orcaslicer")
	in.major, in.minor = 5, uint32(6+random.IntN(6))
	if in.application != "cura" {
		in.major, in.minor = 2, uint32(6+random.IntN(4))
	}
	in.habit = in.draw(random)
	return in
}

// slice is one job: most of its settings are the profile's, some are changed for
// this job.
func (in *installation) slice(random *rand.Rand) *telemetryv1.Slice {
	s := in.draw(random)
	h := in.habit
	s.NozzleTemperatureCelsius, s.BedTemperatureCelsius = h.NozzleTemperatureCelsius, h.BedTemperatureCelsius // the material's
	for _, keep := range []func(){
		func() { s.WallCount = h.WallCount },
		func() { s.InfillDensityPercent = h.InfillDensityPercent },
		func() { s.InfillPattern = h.InfillPattern },
		func() { s.Support = h.Support },
		func() { s.Adhesion = h.Adhesion },
		func() { s.SpeedMmPerS = h.SpeedMmPerS },
		func() { s.Quality = h.Quality },
		func() { s.Output = h.Output },
		func() { s.Extruders[0].NozzleUm = h.Extruders[0].NozzleUm },
		func() {
			s.ChangedSettings, s.ChangedSettingsCount = slices.Clone(h.ChangedSettings), h.ChangedSettingsCount
		},
	} {
		if random.Float64() < 0.8 {
			keep()
		}
	}
	return s
}

// draw draws a job as if there were no habits.
func (in *installation) draw(random *rand.Rand) *telemetryv1.Slice {
	hours := math.Exp(0.9 + 1.1*random.NormFloat64())
	s := &telemetryv1.Slice{
		Machine:                  in.machine.ID,
		MachineSettingsChanged:   flag(random, 0.1),
		ExtruderCount:            uint32(in.machine.Extruders),
		Extruders:                in.extruders(random, hours),
		LayerHeightUm:            in.layer,
		WallCount:                proto.Uint32(uint32(2 + random.IntN(3))),
		InfillDensityPercent:     proto.Uint32(uint32(10 + 5*random.IntN(5))),
		InfillPattern:            telemetryv1.InfillPattern(2 + random.IntN(14)),
		GradualInfillSteps:       proto.Uint32(0),
		Support:                  flag(random, 0.3),
		Adhesion:                 telemetryv1.Adhesion(2 + random.IntN(4)),
		PrimeTower:               flag(random, 0.05),
		Retraction:               flag(random, 0.97),
		PrintSequence:            telemetryv1.PrintSequence_PRINT_SEQUENCE_ALL_AT_ONCE,
		NozzleTemperatureCelsius: uint32(195 + 5*random.IntN(12)),
		BedTemperatureCelsius:    uint32(50 + 5*random.IntN(8)),
		SpeedMmPerS:              uint32(40 + 10*random.IntN(20)),
		Intent:                   "default",
		Quality:                  weighted(random, []float64{0.6, 0.3, 0.1}, "normal", "draft", "high"),
		Mode:                     in.mode,
		Application:              in.application, VersionMajor: in.major, VersionMinor: in.minor,
		OperatingSystem: in.system,
		Language:        in.language,
		Output:          weighted(random, []float64{0.5, 0.3, 0.2}, telemetryv1.OutputKind_OUTPUT_KIND_FILE, telemetryv1.OutputKind_OUTPUT_KIND_REMOVABLE, telemetryv1.OutputKind_OUTPUT_KIND_NETWORK),
		ModelCount:      uint32(1 + random.IntN(4)),
		PrintTimeS:      uint32(hours * 3600),
		SlicingTimeMs:   uint32(800 * math.Exp(random.NormFloat64())),
	}
	if random.Float64() < 0.5 {
		s.InfillPattern = telemetryv1.InfillPattern_INFILL_PATTERN_GRID
	}
	in.changeSettings(random, s)
	return s
}

func (in *installation) changeSettings(random *rand.Rand, s *telemetryv1.Slice) {
	n := random.IntN(12)
	if in.mode == telemetryv1.Mode_MODE_RECOMMENDED {
		n = random.IntN(3)
	}
	for range n {
		s.ChangedSettings = append(s.ChangedSettings, in.fleet.keys[in.fleet.settings.draw(random)])
	}
	s.ChangedSettingsCount = proto.Uint32(uint32(n))
}

// extruders uses the second one, where there is one, for one job in three.
func (in *installation) extruders(random *rand.Rand, hours float64) []*telemetryv1.Extruder {
	grams := 8 * hours * (0.5 + random.Float64())
	used := []*telemetryv1.Extruder{{
		MaterialType: in.favourite, MaterialBrand: in.brand,
		UsedMg: uint32(grams * 1000), UsedMm: uint32(grams * 335), NozzleUm: weighted(random, []float64{0.85, 0.1, 0.05}, uint32(400), 600, 800),
	}}
	if in.machine.Extruders > 1 && random.IntN(3) == 0 {
		used = append(used, &telemetryv1.Extruder{MaterialType: "PVA", MaterialBrand: "Generic", UsedMg: uint32(grams * 200), UsedMm: uint32(grams * 67), NozzleUm: 400})
	}
	return used
}

func flag(random *rand.Rand, yes float64) telemetryv1.Flag {
	if random.Float64() < yes {
		return telemetryv1.Flag_FLAG_YES
	}
	return telemetryv1.Flag_FLAG_NO
}

// weighted draws one of the values; what the weights leave of 1 goes evenly to
// the values that have none.
func weighted[T any](random *rand.Rand, weights []float64, values ...T) T {
	u := random.Float64()
	for i, w := range weights {
		if u < w {
			return values[i]
		}
		u -= w
	}
	rest := values[min(len(weights), len(values)-1):]
	return rest[random.IntN(len(rest))]
}
