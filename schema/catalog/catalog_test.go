package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dataHash is the hash of the embedded data of Version. When this test fails
// because the data changed on purpose, raise Version and take over the new hash:
// that two builds with one Version hold the same lists is what lets a published
// table name the key set it used.
const dataHash = "85ebc02fdf1c394a"

func TestVersionNamesTheData(t *testing.T) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		h.Write([]byte(path + "\n"))
		h.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != dataHash {
		t.Errorf("data hash = %s, want %s for catalogue version %d", got, dataHash, Version)
	}
}

func TestSizes(t *testing.T) {
	if got, want := len(Machines()), 632; got != want {
		t.Errorf("%d machines, want %d", got, want)
	}
	if got, want := len(Materials()), 281; got != want {
		t.Errorf("%d materials, want %d", got, want)
	}
	want := map[string]int{
		"machine": 632, "material_type": 59, "material_brand": 33, "intent": 9,
		"quality": 14, "setting": 684, "application": 11, "language": 19,
	}
	for _, list := range Lists() {
		if got := len(Values(list)); got != want[list] {
			t.Errorf("list %s has %d values, want %d", list, got, want[list])
		}
	}
}

// A name that is published must be one that a person could have read in a
// slicer: short, printable, with nothing that reads as an address or a path.
func TestValuesAreHarmless(t *testing.T) {
	harmless := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _.+&-]{0,79}$`)
	for _, list := range Lists() {
		values := Values(list)
		if !slices.IsSorted(values) {
			t.Errorf("list %s is not sorted", list)
		}
		for _, v := range values {
			if !harmless.MatchString(v) {
				t.Errorf("list %s holds %q", list, v)
			}
		}
	}
}

func TestContains(t *testing.T) {
	tests := []struct {
		list, value string
		want        bool
	}{
		{"machine", "ultimaker_s5", true},
		{"machine", "Ultimaker_S5", false},
		{"machine", "", false},
		{"machine", "my printer", false},
		{"material_type", "PLA", true},
		{"material_brand", "Generic", true},
		{"setting", "layer_height", true},
		{"setting", "machine_start_gcode", false},
		{"intent", "default", true},
		{"language", "de", true},
		{"language", "de_DE", false},
		{"no such list", "x", false},
	}
	for _, tt := range tests {
		if got := Contains(tt.list, tt.value); got != tt.want {
			t.Errorf("Contains(%q, %q) = %t, want %t", tt.list, tt.value, got, tt.want)
		}
	}
}

// A list knows its own copies without comparing texts, nearly all of them, and takes
// neither a part of one nor another list's copy for its own.
func TestOwnCopies(t *testing.T) {
	for _, name := range Lists() {
		l, found := Lookup(name), 0
		for _, v := range l.Values() {
			own, _ := l.Canonical([]byte(v))
			if l.own.contains(own) {
				found++
			}
			if !l.Contains(own) || l.own.contains(strings.Clone(own)) || l.own.contains(own[:len(own)-1]) || l.own.contains(own[1:]) {
				t.Errorf("%s: %q is mistaken", name, v)
			}
		}
		if found < len(l.Values())*3/4 {
			t.Errorf("%s: %d of %d own copies are found", name, found, len(l.Values()))
		}
		if l.own.contains("") || Lookup("language").own.contains(Lookup("setting").Values()[0]) {
			t.Errorf("%s holds nothing, or what is not its own", name)
		}
	}
}

func TestMaterialByGUID(t *testing.T) {
	for _, m := range Materials() {
		got, ok := MaterialByGUID(strings.ToUpper(m.GUID))
		if !ok || got != m {
			t.Fatalf("MaterialByGUID(%s) = %+v, %t, want %+v", m.GUID, got, ok, m)
		}
		if m.DensityGPerCm3 < 0.5 || m.DensityGPerCm3 > 8 || m.DiameterMM < 1 || m.DiameterMM > 4 {
			t.Errorf("material %s: density %g g/cm3, diameter %g mm are not those of a filament", m.GUID, m.DensityGPerCm3, m.DiameterMM)
		}
	}
	if _, ok := MaterialByGUID("00000000-0000-0000-0000-000000000000"); ok {
		t.Error("found a material that does not exist")
	}
}

func TestMachineByID(t *testing.T) {
	for _, m := range Machines() {
		got, ok := MachineByID(m.ID)
		if !ok || got != m {
			t.Fatalf("MachineByID(%s) = %+v, %t, want %+v", m.ID, got, ok, m)
		}
		if m.Extruders < 1 || m.Extruders > 8 || m.Name == "" {
			t.Errorf("machine %+v is incomplete", m)
		}
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	list := Lookup("machine")
	if n := testing.AllocsPerRun(100, func() { list.Contains("ultimaker_s5") }); n != 0 {
		t.Errorf("%g allocations a look-up, want 0", n)
	}
}
