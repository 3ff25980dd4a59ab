// Package durable replaces small private files.
//
// It guarantees that after Replace returned nil the new content survives a power
// cut, and that whatever happens before leaves the old content or none: never a
// part. How: write beside it, sync, rename, sync the folder.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// temporary names what a crash may leave behind. It begins with a dot so that
	// no suffix of ours matches by accident, and is ours alone: a host may keep
	// other things in the folder that is swept.
	temporary = ".slicemetry-*"
	// stale is longer than any Replace takes: what is older has no owner, and what
	// is newer than now by so much is of a clock that was wrong.
	stale = time.Hour
)

// Replace writes a file of mode 0600 as a whole or not at all.
func Replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary) // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	// Closed before the rename: Windows does not move an open file.
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncFolder(filepath.Dir(path))
}

// Remove removes a file, durably. One that is not there is removed already.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// Sweep removes what crashes during Replace left in a folder.
func Sweep(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, temporary)) // the pattern is well formed
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()).Abs() > stale {
			os.Remove(path)
		}
	}
}

// SyncFolder makes removals and renames in a folder durable, where the system
// can: Windows cannot sync a folder, and some network file systems refuse to.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
