package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// without does something while the folder of keys is away.
func without(t *testing.T, folder string, do func()) {
	t.Helper()
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	do()
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
}

// A folder of keys that is away when a week's key is due is told of once, however many
// call: in the log and by readiness. Clients keep what they have and hear when to come again.
func TestFolderOfKeysAway(t *testing.T) {
	var folder string
	r := start(t, func(cfg *collector.Config) { folder = cfg.KeyDir })
	client := r.client(t)
	const calls = 50
	without(t, folder, func() {
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				q := request(3)
				_, upload := client.Upload(t.Context(), q)
				_, erase := client.Erase(t.Context(), &collectorv1.EraseRequest{UnitToken: q.Batch.UnitToken, Period: q.Batch.Period})
				for _, err := range []error{upload, erase} {
					if status.Code(err) != codes.Unavailable || retryDelay(err) == 0 || status.Convert(err).Message() != "the collector has no key for that week now" {
						t.Errorf("%v, want Unavailable in fixed words, and when to come again", err)
					}
				}
			})
		}
		wg.Wait()
		if said := r.get(t, "/readyz"); said != "no key for this week\n" {
			t.Errorf("readyz says %q without the folder", said)
		}
		r.balanced(t)
	})
	if failed, erasures := r.metric(t, "slicemetry_events_failed_total"), r.metric(t, `slicemetry_erasures_total{outcome="failed"}`); failed != "150" || erasures != "50" {
		t.Errorf("%s events and %s erasures are booked as failed, want 150 and 50", failed, erasures)
	}
	if said := r.get(t, "/readyz"); said != "ready\n" {
		t.Errorf("readyz says %q with the folder back", said)
	}
	for range 3 {
		if _, err := client.Upload(t.Context(), request(3)); err != nil {
			t.Errorf("with the folder back: %v", err)
		}
	}
	r.says(t, "no pseudonym", 1)
	r.says(t, "pseudonyms work again", 1)
}

// A key that cannot be read stops its own week: the log tells of it once, though others
// come and go, and the collector is ready for them.
func TestOneKeyIsUnreadable(t *testing.T) {
	old := period.Of(time.Now()).Previous()
	var key string
	r := start(t, func(cfg *collector.Config) {
		key = filepath.Join(cfg.KeyDir, old.String()+".key")
		if err := os.Mkdir(key, 0o700); err != nil { // which root cannot read either
			t.Fatal(err)
		}
	})
	client := r.client(t)
	late := request(1)
	late.Batch.Period = uint32(old)
	for range 5 {
		if _, err := client.Upload(t.Context(), late); status.Code(err) != codes.Unavailable || retryDelay(err) == 0 {
			t.Errorf("the week without a key: %v, want Unavailable and when to come again", err)
		}
		if _, err := client.Upload(t.Context(), request(1)); err != nil {
			t.Errorf("this week: %v", err)
		}
		if said := r.get(t, "/readyz"); said != "ready\n" {
			t.Errorf("readyz says %q", said)
		}
	}
	r.says(t, "no pseudonym", 1)
	r.says(t, "pseudonyms work again", 0)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.Upload(t.Context(), late); err != nil {
			t.Errorf("without what was in the way: %v", err)
		}
	}
	r.says(t, "pseudonyms work again", 1)
}

// A key that cannot be destroyed when its time is over is a number that is 0 otherwise.
func TestKeyIsNotDestroyed(t *testing.T) {
	if n := start(t, nil).metric(t, "slicemetry_keys_overdue"); n != "0" {
		t.Errorf("%s keys are overdue in a new folder, want 0", n)
	}
	r := start(t, func(cfg *collector.Config) {
		for _, key := range []string{"2020-W01.key", "2020-W02.key"} {
			if err := os.MkdirAll(filepath.Join(cfg.KeyDir, key, "full"), 0o700); err != nil { // which root cannot remove either
				t.Fatal(err)
			}
		}
	})
	r.reaches(t, "slicemetry_keys_overdue", "2")
	r.says(t, "keys not destroyed", 1)
}

// says checks how often the log says something.
func (r *running) says(t *testing.T, line string, times int) {
	t.Helper()
	if n := strings.Count(r.log.String(), line); n != times {
		t.Errorf("the log says %q %d times, want %d:\n%s", line, n, times, r.log)
	}
}
