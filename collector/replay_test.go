package collector_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/collector"
)

// B20: a request that somebody captured and sends again is acknowledged and stored
// once for as long as its week is open, and refused by its date afterwards.
func TestReplay(t *testing.T) {
	began := time.Now()
	var passed atomic.Int64 // since then, by the collector's clock
	r := start(t, func(cfg *collector.Config) {
		cfg.Now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
	})
	captured, err := proto.Marshal(request(3))
	if err != nil {
		t.Fatal(err)
	}
	conn := dialPlain(t, r.Addr())
	send := func() error {
		return conn.Invoke(t.Context(), uploadPath, captured, nil, grpc.ForceCodec(asIs{}))
	}
	for _, tt := range []struct {
		after time.Duration
		want  codes.Code
	}{
		{0, codes.OK}, {time.Second, codes.OK}, {time.Hour, codes.OK}, {3 * 24 * time.Hour, codes.OK}, {30 * 24 * time.Hour, codes.OK},
		{40 * 24 * time.Hour, codes.FailedPrecondition}, {400 * 24 * time.Hour, codes.FailedPrecondition},
	} {
		passed.Store(int64(tt.after))
		if err := send(); status.Code(err) != tt.want {
			t.Errorf("after %s: %v, want %s", tt.after, err, tt.want)
		}
		if n := r.rows(t); n != 3 {
			t.Errorf("after %s: %d rows, want 3", tt.after, n)
		}
	}
	if n := r.metric(t, `slicemetry_calls_refused_total{reason="period_closed"}`); n != "2" {
		t.Errorf("%s calls are counted as of a closed week, want 2", n)
	}
	if strings.Contains(r.log.String(), "ERROR") {
		t.Errorf("the log: %s", r.log)
	}
	r.balanced(t)
}
