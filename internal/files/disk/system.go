package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// System is the operations that write: runs, models, shards and caches are written through them alone. They are the operating system's; tests
// put a faulty twin in their place (package faulty), since what a failed write leaves behind can only be tested where each can fail.
type System interface {
	Open(path string, flag int, perm fs.FileMode) (File, error) // to write
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error
	Mkdir(path string, perm fs.FileMode) error
	Symlink(to, path string) error
	Truncate(path string, size int64) error
	SyncDir(path string) error // makes the names in a directory durable
}

// File is a file that is written.
type File interface {
	io.Writer
	io.WriterAt
	Truncate(size int64) error
	Chmod(mode fs.FileMode) error
	Sync() error
	Close() error
}

// OS is the operating system's.
type OS struct{}

// Open is os.OpenFile.
func (OS) Open(path string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err // no File that holds nil
	}
	return f, nil
}

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove.
func (OS) Remove(path string) error { return os.Remove(path) }

// RemoveAll is os.RemoveAll.
func (OS) RemoveAll(path string) error { return os.RemoveAll(path) }

// Mkdir is os.Mkdir.
func (OS) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// Symlink is os.Symlink.
func (OS) Symlink(to, path string) error { return os.Symlink(to, path) }

// Truncate is os.Truncate.
func (OS) Truncate(path string, size int64) error { return os.Truncate(path, size) }

// SyncDir syncs a directory where the system can.
func (OS) SyncDir(path string) error { return syncDir(path) }

var system System = OS{}

// Replace puts other operations in the place of the present ones, for tests that nothing else runs beside, and gives what takes that back.
func Replace(s System) (back func()) {
	was := system
	system = s
	return func() { system = was }
}

// OpenFile opens a file to be written.
func OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	return system.Open(path, flag, perm)
}

// Rename gives a file or directory another name; it is durable after [SyncDir].
func Rename(from, to string) error { return system.Rename(from, to) }

// Remove removes a file or an empty directory.
func Remove(path string) error { return system.Remove(path) }

// RemoveAll removes a file, or a directory with all that is in it; it need not be there.
func RemoveAll(path string) error { return system.RemoveAll(path) }

// Symlink makes a symbolic link.
func Symlink(to, path string) error { return system.Symlink(to, path) }

// Truncate cuts a file to a size.
func Truncate(path string, size int64) error { return system.Truncate(path, size) }

// SyncDir makes renames in a directory durable.
func SyncDir(dir string) error { return system.SyncDir(dir) }

// MkdirAll makes a directory and those above it that are missing, durably.
func MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	st, err := os.Stat(dir)
	switch parent := filepath.Dir(dir); {
	case err == nil && st.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("mkdir %s: a file is there", dir)
	case !errors.Is(err, fs.ErrNotExist) || parent == dir:
		return err
	default:
		if err := MkdirAll(parent); err != nil {
			return err
		}
		if err := system.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return SyncDir(parent)
	}
}

// createBeside makes a new file beside path under a name of its own: a dot, path's name, a dot and digits.
func createBeside(path string) (f File, name string, err error) {
	for range 100 {
		name = filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d", filepath.Base(path), rand.Uint32()))
		f, err = system.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, name, err
}
