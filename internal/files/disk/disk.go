// Package disk writes files and directories so that a crash leaves the old content or the new one, and maps files into memory.
//
//	err := disk.WriteFile("result.json", text)    // whole or not at all
package disk

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteFile writes data to a file, whole or not at all.
func WriteFile(path string, data []byte) error {
	return Atomically(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Atomically writes a file aside, syncs it and renames it into place, so that path holds the old content or all of the new. On an
// error nothing is left behind.
func Atomically(path string, write func(w io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}
