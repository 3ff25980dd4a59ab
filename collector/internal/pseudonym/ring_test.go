package pseudonym

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

var (
	week  = period.Of(time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC))
	token = []byte("0123456789abcdef")
	id    = []byte("fedcba9876543210")
)

func open(t *testing.T, dir string) *Ring {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hashes(t *testing.T, r *Ring, p period.Period, token, id []byte) [2]uint64 {
	t.Helper()
	unit, batch, err := r.Hashes(p, token, id)
	if err != nil {
		t.Fatal(err)
	}
	return [2]uint64{unit, batch}
}

func TestHashesTellApart(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	base := hashes(t, r, week, token, id)
	if again := hashes(t, open(t, dir), week, token, id); again != base {
		t.Errorf("after a restart %x, before %x", again, base)
	}
	if other := hashes(t, r, week.Next(), token, id); other[0] == base[0] || other[1] == base[1] {
		t.Error("two periods share a hash of one token")
	}
	if other := hashes(t, r, week, id, token); other[0] == base[0] || other[1] == base[1] {
		t.Error("two tokens share a hash")
	}
	if other := hashes(t, r, week, token, token); other[0] != base[0] || other[1] == base[1] {
		t.Error("two batches of one unit must share the unit and not the batch")
	}
	if other := hashes(t, r, week, id, id); other[1] == base[1] {
		t.Error("two units share a batch: what one stores would replace what the other did")
	}
	if other := hashes(t, open(t, t.TempDir()), week, token, id); other[0] == base[0] {
		t.Error("another ring gives the same hash: it is not keyed")
	}
}

// Collectors that share a folder and meet a period at the same moment agree.
func TestReplicasAgree(t *testing.T) {
	dir := t.TempDir()
	const replicas = 16
	got := make([][2]uint64, replicas)
	var wg sync.WaitGroup
	for i := range replicas {
		r := open(t, dir)
		wg.Go(func() {
			unit, batch, err := r.Hashes(week, token, id)
			if err != nil {
				t.Error(err)
			}
			got[i] = [2]uint64{unit, batch}
		})
	}
	wg.Wait()
	for _, h := range got {
		if h != got[0] {
			t.Fatalf("replicas disagree: %x", got)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	hashes(t, open(t, dir), week, token, id)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != week.String()+".key" {
		t.Fatalf("the folder holds %v, %v, want one key", entries, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, entries[0].Name()): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestPruneDestroysWhatExpired(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	before := hashes(t, r, week, token, id)
	hashes(t, r, week.Next(), token, id)
	deadline := week.End().Add(period.Retention)
	kept, err := os.Open(r.path(week)) // as a backup's hard link, or a disk's free blocks, would keep it
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()

	if n, err := r.Prune(deadline.Add(-time.Second)); n != 0 || err != nil {
		t.Fatalf("a second early: destroyed %d, %v", n, err)
	}
	if n, err := r.Prune(deadline); n != 1 || err != nil {
		t.Fatalf("on time: destroyed %d, %v, want 1", n, err)
	}
	if _, err := os.Stat(r.path(week)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key is still there: %v", err)
	}
	if left, err := io.ReadAll(kept); err != nil || !bytes.Equal(left, make([]byte, keyBytes)) {
		t.Errorf("what was unlinked still holds %x, %v, want zeros", left, err)
	}
	if _, err := os.Stat(r.path(week.Next())); err != nil {
		t.Errorf("the next period's key is gone: %v", err)
	}
	if after := hashes(t, r, week, token, id); after[0] == before[0] {
		t.Error("a destroyed key still hashes")
	}
}

// A damaged key is an error that names its period, never a new key.
func TestDamagedKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if err := os.WriteFile(r.path(week), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Hashes(week, token, id); !errors.Is(err, ErrDamaged) {
		t.Errorf("Hashes() = %v, want ErrDamaged", err)
	}
}

// What a crash leaves while a key is made does not hinder the next start.
func TestLeftoversAreIgnored(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "new-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	hashes(t, r, week, token, id)
	if _, err := r.Prune(week.Start()); err != nil {
		t.Error(err)
	}
}
