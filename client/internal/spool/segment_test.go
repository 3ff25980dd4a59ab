package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// Whatever happens to the octets of a file, what is read was written, in order,
// from the start, only what lies behind the damage is missing, and the damage is
// noticed.
func TestDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var payloads []string
	segment := newHeader(uint32(week), 1).encode()
	ends := map[int]bool{len(segment): true}
	for i := range 20 {
		payloads = append(payloads, fmt.Sprintf("record %d of some length %x", i, random.Uint64()))
		segment = appendFrame(segment, KindSlice, []byte(payloads[i]))
		ends[len(segment)] = true
	}
	check := func(name string, b []byte, least int, noticed bool) {
		_, records, damaged, err := decode(b)
		if damaged != noticed {
			t.Errorf("%s: damaged is %t, want %t", name, damaged, noticed)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s: %v", name, err)
		}
		for i, r := range records {
			if r.Kind != KindSlice || string(r.Payload) != payloads[i] {
				t.Fatalf("%s: record %d was never written", name, i)
			}
		}
		if len(records) < least {
			t.Errorf("%s: %d records, want at least %d", name, len(records), least)
		}
	}
	frame := (len(segment) - headerBytes) / 20
	for cut := range len(segment) {
		// A cut between two frames leaves a shorter segment, which is as good as any.
		check(fmt.Sprintf("cut at %d", cut), segment[:cut], (cut-headerBytes)/frame-1, !ends[cut])
	}
	for bit := range 8 * len(segment) {
		flipped := bytes.Clone(segment)
		flipped[bit/8] ^= 1 << (bit % 8)
		check(fmt.Sprintf("bit %d", bit), flipped, (bit/8-headerBytes)/frame-1, true)
	}
}

func FuzzDecode(f *testing.F) {
	segment := newHeader(uint32(week), 1).encode()
	f.Add(segment)
	segment = appendFrame(appendFrame(segment, KindSlice, []byte("slice")), KindCounters, nil)
	f.Add(segment)
	f.Add(segment[:len(segment)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, records, damaged, err := decode(b)
		if err != nil {
			return
		}
		again := h.encode()
		for _, r := range records {
			again = appendFrame(again, r.Kind, r.Payload)
		}
		// The reserved octets are not kept, and are under the header's checksum.
		if bytes.Equal(b[12:16], make([]byte, 4)) && !bytes.HasPrefix(b, again) {
			t.Error("what was read does not encode to what was there")
		}
		if !damaged && len(again) != len(b) {
			t.Errorf("%d octets read of %d without damage", len(again), len(b))
		}
	})
}

// Whatever is written and wherever octets are overwritten or cut off, nothing is
// read that was not written there. Checksums keep FuzzDecode from getting far by
// chance; this one starts from good segments.
func FuzzDamage(f *testing.F) {
	f.Add([]byte("first"), []byte("second"), uint16(headerBytes), []byte{0xff, 0xff, 0xff, 0xff}, uint16(0))
	f.Add([]byte{}, []byte{}, uint16(headerBytes+4), []byte{1}, uint16(3))
	f.Add(bytes.Repeat([]byte("x"), 300), []byte("y"), uint16(0), []byte{}, uint16(9))
	f.Fuzz(func(t *testing.T, first, second []byte, at uint16, over []byte, cut uint16) {
		if len(first) > maxPayload || len(second) > maxPayload {
			return
		}
		b := appendFrame(appendFrame(newHeader(uint32(week), 1).encode(), KindSlice, first), KindCounters, second)
		b = b[:len(b)-min(int(cut), len(b))]
		if int(at) < len(b) {
			copy(b[at:], over)
		}
		_, records, _, err := decode(b)
		if err != nil {
			return
		}
		written := []Record{{KindSlice, first}, {KindCounters, second}}
		if len(records) > len(written) {
			t.Fatalf("%d records of %d", len(records), len(written))
		}
		for i, r := range records {
			if r.Kind != written[i].Kind || !bytes.Equal(r.Payload, written[i].Payload) {
				t.Errorf("record %d was never written", i)
			}
		}
	})
}
