package collector_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

// After the receipt nobody reads a row of that unit, whenever it was stored, and
// everybody else's are there.
func TestErasedIsNotReadable(t *testing.T) {
	r := start(t, nil)
	client := r.client(t)
	mine, another := request(5), request(3)
	for _, q := range []*collectorv1.UploadRequest{mine, another} {
		if _, err := client.Upload(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	readable := func() (n uint64) {
		t.Helper()
		reader := dbtest.Connect(t, r.db, migrations.Aggregator)
		if err := reader.QueryRow(t.Context(), "SELECT count() FROM raw.slices FINAL").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := readable(); n != 8 {
		t.Fatalf("%d rows before, want 8", n)
	}
	wish := &collectorv1.EraseRequest{UnitToken: mine.Batch.UnitToken, Period: mine.Batch.Period}
	first, err := client.Erase(t.Context(), wish)
	if err != nil || len(first.Receipt) != 16 {
		t.Fatalf("Erase() = %v, %v", first, err)
	}
	if goneBy := time.Unix(int64(first.GoneBy)*86400, 0); goneBy.After(time.Now().Add(7*24*time.Hour + period.Retention)) {
		t.Errorf("gone by %s", goneBy)
	}
	if n := readable(); n != 3 {
		t.Errorf("%d rows after, want the other's 3", n)
	}
	// What was under way arrives later, and is not readable either.
	late := request(2)
	late.Batch.UnitToken, late.Batch.Period = mine.Batch.UnitToken, mine.Batch.Period // of that week, though the next may have begun
	if _, err := client.Upload(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if n := readable(); n != 3 {
		t.Errorf("%d rows after a late batch, want 3", n)
	}
	again, err := client.Erase(t.Context(), wish)
	if err != nil || !bytes.Equal(again.Receipt, first.Receipt) {
		t.Errorf("asked again: %v, %v, want the same receipt", again, err)
	}
	if got := r.metric(t, `slicemetry_erasures_total{outcome="erased"}`); got != "2" {
		t.Errorf("%s erasures counted, want 2", got)
	}
	r.balanced(t)
}

func TestEraseRefusals(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, nil)
	client := r.client(t)
	token, week := octets(), uint32(period.Of(time.Now()))
	for name, wish := range map[string]*collectorv1.EraseRequest{
		"no token": {Period: week}, "no week": {UnitToken: token, Period: week + 1},
	} {
		if _, err := client.Erase(t.Context(), wish); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Of a week that is over for 30 days there is nothing any more.
	reply, err := client.Erase(t.Context(), &collectorv1.EraseRequest{UnitToken: token, Period: week - 70})
	if err != nil || len(reply.Receipt) != 0 || reply.GoneBy > uint32(time.Now().Unix()/86400) {
		t.Errorf("a week long ago: %v, %v", reply, err)
	}
	if err := r.db.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err = client.Erase(t.Context(), &collectorv1.EraseRequest{UnitToken: token, Period: week})
	if status.Code(err) != codes.Unavailable || retryDelay(err) == 0 {
		t.Errorf("without a database: %v, want Unavailable and when to come back", err)
	}
	if err := r.db.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := dbtest.Connect(t, r.db, localdb.Administrator).QueryRow(t.Context(), "SELECT count() FROM raw.erasures").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d erasures are stored, %v", n, err)
	}
}

// A collector that starts destroys the keys whose time passed while none ran.
func TestKeysAreDestroyedAtStart(t *testing.T) {
	var key string
	start(t, func(cfg *collector.Config) {
		key = filepath.Join(cfg.KeyDir, "2020-W01.key")
		if err := os.WriteFile(key, octets(), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the key of a week of 2020 is still there")
		}
	}
}
