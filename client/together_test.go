package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// A refusal holds also where another process is about to finish a narrower grant,
// which removes what the user takes back first.
func TestRefusalWhileAnotherNarrows(t *testing.T) {
	for i := range 20 {
		dir := t.TempDir()
		narrows, refuses := granted(t, config(dir, "127.0.0.1:1")), open(t, config(dir, "127.0.0.1:1"))
		narrows.Record(numbered(1))
		if _, err := narrows.Preview(); err != nil {
			t.Fatal(err)
		}
		narrowed := make(chan error)
		go func() { narrowed <- narrows.Grant(1, "machine") }()
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			decision, _ := os.ReadFile(filepath.Join(dir, "consent.json"))
			if strings.Contains(string(decision), "takes_back") {
				break
			}
		}
		time.Sleep(time.Duration(i%10) * 200 * time.Microsecond)
		if err := refuses.Refuse(); err != nil {
			t.Fatal(err)
		}
		if err := <-narrowed; err != nil {
			t.Fatal(err)
		}
		if got := refuses.Consent().State; got != client.Refused {
			t.Fatalf("round %d: after the refusal it is %s", i+1, got)
		}
	}
}

// A refusal removes also what another process gives its last name meanwhile.
func TestRefusalWhileAnotherSeals(t *testing.T) {
	for i := range 20 {
		dir := t.TempDir()
		refuses := granted(t, config(dir, "127.0.0.1:1"))
		for range 100 {
			refuses.Record(numbered(1))
			if _, err := refuses.Preview(); err != nil { // which seals
				t.Fatal(err)
			}
		}
		seals := open(t, config(dir, "127.0.0.1:1"))
		seals.Record(numbered(2))
		time.Sleep(10 * time.Millisecond) // for it to be stored
		refused := make(chan error)
		go func() { refused <- refuses.Refuse() }()
		for end := time.Now().Add(time.Second); time.Now().Before(end); { // until the removal has begun
			if files, _ := os.ReadDir(filepath.Join(dir, "spool")); len(files) < 100 {
				break
			}
		}
		time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
		_ = seals.Close() // its folder is being removed
		if err := <-refused; err != nil {
			t.Fatal(err)
		}
		if left := leftovers(t, dir); left != "" {
			t.Fatalf("round %d: %s is left", i+1, left)
		}
	}
}

// An erasure that another process's refusal ends leaves nothing either.
func TestRefusalWhileAnotherErases(t *testing.T) {
	dir, r := t.TempDir(), clienttest.Start(t)
	erases := granted(t, config(dir, r.Addr()))
	erases.Record(numbered(1))
	if err := erases.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses := open(t, config(dir, r.Addr()))
	r.Script(clienttest.Answer{Delay: 1500 * time.Millisecond}) // longer than a refusal waits for another process
	erased := make(chan error)
	go func() { _, err := erases.Erase(context.Background()); erased <- err }()
	time.Sleep(100 * time.Millisecond)
	if err := refuses.Refuse(); err != nil {
		t.Fatal(err)
	}
	<-erased // with an error or not: it was asked twice
	if err := erases.Close(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("%s is left", left)
	}
}

// An upload that was due while there was nothing to send waits for another time:
// sent as soon as something is recorded, it would tell when that was.
func TestIdleDayTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir(), "127.0.0.1:1")
		c := granted(t, cfg)
		due(t, cfg, time.Now().Add(time.Hour))
		time.Sleep(50 * time.Hour)
		if next := c.Status().NextUpload; next.Before(time.Now()) {
			t.Errorf("the next upload was due %s ago", time.Since(next))
		}
	})
}

// A client that cannot connect keeps its events together, for as long as it likes.
func TestOfflineSealsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir(), "nowhere")
		c, err := client.Open(cfg)
		if err == nil {
			t.Fatal("an endpoint without a port is taken")
		}
		defer c.Close()
		if err := c.Grant(1); err != nil {
			t.Fatal(err)
		}
		due(t, cfg, time.Now().Add(time.Hour))
		for range 8 {
			c.Record(numbered(1))
			time.Sleep(3 * time.Hour)
		}
		if s := c.Status(); s.SpoolBatches != 0 || s.SpoolEvents != 8 {
			t.Errorf("%d batches sealed, %d events kept, want 0 and 8", s.SpoolBatches, s.SpoolEvents)
		}
	})
}

// What a host is told is how long it waits, whatever a collector asks for.
func TestAskedForTooLong(t *testing.T) {
	r := clienttest.Start(t)
	c := granted(t, config(t.TempDir(), r.Addr()))
	c.Record(numbered(1))
	r.Script(clienttest.Answer{Code: codes.Unavailable, RetryAfter: 1000 * 24 * time.Hour})
	var wait *client.RetryError
	if err := c.Flush(t.Context()); !errors.As(err, &wait) || wait.After > 7*24*time.Hour {
		t.Errorf("Flush() = %v, want a wait of a week at most", err)
	}
}

// A no that cannot be kept is an error: the user would be asked again.
func TestRefusalThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Symlink(filepath.Join(filepath.Dir(dir), "gone", "below"), dir); err != nil { // nothing can be made there, and nothing is there
		t.Fatal(err)
	}
	c := open(t, config(dir, "127.0.0.1:1"))
	if err := c.Refuse(); err == nil {
		t.Error("Refuse() in a folder that cannot be made is nil")
	}
}
