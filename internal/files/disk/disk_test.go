package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A failed write leaves what was there and nothing else.
func TestAtomically(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Atomically(path, func(w io.Writer) error {
		if _, err := w.Write([]byte("new")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("file holds %q", b)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files left", len(left))
	}
}

// A directory is replaced as a whole, or stays as it was.
func TestDirectory(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "model")
	fill := func(name string, result error) func(string) error {
		return func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
				t.Fatal(err)
			}
			return result
		}
	}
	check := func(name string) {
		t.Helper()
		if left, _ := os.ReadDir(parent); len(left) != 1 || left[0].Name() != "model" {
			t.Errorf("left: %v", left)
		}
		if files, _ := os.ReadDir(path); len(files) != 1 || files[0].Name() != name {
			t.Errorf("files %v, want %s", files, name)
		}
	}
	if err := Directory(path, fill("one", nil)); err != nil {
		t.Fatal(err)
	}
	check("one")
	broken := errors.New("broken")
	if err := Directory(path, fill("two", broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
	check("one")
	for _, left := range []string{Aside + "model/half", Aside + "model.old/half"} { // by a crash
		if err := os.MkdirAll(filepath.Join(parent, left), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := Directory(path, fill("two", nil)); err != nil {
		t.Fatal(err)
	}
	check("two")
	if err := Directory(filepath.Join(parent, "no", "model"), fill("", nil)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What MakeDir made, and nothing else, is undone, unless something was put there.
func TestMakeDir(t *testing.T) {
	top := t.TempDir()
	deep := filepath.Join(top, "a", "b", "c")
	undo, err := MakeDir(deep)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(deep); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(top, "a", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	undo()
	if left, _ := os.ReadDir(filepath.Join(top, "a")); len(left) != 1 || left[0].Name() != "x" {
		t.Errorf("left: %v", left)
	}
	if undo, err = MakeDir(top); err != nil {
		t.Fatal(err)
	}
	undo()
	if _, err := os.Stat(top); err != nil {
		t.Error("a directory that was there is gone")
	}
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeDir(filepath.Join(top, "file", "x")); err == nil {
		t.Error("a directory in a file")
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, make([]byte, 2<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path, 2<<20); err != nil || len(data) != 2<<20 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := ReadFile(path, 1<<20); err == nil || err.Error() != path+": larger than 1 MiB" {
		t.Error(err)
	}
	if _, err := ReadFile(path+"y", 1); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

// text is a type that stands for a mapped file.
type text struct {
	Mapped
	string
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	parse := func(data []byte) (*text, error) {
		if len(data) > 3 {
			return nil, errors.New("too long")
		}
		return &text{string: string(data)}, nil
	}
	x, err := Open(path, parse)
	if err != nil || x.string != "abc" || x.Path != path || x.Close() != nil {
		t.Error(x, err)
	}
	if err := os.WriteFile(path, []byte("abcd"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, parse); err == nil || err.Error() != path+": too long" {
		t.Error(err)
	}
}

// What Git LFS leaves in place of a file is no file.
func TestPointer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte(PointerHead+"v1\noid sha256:00\nsize 3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, whole := ReadFile(path, 1<<20)
	_, _, mapped := MapFile(path)
	for _, err := range []error{whole, mapped} {
		if !errors.Is(err, ErrPointer) || err.Error() != path+": a Git LFS pointer, not the file: git lfs pull" {
			t.Error(err)
		}
	}
}

func TestFree(t *testing.T) {
	if n := Free(t.TempDir()); n < 0 && runtime.GOOS == "linux" || n < -1 {
		t.Error(n)
	}
	if n := Free(filepath.Join(t.TempDir(), "none")); n > 0 {
		t.Error(n)
	}
}
