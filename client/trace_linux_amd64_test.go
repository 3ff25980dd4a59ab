package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/client"
)

// call is one system call at its entry.
type call struct {
	number int
	path   string // of calls that take one, or a file that has one
	target string // of a renaming
	flags  int    // of openat
}

// changes reports whether a call changes files.
func (c call) changes() bool {
	switch c.number {
	case syscall.SYS_OPENAT:
		return c.flags&(syscall.O_CREAT|syscall.O_WRONLY|syscall.O_RDWR|syscall.O_TRUNC) != 0
	case syscall.SYS_UNLINKAT, syscall.SYS_RENAMEAT, sysRenameat2, syscall.SYS_RENAME, syscall.SYS_UNLINK, syscall.SYS_MKDIRAT,
		syscall.SYS_MKDIR, syscall.SYS_FSYNC, syscall.SYS_FTRUNCATE, syscall.SYS_LINKAT, syscall.SYS_FLOCK:
		return true
	}
	return false
}

const sysRenameat2 = 316

// network reports whether a call concerns sockets.
func (c call) network() bool {
	return slices.Contains([]int{syscall.SYS_SOCKET, syscall.SYS_CONNECT, syscall.SYS_SENDTO, syscall.SYS_SENDMSG, syscall.SYS_BIND, syscall.SYS_LISTEN}, c.number)
}

// trace runs this binary as a child with an order and calls f at the entry of
// each system call between the marks; where f returns false the child gets a
// kill -9 before the call is carried out. It reports whether the child was killed.
func trace(t *testing.T, order, dir, endpoint string, f func(call) bool) (killed bool) {
	t.Helper()
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], dir, endpoint, "0", "0")
	cmd.Env = append(os.Environ(), orderVariable+"="+order)
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test traces a process of its own, which the system does not allow: %v", err)
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	const exitKill = 1 << 20
	if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|exitKill); err != nil {
		t.Fatal(err)
	}
	resume(t, pid, 0)
	inside, entered := false, map[int]bool{}
	for {
		tid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case status.Exited() || status.Signaled():
			if tid == pid {
				return killed
			}
			continue
		case status.StopSignal() != syscall.SIGTRAP|0x80: // a signal, or a new thread
			signal := int(status.StopSignal())
			if signal == int(syscall.SIGTRAP) || signal == int(syscall.SIGSTOP) {
				signal = 0
			}
			resume(t, tid, signal)
			continue
		}
		if entered[tid] = !entered[tid]; entered[tid] && !killed {
			c := entry(tid)
			switch {
			case c.path == traceBegin:
				inside = true
			case c.path == traceEnd:
				inside = false
			case inside && !f(c):
				killed = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
				continue
			}
		}
		resume(t, tid, 0)
	}
}

func resume(t *testing.T, tid, signal int) {
	if err := syscall.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

// entry reads the call that a stopped thread is about to make.
func entry(tid int) call {
	var r syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &r) != nil {
		return call{number: -1}
	}
	c := call{number: int(r.Orig_rax)}
	switch c.number {
	case syscall.SYS_CHDIR:
		c.path = text(tid, r.Rdi)
	case syscall.SYS_OPENAT:
		c.path, c.flags = text(tid, r.Rsi), int(r.Rdx)
	case syscall.SYS_RENAMEAT, sysRenameat2:
		c.path, c.target = text(tid, r.Rsi), text(tid, r.R10)
	case syscall.SYS_UNLINKAT:
		c.path = text(tid, r.Rsi)
	case syscall.SYS_FSYNC:
		c.path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, r.Rdi))
	}
	return c
}

func text(tid int, address uint64) string {
	b := make([]byte, 256)
	n, err := syscall.PtracePeekData(tid, uintptr(address), b)
	if err != nil {
		return ""
	}
	s, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(s)
}

