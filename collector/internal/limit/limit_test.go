package limit

import (
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
}

func TestBucketRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(10, 5, time.Now)
		for i := range 5 {
			if !l.Allow(network(1)) {
				t.Fatalf("call %d of a burst of 5 was refused", i+1)
			}
		}
		if l.Allow(network(1)) {
			t.Fatal("the sixth call was allowed")
		}
		if !l.Allow(network(2)) {
			t.Fatal("another network was refused")
		}
		time.Sleep(100 * time.Millisecond)
		if !l.Allow(network(1)) || l.Allow(network(1)) {
			t.Error("a tenth of a second at 10 a second must give one call")
		}
	})
}

func TestKeyRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(0.0001, 1, time.Now)
		seed := l.seed
		l.Allow(network(1))
		if l.Allow(network(1)) {
			t.Fatal("the second call was allowed")
		}
		for i := range 100 {
			l.Allow(network(i))
		}
		time.Sleep(time.Hour)
		if !l.Allow(network(1)) {
			t.Error("after an hour the network is still known")
		}
		if l.seed == seed {
			t.Error("after an hour the key is the same")
		}
		used := 0
		for _, b := range l.buckets {
			if b != (bucket{}) {
				used++
			}
		}
		if used != 1 {
			t.Errorf("%d positions are in use, want only the last caller's", used)
		}
	})
}

func TestZeroRateAllowsEverything(t *testing.T) {
	l := New(0, 0, time.Now)
	for range 1000 {
		if !l.Allow(network(1)) {
			t.Fatal("refused")
		}
	}
}

// The structure has nowhere to put an address, and does not grow.
func TestHoldsNoAddress(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(kind reflect.Type) {
		if kind.PkgPath() == "net/netip" || kind.PkgPath() == "net" || kind.Kind() == reflect.Map || kind.Kind() == reflect.String {
			t.Errorf("the limiter holds a %s", kind)
		}
		switch kind.Kind() {
		case reflect.Struct:
			if kind.PkgPath() == "time" || kind.PkgPath() == "sync" || kind.PkgPath() == "hash/maphash" {
				return
			}
			for i := range kind.NumField() {
				walk(kind.Field(i).Type)
			}
		case reflect.Array, reflect.Slice, reflect.Pointer:
			walk(kind.Elem())
		}
	}
	walk(reflect.TypeFor[Limiter]())
	l := New(1, 1, time.Now)
	if n := testing.AllocsPerRun(1000, func() { l.Allow(network(int(time.Now().UnixNano()))) }); n != 0 {
		t.Errorf("%g allocations a call, want 0", n)
	}
}
