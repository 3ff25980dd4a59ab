//go:build unix

package client_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client/clienttest"
)

// On a full disk what waits is sent, which makes room.
func TestFullDiskSends(t *testing.T) {
	dir, r := smallDisk(t), clienttest.Start(t)
	keep(t, dir, 400)
	fillUp(t, dir)
	clock := clienttest.NewClock(time.Now().Add(48 * time.Hour))
	cfg := config(dir, r.Addr())
	cfg.Now = clock.Now
	for range 24 { // runs of a slicer, an hour apart
		if err := open(t, cfg).UploadIfDue(t.Context()); err != nil {
			t.Error(err)
		}
		clock.Add(time.Hour)
	}
	if n := r.Accepted(); n != 1 {
		t.Errorf("%d connections in a day, want 1", n)
	}
	assertOnce(t, r, 400)
}

// On a disk that can only be read nothing can be noted, and so nothing is sent: not
// by one run of a slicer after another.
func TestReadOnlyDiskSendsNothing(t *testing.T) {
	dir, r := smallDisk(t), clienttest.Start(t)
	keep(t, dir, 400)
	clock := clienttest.NewClock(time.Now().Add(48 * time.Hour))
	cfg := config(dir, r.Addr())
	cfg.Now = clock.Now
	remount(t, dir, "ro")
	for range 24 {
		c := open(t, cfg)
		if err := c.UploadIfDue(t.Context()); err == nil {
			t.Error("UploadIfDue() sends")
		}
		if c.Status().SpoolEvents != 400 {
			t.Errorf("status %+v", c.Status())
		}
		clock.Add(time.Hour)
	}
	remount(t, dir, "rw")
	if n := r.Accepted(); n != 0 {
		t.Errorf("%d connections", n)
	}
	if err := open(t, cfg).UploadIfDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 400)
}

// A disk that takes nothing any more while a batch is sent does not make this
// process send that again.
func TestAcknowledgedIsNotSentAgain(t *testing.T) {
	dir, r := smallDisk(t), clienttest.Start(t)
	r.Script(clienttest.Answer{Delay: 300 * time.Millisecond})
	c := granted(t, config(dir, r.Addr()))
	c.Record(numbered(0))
	flushed := make(chan error)
	go func() { flushed <- c.Flush(t.Context()) }()
	await(t, "it sends", func() bool { return len(r.Requests()) == 1 })
	remount(t, dir, "ro")
	if err := <-flushed; err != nil {
		t.Error(err)
	}
	remount(t, dir, "rw")
	if n := c.Status().SpoolBatches; n != 1 {
		t.Fatalf("%d batches wait, want the one whose end could not be noted", n)
	}
	c.Record(numbered(1))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Requests()); n != 2 {
		t.Errorf("%d requests, want each batch once", n)
	}
	assertOnce(t, r, 2)
}

// keep leaves events in a folder that could not be sent.
func keep(t *testing.T, dir string, events int) {
	t.Helper()
	c := granted(t, config(dir, "127.0.0.1:1"))
	for i := range events {
		c.Record(numbered(i))
	}
	if err := c.Flush(t.Context()); err == nil {
		t.Fatal("a collector that is not there takes events")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func remount(t *testing.T, dir, how string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+how, filepath.Dir(dir)).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}
