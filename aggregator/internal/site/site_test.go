package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shown writes made-up content and returns its folder.
func shown(t *testing.T, weeks int) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("SLICEMETRY_SITE"); keep != "" { // to look at it
		dir = filepath.Join(keep, t.Name())
	}
	if err := Write(dir, madeUp(t, weeks)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What is missing is said, with the reason.
func TestMissing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(shown(t, 10), "missing.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<a href="metric/prime_tower_use.html">Prime tower</a></th><td>2026-W46</td>`, // withheld
		`<a href="metric/wall_count.html">Wall count</a></th><td>2026-W37, 2026-W38`,  // never published
		"of low confidence", "3.1 % ± 0.8 %", "counted as “custom”",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}
