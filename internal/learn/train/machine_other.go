//go:build !linux

package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func availableMemory() int64 { return 0 }

// lockDir takes a run directory by a file that must not exist yet. After a crash it has to be removed by hand.
func lockDir(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is in use by another process (if it is not, remove %s)", dir, path)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		f.Close()
		os.Remove(path)
	}, nil
}
