package sink

import (
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/period"
)

// After a slow insert the first of the next block's batches waits for company, but no
// longer than FlushAge.
func TestCompany(t *testing.T) {
	s := &Sink{cfg: Config{FlushAge: 200 * time.Millisecond}}
	for _, tt := range []struct{ took, want time.Duration }{
		{0, 1}, {5, 1}, {80, 10}, {1600, 200}, {1608, 200}, {8000, 200},
	} {
		if got := s.company(insertion{took: tt.took * time.Millisecond}); got != tt.want*time.Millisecond {
			t.Errorf("after an insert of %d ms the first batch waits %s for company, want %d ms", tt.took, got, tt.want)
		}
	}
}

// Who sends a batch of each open week, one after another or all at once, does not make an
// insert of each every few milliseconds: weeks that are over wait for FlushAge.
func TestWeeksThatAreOverWait(t *testing.T) {
	const weeks, rounds = 4, 3 // so many are open, besides this one, on each day of the week
	b := start(t, func(cfg *Config) { cfg.FlushAge = 500 * time.Millisecond })
	var rows []*scrub.Rows
	for week := period.Of(time.Now()).Previous(); len(rows) < weeks; week = week.Previous() {
		rows = append(rows, b.rowsOf(t, week, 1))
	}
	for name, together := range map[string]int{"one after another": 1, "at once": weeks} {
		before, began := b.inserts(), time.Now()
		for time.Since(began) < rounds*b.cfg.FlushAge {
			for at := 0; at < weeks; at += together {
				var commits []*Commit
				for _, r := range rows[at : at+together] {
					commit, err := b.Append(r)
					if err != nil {
						t.Fatal(err)
					}
					commits = append(commits, commit)
				}
				for _, c := range commits {
					if err := c.Wait(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		took := time.Since(began)
		inserts := b.inserts() - before
		// The first of each week need not wait.
		if most := weeks * (int(took/b.cfg.FlushAge) + 1); inserts > most {
			t.Errorf("%s: %d inserts in %s, want at most %d", name, inserts, took, most)
		}
	}
}

func (b *bench) inserts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.outcomes)
}