// Without consent the library opens no file but those that say so, makes no file,
// no socket and no look-up of the collector's name, from Open to Close, whoever it is
// that does not consent.
func TestTracedWithoutConsent(t *testing.T) {
	agreed := func(t *testing.T, dir string) { // before
		if err := granted(t, config(dir, "127.0.0.1:1")).Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, order string
		before      func(t *testing.T, dir string)
	}{
		{"unknown", "trace-nobody-agreed", func(*testing.T, string) {}},
		{"refused", "trace-nobody-agreed", func(t *testing.T, dir string) {
			agreed(t, dir)
			if err := open(t, config(dir, "127.0.0.1:1")).Refuse(); err != nil {
				t.Fatal(err)
			}
		}},
		{"environment", "trace-environment", agreed},
		{"system file", "trace-system-file", func(t *testing.T, dir string) {
			agreed(t, dir)
			if err := os.WriteFile(filepath.Join(dir, "policy.json"), []byte(`{"telemetry": "off"}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "kept")
			tt.before(t, dir)
			calls := 0
			killed := trace(t, tt.order, dir, "localhost:1", func(c call) bool {
				calls++
				switch {
				case c.network():
					t.Errorf("network call %d", c.number)
				case c.changes():
					t.Errorf("a call that changes files: %+v", c)
				case c.number == syscall.SYS_OPENAT && !strings.HasPrefix(c.path, dir) && !ours(c.path):
					t.Errorf("opens %s", c.path)
				}
				return true
			})
			if calls == 0 || killed {
				t.Errorf("%d calls were traced", calls)
			}
			if _, err := os.Lstat(dir); tt.name == "unknown" && !os.IsNotExist(err) {
				t.Errorf("%s: %v", dir, err)
			}
		})
	}
}

// ours tells what Go's runtime may read at any time, such as the size of a huge
// page, from anything else.
func ours(path string) bool {
	return strings.HasPrefix(path, "/sys/") || strings.HasPrefix(path, "/proc/self/") || path == "/etc/localtime"
}

// A kill -9 at each step of a withdrawal: either it was not noted, and then
// everything is as before, or the next start is refused and empty.
func TestKilledAtEachStepOfRefuse(t *testing.T) {
	before, after := 0, 0
	for step := 1; ; step++ {
		dir := t.TempDir()
		prepare(t, dir)
		n := 0
		killed := trace(t, "trace-refuse", dir, "127.0.0.1:1", func(c call) bool {
			if c.changes() {
				n++
			}
			return n < step
		})
		noted, err := os.ReadFile(filepath.Join(dir, "consent.json"))
		if err != nil {
			t.Fatal(err)
		}
		c := open(t, config(dir, "127.0.0.1:1"))
		s := c.Status()
		if bytes.Contains(noted, []byte("refused")) {
			after++
			if s.Consent.State != client.Refused {
				t.Errorf("killed at step %d: %s", step, s.Consent.State)
			}
			assertOnlyARefusal(t, dir, time.Now().UTC().Format(time.DateOnly))
		} else {
			before++
			if s.Consent.State != client.Granted || s.SpoolEvents != 400 {
				t.Errorf("killed at step %d, before it was noted: %s with %d events", step, s.Consent.State, s.SpoolEvents)
			}
		}
		if !killed {
			break
		}
	}
	if before < 2 || after < 5 {
		t.Errorf("killed %d times before the note and %d after, want both", before, after)
	}
}

// A kill -9 at each step of agreeing to less: either it was not noted, and then
// everything is as before, or nothing of what was recorded before is ever sent.
func TestKilledAtEachStepOfAgreeingToLess(t *testing.T) {
	before, after := 0, 0
	for step, killed := 1, true; killed; step++ {
		dir := t.TempDir()
		prepare(t, dir)
		n := 0
		killed = trace(t, "trace-less", dir, "127.0.0.1:1", func(c call) bool {
			if c.changes() {
				n++
			}
			return n < step
		})
		c := open(t, config(dir, "127.0.0.1:1"))
		decision, waiting := c.Consent(), c.Status().SpoolEvents
		if len(decision.Categories) == 1 {
			after++
			if waiting != 0 {
				t.Errorf("killed at step %d: %d events wait", step, waiting)
			}
		} else {
			before++
			if decision.State != client.Granted || waiting != 400 {
				t.Errorf("killed at step %d, before it was noted: %s with %d events", step, decision.State, waiting)
			}
		}
	}
	if before < 2 || after < 5 {
		t.Errorf("killed %d times before the note and %d after, want both", before, after)
	}
}
