package catalog

import (
	"math/bits"
	"unsafe"
)

// own finds a list's own copies of its names by where they are: whoever asked for
// the canonical name and asks again does not pay for comparing texts. Equal address
// and length is the same text; what is not found here may be in the list all the
// same.
type own struct {
	slots []string
	shift int // of the hash, so that as many bits are left as slots need
}

func newOwn(names []string) own {
	width := bits.Len(uint(4 * len(names))) // a quarter full, so that few meet in a slot
	o := own{slots: make([]string, 1<<width), shift: 64 - width}
	for _, name := range names {
		if slot := o.slot(name); *slot == "" {
			*slot = name
		}
	}
	return o
}

func (o own) slot(name string) *string {
	const golden = 0x9E3779B97F4A7C15 // Fibonacci hashing: Knuth, TAOCP 3, 6.4
	return &o.slots[uint64(uintptr(unsafe.Pointer(unsafe.StringData(name))))*golden>>o.shift]
}

func (o own) contains(name string) bool {
	found := *o.slot(name)
	return name != "" && len(found) == len(name) && unsafe.StringData(found) == unsafe.StringData(name)
}
