//go:build !linux

package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Lock takes the directory by a file that must not exist yet. After a crash it has to be removed by hand.
func (d Dir) Lock() (unlock func(), err error) {
	path := d.join(lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is in use by another process (if it is not, remove %s)", d, path)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		f.Close()
		os.Remove(path)
	}, nil
}
