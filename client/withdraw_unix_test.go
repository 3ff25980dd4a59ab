//go:build unix

package client_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// A withdrawal holds also where the disk takes nothing: no process records or
// sends after it, and it fails only where a yes may still be on the disk.
func TestWithdrawalOnADiskThatTakesNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		dir     func(t *testing.T) string            // with a yes and events
		freeze  func(t *testing.T, dir string)       // after which the disk takes nothing
		command func(dir, endpoint string) *exec.Cmd // which withdraws
		stays   bool                                 // a yes that cannot be removed
	}{
		{"no octet more", plainFolder, func(*testing.T, string) {}, func(dir, endpoint string) *exec.Cmd {
			return exec.Command("sh", "-c", `ulimit -f 0; exec "$0" "$@"`, os.Args[0], dir, endpoint)
		}, false},
		{"a full disk", smallDisk, fillUp, func(dir, endpoint string) *exec.Cmd {
			return exec.Command(os.Args[0], dir, endpoint)
		}, false},
		{"nothing may be changed", plainFolder, forbid, asNobody, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, r := tt.dir(t), clienttest.Start(t)
			prepare(t, dir)
			tt.freeze(t, dir)
			cmd := tt.command(dir, r.Addr())
			cmd.Env = append(os.Environ(), orderVariable+"=withdraw")
			out, err := cmd.CombinedOutput()
			want := fmt.Sprintf("granted to refused sends: %v error: %t\n", client.ErrNoConsent, tt.stays)
			if err != nil || string(out) != want {
				t.Errorf("the host says %q, %v, want %q", out, err, want)
			}
			if len(r.Requests()) > 0 {
				t.Errorf("%d requests after the withdrawal", len(r.Requests()))
			}
			if tt.stays {
				return
			}
			if got := open(t, config(dir, r.Addr())).Consent(); got.State != client.Refused || got.Rule != "user" {
				t.Errorf("the next process finds %s by %q", got.State, got.Rule)
			}
			if left := leftovers(t, dir); left != "" {
				t.Errorf("%s is left", left)
			}
		})
	}
}

func plainFolder(t *testing.T) string { return t.TempDir() }

// smallDisk mounts a disk of its own. Where that is not allowed the test is skipped.
func smallDisk(t *testing.T) string {
	t.Helper()
	mount := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("no disk of its own: this system mounts in another way")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=400k", "none", mount).CombinedOutput(); err != nil {
		t.Skipf("no disk of its own: this user or machine may not mount: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", mount).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	return filepath.Join(mount, "kept")
}

// fillUp writes beside a folder until there is no space left.
func fillUp(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(filepath.Dir(dir), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; _, err = f.Write(make([]byte, size)) {
		}
	}
}

// forbid leaves a folder to be read and not to be changed.
func forbid(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, filepath.Join(dir, "consent.json"): 0o444, dir: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// asNobody runs the child as a user to whom modes apply: to root they do not.
func asNobody(dir, endpoint string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], dir, endpoint)
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if runtime.GOOS == "linux" {
			cmd.Path = "/proc/self/exe" // the path may lead through folders of root's
		}
	}
	return cmd
}
