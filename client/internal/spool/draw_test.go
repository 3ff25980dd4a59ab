package spool

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

// All processes of a folder have the same draw of a week, and it goes with a purge.
// One that a crash cut off is not drawn again.
func TestDraw(t *testing.T) {
	dir, now := filepath.Join(t.TempDir(), "spool"), time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)
	week := period.Of(now)
	clock := func() time.Time { return now }
	a, b := Open(dir, clock), Open(dir, clock)
	first, err := a.Draw(week)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Draw(week); err != nil || again != first {
		t.Errorf("another process draws %x, %v, want %x", again, err, first)
	}
	if other, err := a.Draw(week.Next()); err != nil || other == first {
		t.Errorf("the next week draws %x, %v", other, err)
	}
	if err := a.Purge(); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Draw(week); err != nil || again == first {
		t.Errorf("after a purge it draws %x, %v", again, err)
	}
	path := filepath.Join(dir, week.String()+drawSuffix)
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if draw, err := a.Draw(week); err == nil {
		t.Errorf("a file that was cut off is %x", draw)
	}
	now = week.End().Add(period.Retention)
	a.Expire()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("30 days after its week: %v", err)
	}
}
