package pseudonym

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

const crashDir = "PSEUDONYM_TEST_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		makeKeys(dir)
	}
	os.Exit(m.Run())
}

// makeKeys makes one key after another until it is killed. It says a hash of each.
func makeKeys(dir string) {
	r, err := Open(dir)
	for p := week; err == nil; p = p.Next() {
		var unit uint64
		if unit, _, err = r.Hashes(p, token, id); err == nil {
			fmt.Println(p, unit)
		}
	}
	fmt.Println(err)
}

// A collector that is killed while it makes a key leaves nothing that stays for ever; and
// a key by which anything was hashed is that week's key from then on.
func TestKilledWhileAKeyIsMade(t *testing.T) {
	const rounds = 40
	half, linked := 0, 0
	for range rounds {
		dir := t.TempDir()
		said := maker(t, dir, rand.IntN(20))
		left, err := filepath.Glob(filepath.Join(dir, "new-*"))
		if err != nil || len(left) > 1 {
			t.Fatalf("%q are left, %v", left, err)
		}
		for _, path := range left {
			if isLinked(t, dir, path) {
				linked++
			} else {
				half++
			}
			age(t, path)
		}
		r := open(t, dir)
		if n, err := r.Prune(week.Start()); n != 0 || err != nil {
			t.Errorf("Prune() = %d, %v", n, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), extension) {
				t.Errorf("%s is still there", e.Name())
			}
		}
		for p, unit := range said {
			if now := hashes(t, r, p, token, id); now[0] != unit {
				t.Errorf("the key of %s is another after the crash", p)
			}
		}
	}
	t.Logf("of %d crashes %d left half a key, %d one with two names", rounds, half, linked)
}

// maker makes keys in another process, kills it after the nth, and returns what it said.
func maker(t *testing.T, dir string, n int) map[period.Period]uint64 {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[period.Period]uint64{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, number, _ := strings.Cut(lines.Text(), " ")
		p, err := period.Parse(name)
		var unit uint64
		if _, scan := fmt.Sscan(number, &unit); err != nil || scan != nil {
			t.Fatalf("it said %q", lines.Text())
		}
		said[p] = unit
		if len(said) == n+1 {
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // into the next one
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = process.Wait() // it was killed
	return said
}

// isLinked reports whether a file is a week's key too.
func isLinked(t *testing.T, dir, path string) bool {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if other, err := os.Stat(key); err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// age makes a file as old as if its maker had died two hours before the week's start.
func age(t *testing.T, path string) {
	t.Helper()
	then := week.Start().Add(-2 * time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

// What a crash left is removed an hour later; what another collector is just making is not,
// and a key that the crash left with two names keeps its octets under the other.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	before := hashes(t, r, week, token, id)
	write := func(name string, octets []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		age(t, path)
		return path
	}
	write("new-1", nil)
	write("new-2", []byte("half"))
	write("new-3", bytes.Repeat([]byte("k"), keyBytes))
	fresh := write("new-5", nil)
	if err := os.Chtimes(fresh, week.Start(), week.Start()); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(r.path(week), filepath.Join(dir, "new-4")); err != nil {
		t.Fatal(err)
	}
	age(t, r.path(week))
	if n, err := r.Prune(week.Start().Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("Prune() = %d, %v", n, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "new-*"))
	if err != nil || len(left) != 1 || left[0] != fresh {
		t.Errorf("%q are left, %v, want what is being made", left, err)
	}
	if after := hashes(t, open(t, dir), week, token, id); after != before {
		t.Error("the key is another one")
	}
}

// Collectors that share a folder destroy its keys at the same moment, and none finds fault
// with what another did first.
func TestReplicasPruneTogether(t *testing.T) {
	dir := t.TempDir()
	const rounds, keys, replicas = 100, 5, 3
	var rings []*Ring
	for range replicas {
		rings = append(rings, open(t, dir))
	}
	for range rounds {
		p := week
		for range keys {
			if err := os.WriteFile(rings[0].path(p), make([]byte, keyBytes), 0o600); err != nil {
				t.Fatal(err)
			}
			p = p.Next()
		}
		leftover := filepath.Join(dir, "new-1")
		if err := os.WriteFile(leftover, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		age(t, leftover)
		var wg sync.WaitGroup
		for _, r := range rings {
			wg.Go(func() {
				if _, err := r.Prune(p.End().Add(period.Retention)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Fatalf("%v are left, %v", entries, err)
		}
	}
}

// What is half destroyed is no key: everybody knows it.
func TestZeroesAreNoKey(t *testing.T) {
	r := open(t, t.TempDir())
	if err := os.WriteFile(r.path(week), make([]byte, keyBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Ready(week); !errors.Is(err, ErrDamaged) {
		t.Errorf("zeroes: %v, want ErrDamaged", err)
	}
}
