package sink

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// Traffic by origin is stored apart from the rows, and only where much came from one prefix:
// of a batch that came alone its part would tell which pseudonym was where.
func TestOriginsAreStoredApart(t *testing.T) {
	b := start(t, nil)
	for from, batches := range map[string]int{"203.0.113.9": fewBatches + 2, "198.51.100.7": fewBatches - 1} {
		b.from = from
		for range batches {
			if err := b.Add(b.rows(t, 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.query(t, "SELECT toString(count()) FROM raw.origins"); got != "0" {
		t.Errorf("%s rows are there with the batches", got)
	}
	b.Close()
	const query = "SELECT toString(groupArray((received = today(), prefix, batches, events))) FROM raw.origins"
	if got, want := b.query(t, query), "[(1,'::ffff:203.0.0.0',12,24)]"; got != want {
		t.Errorf("at the end %s, want %s", got, want)
	}
}

func TestOriginsWait(t *testing.T) {
	began := time.Date(2026, 11, 23, 23, 30, 0, 0, time.UTC)
	prefix := netip.MustParsePrefix("203.0.0.0/16")
	o := &origins{}
	if got := o.take(began, true); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 2 { // what was taken is gone
		began := began.Add(time.Duration(i) * 48 * time.Hour)
		o.add(map[netip.Prefix]origin{prefix: {fewBatches - 1, 50}}, began)
		o.add(map[netip.Prefix]origin{prefix: {1, 7}, netip.MustParsePrefix("2001:db8::/32"): {1, 1}}, began.Add(originsAge-1))
		if got := o.take(began.Add(originsAge-1), false); got != nil {
			t.Errorf("too early: %v", got)
		}
		got := o.take(began.Add(originsAge), false)
		if len(got) != 4 || got[0].Data.Rows() != 1 {
			t.Fatalf("after an hour %v, want one prefix", got)
		}
		day, batches, events := (*got[0].Data.(*proto.ColDate))[0], (*got[2].Data.(*proto.ColUInt64))[0], (*got[3].Data.(*proto.ColUInt64))[0]
		if day != proto.ToDate(began) || batches != fewBatches || events != 57 {
			t.Errorf("%s: %d batches, %d events", day, batches, events)
		}
	}
}

func TestOriginsAreBounded(t *testing.T) {
	o := &origins{}
	block := map[netip.Prefix]origin{}
	for i := range maxOrigins + 100 {
		address := netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i)})
		block[netip.PrefixFrom(address, 32)] = origin{1, 1}
	}
	o.add(block, time.Now())
	o.add(block, time.Now())
	if len(o.sums) != maxOrigins {
		t.Errorf("%d prefixes are kept, want %d", len(o.sums), maxOrigins)
	}
	for prefix, sum := range o.sums {
		if sum.batches != 2 {
			t.Fatalf("%s has %d batches, want 2", prefix, sum.batches)
		}
	}
}
