package client_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/slicemetry/slicemetry/client"
)

func init() {
	traced["no locks"] = func(cfg client.Config) {
		c, err := client.Open(cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		denyLocks()
		for i := range 10 {
			c.Record(numbered(i))
			_, _ = c.Preview() // which writes what is queued
		}
		_ = json.NewEncoder(os.Stdout).Encode(c.Status())
		if err := c.Refuse(); err != nil {
			fmt.Println(err)
		}
	}
}

// denyLocks makes the kernel answer this process as a network home without locks
// does: flock fails with ENOLCK (seccomp(2), for all threads).
func denyLocks() {
	const (
		setNoNewPrivileges = 38
		seccomp            = 317
		modeFilter         = 1
		allThreads         = 1
		failWith           = 0x50000
		allow              = 0x7fff0000
	)
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS}, // the number of the call
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jf: 1, K: syscall.SYS_FLOCK},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: failWith | uint32(syscall.ENOLCK)},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: allow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0)
	if err == 0 {
		_, _, err = syscall.RawSyscall(seccomp, modeFilter, allThreads, uintptr(unsafe.Pointer(&program)))
	}
	if err != 0 {
		panic(err)
	}
}

// In a home without kernel locks nothing is recorded, which the status shows;
// nothing gathers there, and refusing works.
func TestHomeWithoutLocks(t *testing.T) {
	dir := t.TempDir()
	granted(t, config(dir, "127.0.0.1:1"))
	cmd, out := start(t, "no locks", dir, "127.0.0.1:1", 0, 0)
	var s client.Status
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if s.Consent.State != client.Granted || s.Dropped != (client.Dropped{Disk: 10}) {
		t.Errorf("%s, dropped %+v, want 10 for the disk", s.Consent.State, s.Dropped)
	}
	// One with a random name would be left by each process.
	if files, err := filepath.Glob(filepath.Join(dir, "spool", strings.Repeat("?", 26)+".lock")); err != nil || len(files) > 0 {
		t.Errorf("%q is left, %v", files, err)
	}
	if state := open(t, config(dir, "127.0.0.1:1")).Consent().State; state != client.Refused {
		t.Errorf("after a refusal: %s", state)
	}
}
