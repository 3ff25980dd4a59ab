package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// A refusal in one process ends what another one sends, before it returns, and
// nothing that the other one notes of it stays.
func TestRefusalEndsAnotherProcessesUpload(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	c := granted(t, config(dir, r.Addr()))
	cmd, out := start(t, "flush", dir, r.Addr(), 0, 500)
	await(t, "the other process sends", func() bool { return len(r.Requests()) == 1 })
	begun := time.Now()
	if err := c.Refuse(); err != nil {
		t.Fatal(err)
	}
	// It takes some 30 ms; without a look at the decision the call would take 15 s,
	// and a second is where waiting for the other process ends.
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("Refuse() took %s", took)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("left when it returned: %s", left)
	}
	if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "not sent") {
		t.Errorf("the other process says %q, %v", line, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := len(r.Requests()); n != 1 {
		t.Errorf("%d requests, want no more than the one under way", n)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("left when the other process had ended: %s", left)
	}
}

// Who agrees to less takes back what another client, or the same one, is sending.
func TestAgreeingToLessEndsAnUpload(t *testing.T) {
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprintf("another process %t", other), func(t *testing.T) {
			dir := t.TempDir()
			r := clienttest.Start(t)
			r.Script(clienttest.Answer{Delay: time.Second})
			c := granted(t, config(dir, r.Addr()))
			sender := c
			if other {
				sender = granted(t, config(dir, r.Addr()))
			}
			event := &telemetryv1.Slice{Machine: "ultimaker_s5", Application: "cura"}
			for range 500 {
				sender.Record(event)
			}
			flushed := make(chan error)
			go func() { flushed <- sender.Flush(t.Context()) }()
			await(t, "it sends", func() bool { return len(r.Requests()) == 1 })
			if err := c.Grant(1, "machine"); err != nil {
				t.Fatal(err)
			}
			if err := <-flushed; err == nil {
				t.Error("the upload ended well")
			}
			c.Record(event)
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			requests := r.Requests()
			if len(requests) != 2 || len(requests[1].Batch.Slices) != 1 || !proto.Equal(requests[1].Batch.Slices[0], &telemetryv1.Slice{Machine: "ultimaker_s5"}) {
				t.Errorf("%d requests; what was agreed to before must not be sent", len(requests))
			}
		})
	}
}

