package collector_test

import (
	"testing"

	"github.com/slicemetry/slicemetry/collector"
)

// What a call that is refused leaves behind is gone with it, however long its client
// said that it would wait: its address is in there, too.
func TestRefusedCallsLeaveNothing(t *testing.T) {
	for name, call := range map[string]struct {
		path string
		more []string
		told string
	}{
		"limited":        {uploadPath, nil, "8"},
		"unknown method": {"/slicemetry.collector.v1.Collector/Nothing", nil, "12"},
		"malformed path": {"Nothing", nil, "12"},
		"unknown codec":  {uploadPath, []string{"content-type", "application/grpc+json"}, "12"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(cfg *collector.Config) { cfg.LimitRate, cfg.LimitBurst = 1e-9, 1 })
			if _, err := r.client(t).Upload(t.Context(), request(1)); err != nil { // which uses it up
				t.Fatal(err)
			}
			const calls = 20_000
			flood := func(n int) {
				c := dialRaw(t, r.Addr())
				for i := range n {
					stream := uint32(2*i + 1)
					if err := c.open(stream, call.path, append([]string{"grpc-timeout", "99999999H"}, call.more...)...); err != nil {
						t.Fatal(err)
					}
					if told := c.answer(stream); told != call.told {
						t.Fatalf("call %d: %s, want %s", i, told, call.told)
					}
				}
				c.Close()
				r.reaches(t, "slicemetry_connections", "1")
			}
			flood(100)
			before := memory().HeapObjects
			flood(calls)
			if kept := int64(memory().HeapObjects) - int64(before); kept > calls/4 {
				t.Errorf("%d refused calls left %d objects", calls, kept)
			}
		})
	}
}
