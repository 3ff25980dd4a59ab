//go:build unix

package client_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/slicemetry/slicemetry/client/clienttest"
)

// A process that the system has stopped keeps nobody from refusing, and sends
// nothing when it goes on.
func TestRefusalDoesNotWaitForEver(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	c := granted(t, config(dir, r.Addr()))
	cmd, out := start(t, "flush", dir, r.Addr(), 0, 500)
	await(t, "the other process sends", func() bool { return len(r.Requests()) == 1 })
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := c.Refuse(); err != nil || leftovers(t, dir) != "" {
		t.Errorf("Refuse() = %v, left %s", err, leftovers(t, dir))
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "not sent") {
		t.Errorf("the other process says %q, %v", line, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := len(r.Requests()); n != 1 || leftovers(t, dir) != "" {
		t.Errorf("%d requests, left %s", n, leftovers(t, dir))
	}
}