// However fast the user changes it, with the host recording and sending from
// many threads: what was recorded before a refusal is never sent after it.
func TestManyChanges(t *testing.T) {
	r := clienttest.Start(t)
	c := open(t, config(t.TempDir(), r.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	var hosts sync.WaitGroup
	for range 2 {
		hosts.Go(func() {
			for ctx.Err() == nil {
				c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
				_ = c.Flush(ctx)
				c.Status()
				_, _ = c.Preview()
			}
		})
	}
	changes := 300
	if testing.Short() {
		changes = 100
	}
	for i := range changes {
		if err := c.Grant(1); err != nil {
			t.Error(err)
		}
		c.Record(numbered(i))
		if i%3 == 0 {
			_ = c.Flush(ctx) // busy or not
		}
		if err := c.Refuse(); err != nil {
			t.Error(err)
		}
		if s := c.Status(); s.SpoolEvents != 0 || s.Consent.State != client.Refused {
			t.Errorf("change %d: %d events are left, %s", i, s.SpoolEvents, s.Consent.State)
		}
	}
	cancel()
	hosts.Wait()
	change := map[string]uint32{} // of each token: a refusal draws another
	for _, q := range r.Requests() {
		for _, s := range q.Batch.Slices {
			if s.Application == "" && s.VersionMajor == 0 && s.VersionMinor == 0 {
				continue // of another thread
			}
			n, token := 100*s.VersionMajor+s.VersionMinor, string(q.Batch.UnitToken)
			if before, known := change[token]; known && before != n {
				t.Errorf("one token sends what was recorded before and after a refusal: %d and %d", before, n)
			}
			change[token] = n
		}
	}
	if len(change) == 0 {
		t.Error("nothing was sent at all")
	}
}

// What is written while another process notes that the user takes it back does not
// stay: that process cannot know of it.
func TestTakenBackWhileItIsWritten(t *testing.T) {
	for name, takeBack := range map[string]func(c *client.Client) error{
		"refused":        func(c *client.Client) error { return c.Refuse() },
		"agreed to less": func(c *client.Client) error { return c.Grant(1, "machine") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			other := granted(t, config(dir, "127.0.0.1:1"))
			cfg := config(dir, "127.0.0.1:1")
			var calls atomic.Int64 // of the clock
			stuck, released := make(chan struct{}), make(chan struct{})
			cfg.Now = func() time.Time {
				if calls.Add(-1) == 0 {
					close(stuck)
					<-released
				}
				return time.Now()
			}
			c := open(t, cfg)
			c.Record(numbered(0))
			await(t, "its goroutines wait", func() bool {
				_, err := os.Lstat(filepath.Join(dir, "schedule.json"))
				return err == nil && c.Status().SpoolEvents == 1
			})
			calls.Store(2) // Record's, and the writer's when it has looked at the decision
			c.Record(numbered(1))
			<-stuck
			if err := takeBack(other); err != nil {
				t.Fatal(err)
			}
			close(released)
			if err := c.Export(io.Discard, client.CSV); err != nil { // waits for the writer
				t.Fatal(err)
			}
			if n := c.Status().SpoolEvents; n != 0 {
				t.Errorf("%d events are kept", n)
			}
			if name == "refused" {
				assertOnlyARefusal(t, dir, time.Now().UTC().Format(time.DateOnly))
			}
		})
	}
}

// A yes or a no that another process notes is followed as soon as this one looks.
func TestAnotherProcessDecides(t *testing.T) {
	for name, look := range map[string]func(c *client.Client) error{
		"Consent":     func(c *client.Client) error { c.Consent(); return nil },
		"Status":      func(c *client.Client) error { c.Status(); return nil },
		"Flush":       func(c *client.Client) error { return c.Flush(t.Context()) },
		"UploadIfDue": func(c *client.Client) error { return c.UploadIfDue(t.Context()) },
		"Preview":     func(c *client.Client) error { _, err := c.Preview(); return err },
	} {
		t.Run(name, func(t *testing.T) {
			r := clienttest.Start(t)
			dir := t.TempDir()
			c, other := open(t, config(dir, r.Addr())), open(t, config(dir, r.Addr()))
			kept := func(i int) int {
				t.Helper()
				c.Record(numbered(i))
				requests, err := c.Preview()
				if err != nil && !errors.Is(err, client.ErrNoConsent) || len(requests) > 1 {
					t.Fatalf("%d requests, %v", len(requests), err)
				}
				if len(requests) == 0 {
					return 0
				}
				return len(requests[0].Message.Batch.Slices)
			}
			for change := range 2 {
				if err := other.Grant(1); err != nil {
					t.Fatal(err)
				}
				if err := look(c); err != nil {
					t.Errorf("after yes %d: %v", change+1, err)
				}
				if n := kept(change); n != 1 {
					t.Errorf("after yes %d: %d events are kept, want 1", change+1, n)
				}
				if err := other.Refuse(); err != nil {
					t.Fatal(err)
				}
				if err := look(c); err != nil && !errors.Is(err, client.ErrNoConsent) {
					t.Errorf("after no %d: %v", change+1, err)
				}
				if n := kept(9); n != 0 {
					t.Errorf("after no %d: %d events are kept", change+1, n)
				}
			}
		})
	}
}

// What a client of long ago kept is forgotten on time, also where nobody may
// record any more.
func TestForgottenWithoutConsent(t *testing.T) {
	r := clienttest.Start(t)
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(1))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.PolicyVersion = 2
	open(t, cfg)
	if files := spoolFiles(t, cfg.Dir); len(files) == 0 {
		t.Error("a new policy alone removes what was kept")
	}
	clock.Add(45 * 24 * time.Hour)
	if c := open(t, cfg); c.Consent().State != client.Unknown {
		t.Errorf("%s", c.Consent().State)
	}
	if files := spoolFiles(t, cfg.Dir); len(files) != 0 {
		t.Errorf("45 days later there are %s", files)
	}
}

// spoolFiles lists the spool's files but for locks.
func spoolFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

// await waits until something is true.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for tries := 0; !f(); tries++ {
		if tries > 2000 {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A refusal does not wait for an erasure that the collector does not answer.
func TestRefusalEndsAnErasure(t *testing.T) {
	r := clienttest.Start(t)
	c, _ := weeks(t, r, 3, 1, true)
	r.Script(clienttest.Answer{Hang: true}, clienttest.Answer{Hang: true}, clienttest.Answer{Hang: true})
	before := r.Accepted()
	erased := make(chan error)
	go func() {
		_, err := c.Erase(t.Context())
		erased <- err
	}()
	await(t, "the erasure is under way", func() bool { return r.Accepted() > before })
	begun := time.Now()
	if err := c.Refuse(); err != nil || time.Since(begun) > 5*time.Second { // one answer is waited for 15 s
		t.Errorf("Refuse() = %v after %s", err, time.Since(begun))
	}
	if err := <-erased; err == nil {
		t.Error("the erasure ended well")
	}
}
