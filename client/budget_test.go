//go:build !race

package client_test

import "testing"

// The allocation budget of the host's thread. The race detector makes pools
// forget at random, so this runs without it.
func TestRecordDoesNotAllocateMuch(t *testing.T) {
	off := open(t, config(t.TempDir(), "127.0.0.1:1"))
	s := numbered(1)
	if n := testing.AllocsPerRun(1000, func() { off.Record(s) }); n != 0 {
		t.Errorf("without consent %g allocations, want 0", n)
	}
	on := granted(t, config(t.TempDir(), "127.0.0.1:1"))
	if n := testing.AllocsPerRun(500, func() { on.Record(s) }); n > 2 {
		t.Errorf("%g allocations, want at most 2", n)
	}
}
