package faulty

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/disk"
)

// content is what a file holds.
func content(name string) func(dir string) (string, error) {
	return func(dir string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		return string(b), err
	}
}

// oldOrNew holds that a file is the old or the new one.
func oldOrNew(name string) func(dir string) error {
	return func(dir string) error {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && string(b) != "old" && string(b) != strings.Repeat("new", 100) {
			err = fmt.Errorf("%s holds %.20q", name, b)
		}
		return err
	}
}

func begin(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), []byte("old"), 0o666) }

// A file and a directory that disk replaces are the old or the new one, whatever fails.
func TestCrashDisk(t *testing.T) {
	m := Matrix{Begin: begin, End: content("x"), Check: oldOrNew("x"),
		Work: func(dir string) error {
			return disk.WriteFile(filepath.Join(dir, "x"), []byte(strings.Repeat("new", 100)))
		}}
	m.Test(t, "a file replaced")
	m = Matrix{End: content("a/b/x"), Work: func(dir string) error {
		if err := disk.MkdirAll(filepath.Join(dir, "a", "b")); err != nil {
			return err
		}
		return disk.Directory(filepath.Join(dir, "a", "b"), func(dir string) error { return disk.WriteFile(filepath.Join(dir, "x"), []byte("new")) })
	}}
	m.Test(t, "a directory")
}

// Writes that are wrong on purpose lose something, so that the matrix would show it.
func TestCrashWrongWrites(t *testing.T) {
	write := func(path string, sync bool) error {
		f, err := disk.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
		if err != nil {
			return err
		}
		_, err = io.WriteString(f, strings.Repeat("new", 100))
		if err == nil && sync {
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	}
	for what, work := range map[string]func(dir string) error{
		"in place": func(dir string) error { return write(filepath.Join(dir, "x"), true) },
		"without sync": func(dir string) error {
			if err := write(filepath.Join(dir, "y"), false); err != nil {
				return err
			}
			if err := disk.Rename(filepath.Join(dir, "y"), filepath.Join(dir, "x")); err != nil {
				return err
			}
			return disk.SyncDir(dir)
		},
		"renamed before it is written": func(dir string) error {
			f, err := disk.OpenFile(filepath.Join(dir, "y"), os.O_CREATE|os.O_WRONLY, 0o666)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := disk.Rename(filepath.Join(dir, "y"), filepath.Join(dir, "x")); err != nil {
				return err
			}
			if _, err = io.WriteString(f, strings.Repeat("new", 100)); err != nil {
				return err
			}
			return f.Sync()
		},
	} {
		m := Matrix{Begin: begin, End: content("x"), Check: oldOrNew("x"), Work: work}
		r, err := m.Run(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d runs lost", what, r.Lost, r.Runs)
		if r.Lost == 0 {
			t.Errorf("%s: nothing is lost", what)
		}
	}
}
