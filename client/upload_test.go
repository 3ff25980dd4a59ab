package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// Who comes while an upload hangs waits no longer than its context, and who only
// looks does not wait at all.
func TestNobodyWaitsForAnUpload(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	c := granted(t, config(t.TempDir(), r.Addr()))
	c.Record(numbered(0))
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan error, 1)
	go func() { flushed <- c.Flush(ctx); close(flushed) }()
	await(t, "it sends", func() bool { return len(r.Requests()) == 1 })
	for name, call := range map[string]func(ctx context.Context) error{
		"Flush": c.Flush, "UploadIfDue": c.UploadIfDue,
		"Erase": func(ctx context.Context) error { _, err := c.Erase(ctx); return err },
	} {
		short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := call(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s() = %v", name, err)
		}
		end()
	}
	if _, err := c.Preview(); !errors.Is(err, client.ErrBusy) {
		t.Errorf("Preview() = %v, want ErrBusy", err)
	}
	select {
	case err := <-flushed:
		t.Errorf("they waited until the upload ended: %v", err)
	default:
	}
	cancel()
	<-flushed
}

// Close ends what other threads send: they do not wait for an answer.
func TestCloseEndsAnUpload(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	c := granted(t, config(t.TempDir(), r.Addr()))
	c.Record(numbered(0))
	flushed := make(chan error, 1)
	go func() { flushed <- c.Flush(t.Context()) }()
	await(t, "it sends", func() bool { return len(r.Requests()) == 1 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-flushed:
		if err == nil {
			t.Error("the upload ended well")
		}
	case <-time.After(10 * time.Second): // an answer is waited for 15 s
		t.Error("the upload goes on after Close")
	}
}

// An attempt that nobody sees the end of counts: the next process waits.
func TestUnfinishedAttempt(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	clock := clienttest.NewClock(time.Now())
	cfg := config(t.TempDir(), r.Addr())
	cfg.Now = clock.Now
	c := granted(t, cfg)
	c.Record(numbered(0))
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan error, 1)
	go func() { flushed <- c.Flush(ctx) }()
	await(t, "it sends", func() bool { return len(r.Requests()) == 1 })
	cancel()
	if err := <-flushed; !errors.Is(err, context.Canceled) {
		t.Errorf("Flush() = %v", err)
	}
	next := open(t, cfg)
	if err := next.UploadIfDue(t.Context()); err != nil || len(r.Requests()) != 1 {
		t.Errorf("UploadIfDue() = %v after %d requests", err, len(r.Requests()))
	}
	if s := next.Status(); s.LastError != "unfinished" {
		t.Errorf("the last error is %q", s.LastError)
	}
	clock.Add(time.Hour)
	if err := next.UploadIfDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// What cannot be noted is not sent: every start of a slicer would send the same
// batch again.
func TestUnnotedIsNotSent(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	c := granted(t, config(dir, r.Addr()))
	c.Record(numbered(0))
	obstacle := filepath.Join(dir, "schedule.json")
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(obstacle, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Flush(t.Context()); err == nil {
			t.Error("Flush() sends without a note of it")
		}
	}
	if n := r.Accepted(); n != 0 {
		t.Errorf("%d connections", n)
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}

// Preview begins with what the next connection carries, which is one week.
func TestPreviewBeginsWithTheNextConnection(t *testing.T) {
	r := clienttest.Start(t)
	c, clock := weeks(t, r, 2, 250, false)
	preview, err := c.Preview()
	if err != nil || len(preview) != 4 {
		t.Fatalf("%d requests wait, %v, want 4", len(preview), err)
	}
	for i, want := range []string{"2026-W45", "2026-W45", "2026-W46", "2026-W46"} {
		if preview[i].Week != want {
			t.Errorf("request %d is of week %s, want %s", i, preview[i].Week, want)
		}
	}
	for connection, n := 1, 0; n < len(preview); connection++ {
		clock.Add(48 * time.Hour)
		if err := c.UploadIfDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, request := range r.Requests()[n:] {
			if !proto.Equal(request, preview[n].Message) || preview[n].Week != preview[n/2*2].Week {
				t.Errorf("request %d is not what the preview shows", n)
			}
			n++
		}
		if n != 2*connection {
			t.Fatalf("%d requests after %d connections", n, connection)
		}
	}
}

// A batch that fails each time, for a reason of its own, does not keep the others
// from being sent, of its week or of another.
func TestOneBatchDoesNotStarveTheOthers(t *testing.T) {
	r := clienttest.Start(t)
	c, clock := weeks(t, r, 2, 250, false) // two batches in each of two weeks
	failing := clienttest.Answer{Code: codes.Internal}
	for _, script := range [][]clienttest.Answer{
		{failing},     // the first batch
		{{}, failing}, // the second one is taken, and the first is sent again
		{{}, {}},      // another week's turn
	} {
		clock.Add(48 * time.Hour)
		r.Script(script...)
		_ = c.UploadIfDue(t.Context())
	}
	if taken, waiting := len(r.Slices()), c.Status().SpoolBatches; taken != 300 || waiting != 1 {
		t.Errorf("%d slices are taken and %d batches wait, want 300 and 1", taken, waiting)
	}
	clock.Add(48 * time.Hour)
	if err := c.UploadIfDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 500)
}

// What an older version noted of its collector does not keep a newer one waiting.
func TestUpdateDoesNotWait(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Code: codes.Unimplemented})
	cfg := config(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	c.Record(numbered(0))
	var retry *client.RetryError
	for range 2 {
		if err := c.Flush(t.Context()); !errors.As(err, &retry) || retry.After < 6*24*time.Hour {
			t.Errorf("Flush() = %v, want a week's wait", err)
		}
	}
	path := filepath.Join(cfg.Dir, "schedule.json")
	noted := map[string]any{}
	readJSON(t, path, &noted)
	noted["protocol"] = 0 // as the version before this one would write it
	writeJSON(t, path, noted)
	if err := open(t, cfg).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
}
