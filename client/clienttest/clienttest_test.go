package clienttest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// open opens a client whose user agreed.
func open(t *testing.T, dir, endpoint string, clock *clienttest.Clock) *client.Client {
	t.Helper()
	c, err := client.Open(client.Config{Dir: dir, Endpoint: endpoint, Plaintext: true, PolicyVersion: 1, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	return c
}

// A host's own test: what was recorded arrives, in order, once, whatever the
// script says in between; the clock makes waiting short.
func TestScript(t *testing.T) {
	t.Setenv("CI", "")
	r, clock := clienttest.Start(t), clienttest.NewClock(time.Now())
	r.Script(
		clienttest.Answer{Code: codes.Unavailable, RetryAfter: time.Hour},
		clienttest.Answer{Lose: true},
		clienttest.Answer{Reset: true},
		clienttest.Answer{HalfClose: true},
		clienttest.Answer{Partial: true},
		clienttest.Answer{Delay: 10 * time.Millisecond},
	)
	c := open(t, t.TempDir(), r.Addr(), clock)
	for _, machine := range []string{"ultimaker_s5", "ultimaker_s3"} {
		c.Record(&telemetryv1.Slice{Machine: machine})
	}
	attempts := 0
	for ; attempts < 10 && c.Flush(t.Context()) != nil; attempts++ {
		clock.Add(time.Hour)
	}
	if attempts != 5 || len(r.Requests()) != 6 {
		t.Errorf("%d attempts failed of %d, want the script's 5 of 6", attempts, len(r.Requests()))
	}
	if s := r.Slices(); len(s) != 2 || s[0].Machine != "ultimaker_s5" || s[1].Machine != "ultimaker_s3" {
		t.Errorf("arrived %v", s)
	}
}

// From an answer that breaks off nobody concludes anything: what was sent is kept,
// and sent again.
func TestPartial(t *testing.T) {
	t.Setenv("CI", "")
	dir, clock := t.TempDir(), clienttest.NewClock(time.Now())
	c := open(t, dir, clienttest.Partial(t), clock)
	c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
	if err := c.Flush(t.Context()); err == nil {
		t.Error("half an answer is taken for one")
	}
	c.Close()
	r := clienttest.Start(t)
	c = open(t, dir, r.Addr(), clock)
	clock.Add(48 * time.Hour)
	if err := c.Flush(t.Context()); err != nil || len(r.Slices()) != 1 {
		t.Errorf("%v, %d events arrived, want 1", err, len(r.Slices()))
	}
}

// A black hole has its place in a script too. Whoever asks it waits no longer than
// he wants to.
func TestHang(t *testing.T) {
	t.Setenv("CI", "")
	r, clock := clienttest.Start(t), clienttest.NewClock(time.Now())
	r.Script(clienttest.Answer{Hang: true})
	c := open(t, t.TempDir(), r.Addr(), clock)
	c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush() = %v", err)
	}
	if err := c.Flush(t.Context()); err != nil || len(r.Slices()) != 1 {
		t.Errorf("%v, %d events arrived, want 1", err, len(r.Slices()))
	}
}

// An erasure counts where its receipt was given, however late; and a request that
// makes no sense ends no test.
func TestErase(t *testing.T) {
	t.Setenv("CI", "")
	r, clock := clienttest.Start(t), clienttest.NewClock(time.Now())
	c := open(t, t.TempDir(), r.Addr(), clock)
	c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Script(clienttest.Answer{Partial: true}, clienttest.Answer{Delay: 10 * time.Millisecond})
	if receipts, err := c.Erase(t.Context()); err == nil || len(receipts) != 0 || len(r.Erased()) != 0 {
		t.Errorf("half an answer: %v, %v, %d erased", receipts, err, len(r.Erased()))
	}
	if receipts, err := c.Erase(t.Context()); err != nil || len(receipts) != 1 || len(r.Erased()) != 1 {
		t.Errorf("a late answer: %v, %v, %d erased", receipts, err, len(r.Erased()))
	}
	if _, err := r.Erase(t.Context(), &collectorv1.EraseRequest{UnitToken: []byte("abc")}); err != nil || len(r.Erased()) != 2 {
		t.Errorf("a short token: %v, %d erased", err, len(r.Erased()))
	}
}
