package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"albert/internal/files/disk"
	"albert/internal/files/stream"
	"albert/internal/run"
)

// appendFile is a file that only grows. What could not be written, for lack of space say, waits in memory and is tried again with
// the next write, so that the file never holds half a record.
type appendFile struct {
	f       disk.File
	size    int64 // of the whole records in the file
	waiting []byte
	fault   func() error // for tests: an error to meet instead of writing
}

// openAppend opens a file to be continued at its end.
func openAppend(path string) (*appendFile, error) {
	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &appendFile{f: f, size: st.Size()}, nil
}

// write adds a record.
func (a *appendFile) write(record []byte) error {
	a.waiting = append(a.waiting, record...)
	return a.flush()
}

// flush writes what waits.
func (a *appendFile) flush() error {
	if len(a.waiting) == 0 {
		return nil
	}
	if err := a.tryWrite(); err != nil {
		return run.OneLine(err, a.f.Truncate(a.size))
	}
	a.size += int64(len(a.waiting))
	a.waiting = a.waiting[:0]
	return nil
}

func (a *appendFile) tryWrite() error {
	if a.fault != nil {
		if err := a.fault(); err != nil {
			return err
		}
	}
	_, err := a.f.WriteAt(a.waiting, a.size)
	return err
}

// sync puts everything on the disk.
func (a *appendFile) sync() error {
	if err := a.flush(); err != nil {
		return err
	}
	return a.f.Sync()
}

func (a *appendFile) close() error { return run.OneLine(a.flush(), a.f.Close()) }

// cutLog cuts a log back to the rows of the first steps, and after an unfinished or unreadable row, and gives the last step it
// still holds, 0 for none.
func cutLog(path string, steps int) (last int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	keep := int64(0)
	lines := stream.NewLines(f)
	for {
		line, err := lines.Next()
		if err == io.EOF || err == nil && !lines.Ended {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		var row struct{ Step *int }
		if json.Unmarshal(line, &row) != nil || row.Step == nil || *row.Step > steps || *row.Step < last {
			break
		}
		last = *row.Step
		keep = lines.End
	}
	return last, disk.Truncate(path, keep)
}
