package collector_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// A defect in one call ends that call: the others go on, the books balance, and what
// the panic said, which may be a value, is nowhere.
func TestPanicEndsOneCall(t *testing.T) {
	const said = "the-value-in-hand"
	var defect atomic.Bool
	var looks atomic.Int64 // at the clock
	r := start(t, func(cfg *collector.Config) {
		cfg.LimitRate = 0 // or the clock is read sooner, outside of the call
		cfg.Now = func() time.Time {
			if defect.Load() {
				panic(said)
			}
			looks.Add(1)
			return time.Now()
		}
	})
	// limit.New, Run for its log, pruneKeys: from here on only calls read the clock
	for end := time.Now().Add(20 * time.Second); looks.Load() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the clock is read %d times at the start, want 3", looks.Load())
		}
	}
	client := r.client(t)
	refused := make(map[string]error)
	defect.Store(true)
	_, refused["Upload"] = client.Upload(t.Context(), request(3))
	_, refused["GetPolicy"] = client.GetPolicy(t.Context(), &collectorv1.GetPolicyRequest{})
	defect.Store(false)
	for method, err := range refused {
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v, want Internal without the panic's text", method, err)
		}
	}
	if _, err := client.Upload(t.Context(), request(2)); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if n := r.metric(t, "slicemetry_panics_total"); n != "2" {
		t.Errorf("%s panics are counted, want 2", n)
	}
	if n := r.metric(t, "slicemetry_calls"); n != "0" {
		t.Errorf("%s calls are under way, want 0", n)
	}
	if strings.Contains(r.log.String(), said) {
		t.Errorf("the log: %s", r.log)
	}
	r.balanced(t)
}
