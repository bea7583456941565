package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

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
// still holds, 0 for none. Evaluated is the last step whose evaluation the state knows of: that of a later one comes again.
func cutLog(path string, steps, evaluated int) (last int, err error) {
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
		var row struct {
			Step  *int
			Split string
		}
		if json.Unmarshal(line, &row) != nil || row.Step == nil || *row.Step > steps || *row.Step < last || row.Split != "" && *row.Step > evaluated {
			break
		}
		last = *row.Step
		keep = lines.End
	}
	return last, disk.Truncate(path, keep)
}

// Skip is a step of the log that was skipped, since its loss or gradient was not finite.
type Skip struct {
	Step     int      `json:"step"`
	Examples []string `json:"examples"`
}

// Skipped lists the skipped steps of a run by its log; none where there is no log.
func Skipped(dir run.Dir) (list []Skip, err error) {
	f, err := os.Open(dir.Log())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := stream.NewLines(f)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir.Log(), err)
		}
		var row struct {
			Skip
			Skipped bool `json:"skipped"`
		}
		if bytes.Contains(line, []byte(`"skipped"`)) && json.Unmarshal(line, &row) == nil && row.Skipped {
			list = append(list, row.Skip)
		}
	}
}

// skippedText tells of skipped steps; "" where there were none.
func skippedText(list []Skip) string {
	if len(list) == 0 {
		return ""
	}
	var steps []string
	for _, s := range list[:min(len(list), 10)] {
		steps = append(steps, fmt.Sprint(s.Step))
	}
	more := ""
	if len(list) > len(steps) {
		more = ", ..."
	}
	return fmt.Sprintf("%d steps had no finite loss or gradient and were skipped (%s%s): log.jsonl names their examples", len(list), strings.Join(steps, ", "), more)
}
