package collector_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/slicemetry/slicemetry/collector"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
)

// Many clients at once, whose requests are decoded into memory that is used again:
// what is stored of each is its own, with nothing of another's.
func TestClientsAreKeptApart(t *testing.T) {
	const clients, batches = 64, 20
	r := start(t, func(cfg *collector.Config) { cfg.LimitRate, cfg.MaxStreams = 0, clients })
	client := r.client(t)
	machines, settings, materials := catalog.Values("machine"), catalog.Values("setting"), catalog.Values("material_type")
	want := map[string]int{} // a client's slice, and how often it sends it
	var wg sync.WaitGroup
	for i := range clients {
		// Of different lengths, so that what a longer one leaves behind would show.
		slice := &telemetryv1.Slice{Machine: machines[i], LayerHeightUm: 200, ChangedSettings: settings[i : i+i%5]}
		used := []string{}
		for e := range i % 3 {
			used = append(used, materials[(i+e)%len(materials)])
			slice.Extruders = append(slice.Extruders, &telemetryv1.Extruder{MaterialType: used[e]})
		}
		want[fmt.Sprint(slice.Machine, slice.ChangedSettings, used)] += batches * (1 + i%7)
		token := octets()
		wg.Go(func() {
			for range batches {
				q := request(0)
				q.Batch.UnitToken = token
				for range 1 + i%7 {
					q.Batch.Slices = append(q.Batch.Slices, slice)
				}
				if _, err := client.Upload(t.Context(), q); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	rows, err := dbtest.Connect(t, r.db, localdb.Administrator).Query(t.Context(), "SELECT unit, machine, changed_settings, `extruders.material_type`, count() FROM raw.slices FINAL GROUP BY ALL")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got, units := map[string]int{}, map[uint64]bool{}
	for rows.Next() {
		var unit, n uint64
		var machine string
		var changed, used []string
		if err := rows.Scan(&unit, &machine, &changed, &used, &n); err != nil {
			t.Fatal(err)
		}
		if units[unit] {
			t.Errorf("unit %x has slices of two kinds", unit)
		}
		units[unit] = true
		got[fmt.Sprint(machine, changed, used)] += int(n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(units) != clients {
		t.Errorf("%d units, want %d", len(units), clients)
	}
	for slice, n := range want {
		if got[slice] != n {
			t.Errorf("%s: %d rows, want %d", slice, got[slice], n)
		}
	}
}
