//go:build linux

package fault

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// The file system's requests (linux/fs.h, fs/ext4/ext4.h).
const (
	shutdownRequest    = 0x8004587d // EXT4_IOC_SHUTDOWN
	shutdownNoLogFlush = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH: what is not on the disk is gone
	setFlagsRequest    = 0x40086602 // FS_IOC_SETFLAGS
	extents            = 0x80000    // EXT4_EXTENTS_FL, which folders have and must keep
	immutable          = 0x10       // FS_IMMUTABLE_FL
)

// disk is a small ext4 of its own that can be filled, frozen and cut off.
type disk struct {
	t            *testing.T
	image, mount string
}

// Sizes of disks: one that is soon full, and one that fifty power cuts in a
// minute do not fill: for so long ClickHouse keeps what it has merged.
const (
	smallDisk = 160 << 20
	largeDisk = 1 << 30
)

// newDisk mounts one, which takes no more space than is written to it. Where this is not
// allowed the test is skipped, and says so.
func newDisk(t *testing.T, mount string, size int64) *disk {
	t.Helper()
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "disk.img"), mount: mount}
	must(t, os.MkdirAll(mount, 0o700))
	must(t, os.WriteFile(d.image, nil, 0o600))
	must(t, os.Truncate(d.image, size))
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("no disk of its own: mkfs.ext4: %v %s", err, out)
	}
	if err := d.attach(); err != nil {
		t.Skipf("no disk of its own: this user or machine may not mount: %v", err)
	}
	t.Cleanup(func() { _ = d.detach() })
	return d
}

func (d *disk) attach() error { return exec.Command("mount", "-o", "loop", d.image, d.mount).Run() }

func (d *disk) detach() error { return exec.Command("umount", d.mount).Run() }

// cutPower ends the disk and the database on it at once, and brings the disk back with
// what was on it. Where this is not possible the test is skipped, and says so.
func (d *disk) cutPower(t *testing.T, db *localdb.Server) {
	t.Helper()
	if err := request(d.mount, shutdownRequest, shutdownNoLogFlush); err != nil {
		t.Skipf("the power cannot be cut: %v", err)
	}
	must(t, db.Kill())
	must(t, d.detach())
	must(t, d.attach())
}

// request sends the file system a request about a path.
func request(path string, number uintptr, argument uint32) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), number, uintptr(unsafe.Pointer(&argument))); errno != 0 {
		return errno
	}
	return nil
}

// F14: the power fails under load; what was acknowledged by then is on the disk.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, filepath.Join(dir, "clickhouse"), largeDisk)
	s := begin(t, dir)
	for range min(cycles(t, 2), 50) {
		s.strike(t, func(ctx context.Context) {
			load.Sleep(ctx, 400*time.Millisecond)
			d.cutPower(t, s.DB)
			must(t, s.DB.Restart(ctx))
		})
	}
	must(t, s.Stop(context.Background()))
}

// F14 at night: each batch is an insert of its own, and all that is not written through
// to the disk is broken after the power fails. ClickHouse starts in spite of it.
func TestPowerCutOfSmallInserts(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, filepath.Join(dir, "clickhouse"), largeDisk)
	s := begin(t, dir)
	client := s.client(t)
	for n := range uint64(cycles(t, 150)) {
		_, err := client.Upload(t.Context(), batch(n, 1))
		must(t, err)
		s.sent++
	}
	s.exec(t, "OPTIMIZE TABLE raw.slices FINAL")
	d.cutPower(t, s.DB)
	must(t, s.DB.Restart(t.Context()))
	conn, err := s.Connect(localdb.Administrator)
	must(t, err)
	defer conn.Close()
	var broken uint64
	must(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.detached_parts WHERE database != 'admin' AND table != 'origins'").Scan(&broken))
	if broken != 0 {
		t.Errorf("%d parts were not on the disk", broken)
	}
	s.strike(t, func(context.Context) {})
	must(t, s.Stop(context.Background()))
}

// F18, F19: a disk without space and one that takes nothing. Clients are told to
// come again, and all is stored when the disk takes rows again.
func TestDiskFullAndReadOnly(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, filepath.Join(dir, "clickhouse"), smallDisk)
	s := begin(t, dir)
	t.Run("full", func(t *testing.T) {
		s.strike(t, func(context.Context) {
			ballast := filepath.Join(d.mount, "ballast")
			fill(t, ballast)
			s.refused(t)
			s.says(t, "ClickHouse error 243 ") // NOT_ENOUGH_SPACE
			must(t, os.Remove(ballast))
		})
	})
	t.Run("read-only", func(t *testing.T) {
		folders, err := filepath.Glob(filepath.Join(d.mount, "data", "store", "*", "*"))
		must(t, err)
		s.strike(t, func(context.Context) {
			for _, f := range folders {
				if err := request(f, setFlagsRequest, extents|immutable); err != nil {
					t.Skipf("a folder cannot be frozen: %v", err)
				}
			}
			s.refused(t)
			s.says(t, "ClickHouse error 1001 ") // STD_EXCEPTION, of the file system
			for _, f := range folders {
				must(t, request(f, setFlagsRequest, extents))
			}
		})
	})
	must(t, s.Stop(context.Background()))
}

// fill writes until there is no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for written := 0; written < 1<<30; written += size {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	_ = f.Sync()
}
