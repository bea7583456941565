// Package disk reads and writes files and directories: written so that a crash leaves the old content or the new one, read with a bound
// on their size, and mapped into memory.
//
//	err := disk.WriteFile("result.json", text)    // whole or not at all
package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// WriteJSON writes a value to a file as JSON that is indented for people, whole or not at all.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return WriteFile(path, append(text, '\n'))
}

// Atomically writes a file under another name, syncs it and renames it to path, so that path holds the old content or all of the new. w is an
// [io.WriterAt], too.
// On an error nothing is left behind; a crash may leave a file beside path, whose name is path's with a dot before it, a dot and digits behind it.
func Atomically(path string, write func(w io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, name, err := createBeside(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			Remove(name)
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	return inTurn(
		func() error { return write(f) },
		func() error { return f.Chmod(0o644) },
		f.Sync,
		f.Close,
		func() error { return Rename(name, path) },
		func() error { return SyncDir(dir) })
}

// inTurn takes steps up to the first that fails.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Aside is what the name of an unfinished directory begins with: see [Directory].
const Aside = ".tmp-"

// Directory makes a directory whole or not at all: write puts files, each of which it syncs, into a new one beside path, named [Aside]
// and path's name, which is then synced and renamed to path. What path was before is removed. On an error nothing is left behind and
// path is as it was; what a crash left is replaced by the next call. Two calls for one path must not run at once.
func Directory(path string, write func(dir string) error) (err error) {
	parent := filepath.Dir(path)
	tmp := filepath.Join(parent, Aside+filepath.Base(path))
	old := tmp + ".old"
	if err := errors.Join(RemoveAll(tmp), putBack(old, path), RemoveAll(old)); err != nil {
		return err
	}
	if err := system.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			RemoveAll(tmp)
		}
	}()
	if err := inTurn(func() error { return write(tmp) }, func() error { return SyncDir(tmp) }); err != nil {
		return err
	}
	if err := Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := Rename(tmp, path); err != nil {
		Rename(old, path) // it need not be there
		return err
	}
	if err := SyncDir(parent); err != nil { // before anything of the old one goes
		return err
	}
	return RemoveAll(old)
}

// putBack gives a directory that a crash left aside its name again, where nothing took its place.
func putBack(old, path string) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := Rename(old, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Temporary makes a directory for files that nobody needs afterwards, whose name begins with prefix, and gives what removes it.
func Temporary(prefix string) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", prefix)
	return dir, func() error { return RemoveAll(dir) }, err
}

// MakeDir makes a directory and those above it that are missing. undo removes those that it made, as far as nothing is in them.
func MakeDir(dir string) (undo func(), err error) {
	var made []string // the deepest first
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	undo = func() {
		for _, d := range made {
			if Remove(d) != nil {
				return
			}
		}
	}
	if err := MkdirAll(dir); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// ReadFile reads a file that has at most so many bytes. Errors name the file.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, most)
}

// ReadAll reads an input to its end if it has at most so many bytes. Errors begin with its name.
func ReadAll(r io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
	case IsPointer(data):
		err = ErrPointer
	case int64(len(data)) > most:
		err = fmt.Errorf("larger than %d MiB", most>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// PointerHead is what the file begins with that Git LFS leaves in place of one that was not fetched (git-lfs, docs/spec.md).
const PointerHead = "version https://git-lfs.github.com/spec/"

// IsPointer tells by its beginning whether a file is Git LFS's pointer to one.
func IsPointer(data []byte) bool { return bytes.HasPrefix(data, []byte(PointerHead)) }

// ErrPointer is the error for such a file, whoever opens it.
var ErrPointer = errors.New("a Git LFS pointer, not the file: git lfs pull")

// MapFile gives a file's bytes as memory, which the system reads when it is touched, where it can; not to be written to.
func MapFile(path string) (data []byte, unmap func() error, err error) {
	data, unmap, err = mapFile(path)
	if err == nil && IsPointer(data) {
		err = errors.Join(fmt.Errorf("%s: %w", path, ErrPointer), unmap())
		return nil, nil, err
	}
	return data, unmap, err
}

// Mapped is a file in memory ([MapFile]), for the type that stands for it to embed: see [Open].
type Mapped struct {
	Path  string
	unmap func() error
}

// Close gives the memory back; what points into it must not be used any more.
func (m *Mapped) Close() error {
	if m.unmap == nil {
		return nil
	}
	return m.unmap()
}

func (m *Mapped) mapped() *Mapped { return m }

// Open maps a file into memory and parses its bytes, which what parse gives may keep pointing to until it is closed. Errors begin with the
// path.
func Open[T interface{ mapped() *Mapped }](path string, parse func(data []byte) (T, error)) (value T, err error) {
	data, unmap, err := MapFile(path)
	if err != nil {
		return value, err
	}
	if value, err = parse(data); err != nil {
		unmap()
		return value, fmt.Errorf("%s: %w", path, err)
	}
	*value.mapped() = Mapped{path, unmap}
	return value, nil
}

// LittleEndian tells whether this machine has a number's lowest byte first, as files do. There, mapped bytes are numbers as they are.
var LittleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
