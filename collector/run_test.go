package collector_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A collector whose listener fails says so and ends, with nothing of it left; the call
// that is under way is answered before.
func TestListenerFails(t *testing.T) {
	r := start(t, nil)
	upload := framed(t, request(1))
	c := dialRaw(t, r.Addr())
	if err := errors.Join(c.open(1, uploadPath), c.WriteData(1, false, upload[:3])); err != nil {
		t.Fatal(err)
	}
	if got := c.told(1); got != "" {
		t.Fatalf("a call without its body is answered %q", got)
	}
	r.reaches(t, "slicemetry_calls", "1")
	if err := r.CloseListener(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("it ended while a call was under way: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	r.becomes(t, "draining")
	if err := c.WriteData(1, true, upload[3:]); err != nil {
		t.Fatal(err)
	}
	if got := c.answer(1); got != "0" {
		t.Errorf("the call under way is answered %s, want 0", got)
	}
	c.Close()
	if err := <-r.ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ended with %v, want %v", err, net.ErrClosed)
	}
	stacks := make([]byte, 1<<20)
	left := string(stacks[:runtime.Stack(stacks, true)])
	if strings.Contains(left, "collector.(*Server).Run") || strings.Contains(left, "collector/internal/") {
		t.Errorf("something of it is left:\n%s", left)
	}
}
