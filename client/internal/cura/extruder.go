package cura

import (
	"math"
	"slices"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// The lists that describe extruders and are imported.
const (
	active      = "extruders_active"
	guid        = "extruders_material_guid"
	kind        = "extruders_material_type"
	used        = "extruders_material_used" // metres
	nozzle      = "extruders_nozzle_size"   // millimetres
	temperature = "extruders_material_print_temperature"
)

// maxExtruders is more than any machine has; a longer list is not about extruders.
const maxExtruders = 16

// extruders imports the parallel lists. Cura's flat form leaves a leaf out where
// an extruder lacks it, which shortens its list and moves the values behind it:
// a list that is shorter than the longest is dropped as a whole.
func (i *importer) extruders() {
	lists, n := map[string][]any{}, 0
	for _, name := range []string{active, guid, kind, used, nozzle, temperature} {
		switch v := i.payload[name].(type) {
		case nil:
		case []any:
			lists[name] = v
			n = max(n, len(v))
		default:
			i.report.Add(name, rules.Dropped, wrongType)
		}
	}
	for _, name := range sortedNames(lists) {
		if len(lists[name]) != n || n > maxExtruders {
			i.report.Add(name, rules.Dropped, notAligned)
			delete(lists, name)
		}
	}
	if n > maxExtruders {
		return
	}
	for k := range n {
		i.extruder(func(name string) any {
			if list := lists[name]; list != nil {
				return list[k]
			}
			return nil
		})
	}
	if i.slice.ExtruderCount == 0 {
		i.slice.ExtruderCount = uint32(n)
	}
}

func sortedNames(lists map[string][]any) []string {
	var names []string
	for name := range lists {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// extruder imports one extruder; those that are switched off are left out.
func (i *importer) extruder(value func(name string) any) {
	if on, ok := value(active).(bool); ok && !on {
		return
	}
	e := &telemetryv1.Extruder{}
	material, known := i.material(e, value)
	if mm := i.numberOf(used, value(used), 1000); mm != nil {
		e.UsedMm = *mm
		if known {
			// mm³ times g/cm³ is mg.
			e.UsedMg = uint32(min(math.Round(area(material.DiameterMM)*float64(*mm)*material.DensityGPerCm3), math.MaxUint32))
		}
	}
	if um := i.numberOf(nozzle, value(nozzle), 1000); um != nil {
		e.NozzleUm = *um
	}
	if celsius := i.numberOf(temperature, value(temperature), 1); celsius != nil && i.slice.NozzleTemperatureCelsius == 0 {
		i.slice.NozzleTemperatureCelsius = *celsius
	}
	i.slice.Extruders = append(i.slice.Extruders, e)
}

// material looks the GUID up. One that is not in the catalogue is a user's own,
// with a random number that would follow him: brand and density stay unknown,
// and the type is kept if it is a listed one.
func (i *importer) material(e *telemetryv1.Extruder, value func(name string) any) (catalog.Material, bool) {
	text, _ := value(guid).(string)
	if m, ok := catalog.MaterialByGUID(text); ok {
		e.MaterialType, e.MaterialBrand = m.Type, m.Brand
		return m, true
	}
	e.MaterialType, _ = value(kind).(string)
	if text != "" {
		e.MaterialBrand = "custom"
		i.report.Add(guid, rules.Generalised, customGUID)
	}
	return catalog.Material{}, false
}

// area is a filament's cross-section, in mm².
func area(diameter float64) float64 { return math.Pi / 4 * diameter * diameter }
