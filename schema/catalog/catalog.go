// Package catalog knows every machine, material, setting and other name that may
// be collected. A text that is not in it is never sent, stored or published.
//
// The facts are embedded, versioned and read on first use: a program that never
// records pays nothing for them. Look-ups do not allocate.
//
//	list            what
//	machine         definition ids of printers
//	material_type   types of material, such as PLA
//	material_brand  makers of material
//	intent          intent categories of profiles
//	quality         quality types that at least eight families of machines share
//	                (a rarer one would name the machine)
//	setting         keys of settings whose values are numbers, flags or choices
//	application     slicers
//	language        languages of user interfaces, ISO 639-1
package catalog

import (
	"embed"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Version grows by one whenever the data changes; a test holds the two together.
const Version = 1

//go:embed data/*.csv
var files embed.FS

// Machine is a printer that the catalogue knows.
type Machine struct {
	ID           string // definition id, as slicers write it
	Name         string // for people
	Manufacturer string
	Extruders    int // in its default configuration
}

// Material is a material that the catalogue knows. Its GUID is looked up on the
// device and goes no further: it would tell the colour and the exact product.
type Material struct {
	GUID           string // lower case
	Brand          string
	Type           string
	DensityGPerCm3 float64
	DiameterMM     float64
}

// List is one closed set of names.
type List struct {
	members map[string]member
	sorted  []string
	own     own // of the copies in members
}

type member struct {
	name string
	hash uint64
}

// Contains reports whether the list holds value.
func (l *List) Contains(value string) bool {
	if l.own.contains(value) {
		return true
	}
	_, ok := l.members[value]
	return ok
}

// Hash returns a number that belongs to a value in every version of the catalogue
// (FNV-1a), and whether the list holds the value.
func (l *List) Hash(value string) (hash uint64, ok bool) {
	m, ok := l.members[value]
	return m.hash, ok
}

// Canonical returns the list's own copy of a value, and whether the list holds it.
func (l *List) Canonical(value []byte) (name string, ok bool) {
	m, ok := l.members[string(value)]
	return m.name, ok
}

// Values returns the names in order. The caller must not change them.
func (l *List) Values() []string { return l.sorted }

// Lookup returns the list of that name, or nil where there is none.
func Lookup(list string) *List { return loaded().lists[list] }

// Contains reports whether the list of that name holds value.
func Contains(list, value string) bool {
	l := Lookup(list)
	return l != nil && l.Contains(value)
}

// Values returns the names on a list in order, nil where there is no such list.
func Values(list string) []string {
	if l := Lookup(list); l != nil {
		return l.Values()
	}
	return nil
}

// Lists returns the names of the lists.
func Lists() []string { return slices.Sorted(maps.Keys(loaded().lists)) }

// Machines returns every machine, ordered by id. The caller must not change them.
func Machines() []Machine { return loaded().machines }

// MachineByID finds a machine.
func MachineByID(id string) (Machine, bool) {
	m, ok := loaded().machineByID[id]
	return m, ok
}

// Materials returns every material, ordered by GUID. The caller must not change them.
func Materials() []Material { return loaded().materials }

// MaterialByGUID finds a material; case does not matter.
func MaterialByGUID(guid string) (Material, bool) {
	m, ok := loaded().materialByGUID[strings.ToLower(guid)]
	return m, ok
}

// ApplicationName returns a slicer's name for people, or "" where it is unknown.
func ApplicationName(application string) string { return loaded().applicationNames[application] }

// content is everything, read once.
type content struct {
	lists            map[string]*List
	machines         []Machine
	machineByID      map[string]Machine
	materials        []Material
	materialByGUID   map[string]Material
	applicationNames map[string]string
}

var loaded = sync.OnceValue(load)

// load reads the embedded data. Damaged data is a defect of the build, not of
// the run, and every test of this package would fail on it: hence the panic.
func load() *content {
	c := &content{
		machineByID:      map[string]Machine{},
		materialByGUID:   map[string]Material{},
		applicationNames: map[string]string{},
	}
	for _, row := range rows("machines") {
		m := Machine{ID: row[0], Name: row[1], Manufacturer: row[2], Extruders: int(number(row[3]))}
		c.machines = append(c.machines, m)
		c.machineByID[m.ID] = m
	}
	var types, brands []string
	for _, row := range rows("materials") {
		m := Material{GUID: row[0], Brand: row[1], Type: row[2], DensityGPerCm3: number(row[3]), DiameterMM: number(row[4])}
		c.materials = append(c.materials, m)
		c.materialByGUID[m.GUID] = m
		types, brands = append(types, m.Type), append(brands, m.Brand)
	}
	for _, row := range rows("applications") {
		c.applicationNames[row[0]] = row[1]
	}
	c.lists = map[string]*List{
		"machine":        newList(slices.Collect(maps.Keys(c.machineByID))),
		"material_type":  newList(types),
		"material_brand": newList(brands),
		"intent":         newList(firstColumn("intents")),
		"quality":        newList(firstColumn("qualities")),
		"setting":        newList(firstColumn("settings")),
		"application":    newList(slices.Collect(maps.Keys(c.applicationNames))),
		"language":       newList(firstColumn("languages")),
	}
	return c
}

func newList(values []string) *List {
	l := &List{members: make(map[string]member, len(values))}
	for _, v := range values {
		h := fnv.New64a()
		h.Write([]byte(v))
		l.members[v] = member{v, h.Sum64()}
	}
	l.sorted = slices.Sorted(maps.Keys(l.members))
	names := make([]string, 0, len(l.members))
	for _, m := range l.members {
		names = append(names, m.name)
	}
	l.own = newOwn(names)
	return l
}

// rows returns the records of an embedded table without its header.
func rows(table string) [][]string {
	f, err := files.Open("data/" + table + ".csv")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		panic(fmt.Errorf("catalog: table %s: %w", table, err))
	}
	return all[1:]
}

func firstColumn(table string) []string {
	var values []string
	for _, row := range rows(table) {
		values = append(values, row[0])
	}
	return values
}

func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Errorf("catalog: %w", err))
	}
	return n
}
