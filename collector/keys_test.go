package collector

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/internal/period"
)

// Keys that should be gone are counted until they are, and a folder that cannot be read is
// no reason to say that there are none.
func TestOverdueKeysAreCounted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	synctest.Test(t, func(t *testing.T) {
		keys, err := pseudonym.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{cfg: Config{Now: time.Now, Logger: slog.New(slog.DiscardHandler)}, keys: keys}
		ctx, stop := context.WithCancel(t.Context())
		go s.pruneKeys(ctx)
		stuck := filepath.Join(dir, "1999-W01.key", "full")
		for _, step := range []struct {
			name string
			do   func() error
			want int
		}{
			{"nothing", func() error { return nil }, 0},
			{"a key that cannot be removed", func() error { return os.MkdirAll(stuck, 0o700) }, 1},
			{"the folder away", func() error { return os.Rename(dir, dir+".away") }, 1},
			{"the folder back", func() error { return os.Rename(dir+".away", dir) }, 1},
			{"the key away", func() error { return os.RemoveAll(filepath.Dir(stuck)) }, 0},
			{"the folder away again", func() error { return os.Rename(dir, dir+".away") }, 1},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if n := keys.Overdue(); n != step.want {
				t.Errorf("%s: %d keys are overdue, want %d", step.name, n, step.want)
			}
		}
		stop()
	})
}

// A collector that runs for weeks destroys a key within an hour of its time, and not
// before.
func TestKeysAreDestroyedOnTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keys, err := pseudonym.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		week := period.Of(time.Now())
		if _, _, err := keys.Hashes(week, []byte("token"), []byte("id")); err != nil {
			t.Fatal(err)
		}
		s := &Server{cfg: Config{Now: time.Now, Logger: slog.New(slog.DiscardHandler)}, keys: keys}
		ctx, stop := context.WithCancel(t.Context())
		time.Sleep(90 * time.Minute) // or the key's time would be a tick of any interval that divides a day
		go s.pruneKeys(ctx)
		key := filepath.Join(dir, week.String()+".key")
		time.Sleep(time.Until(week.End().Add(period.Retention)) - time.Second)
		if _, err := os.Stat(key); err != nil {
			t.Errorf("a second before its time: %v", err)
		}
		time.Sleep(time.Second + time.Hour)
		synctest.Wait()
		if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an hour after its time: %v, want it destroyed", err)
		}
		stop()
	})
}
