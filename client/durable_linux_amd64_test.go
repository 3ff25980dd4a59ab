package client_test

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A refusal survives a power cut: the decision is on the disk before it takes its
// name, and the folder is after that and after the last removal.
func TestRefusalIsSynced(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir)
	var calls []call
	trace(t, "trace-refuse", dir, "127.0.0.1:1", func(c call) bool {
		calls = append(calls, c)
		return true
	})
	decision := filepath.Join(dir, "consent.json")
	named := slices.IndexFunc(calls, func(c call) bool { return c.target == decision })
	if named < 0 {
		t.Fatal("no file becomes the decision")
	}
	if !synced(calls[:named], calls[named].path) {
		t.Error("the decision takes its name before it is synced")
	}
	if !synced(calls[named:], dir) {
		t.Error("the folder of the decision is not synced after that")
	}
	removed := 0
	for i, c := range calls {
		if c.number == syscall.SYS_UNLINKAT && strings.HasPrefix(c.path, filepath.Join(dir, "spool")) {
			if removed++; !synced(calls[i:], filepath.Join(dir, "spool")) {
				t.Errorf("the folder is not synced after %s is removed", filepath.Base(c.path))
			}
		}
	}
	if removed < 3 {
		t.Errorf("%d files are removed, want the batches and the token", removed)
	}
}

func synced(calls []call, path string) bool {
	return slices.ContainsFunc(calls, func(c call) bool { return c.number == syscall.SYS_FSYNC && c.path == path })
}
