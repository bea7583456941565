package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/stream"
)

// maxFolders bounds how deep directories may lie in each other, which also ends a circle of links.
const maxFolders = 64

// ListFiles lists the files in a directory and below, by byte order of their paths. Links are followed. Left out are files and directories
// whose names begin with a dot, and those for which keep is false; nil keeps all.
func ListFiles(dir string, keep func(path string, isDir bool) bool) ([]string, error) {
	var files []string
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		if depth > maxFolders {
			return fmt.Errorf("%s: directories more than %d levels deep, or links in a circle", dir, maxFolders)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			mode := e.Type()
			if mode&fs.ModeSymlink != 0 {
				st, err := os.Stat(path)
				if err != nil {
					return err
				}
				mode = st.Mode()
			}
			switch {
			case !mode.IsDir() && !mode.IsRegular() || keep != nil && !keep(path, mode.IsDir()):
			case mode.IsDir():
				if err := walk(path, depth+1); err != nil {
					return err
				}
			default:
				files = append(files, path)
			}
		}
		return nil
	}
	if err := walk(dir, 0); err != nil {
		return nil, err
	}
	slices.Sort(files)
	return files, nil
}

// files lists the files of an input that is not stdin, and tells whether it is a directory.
func (o *ReadOptions) files(input string) (files []string, isDir bool, err error) {
	st, err := os.Stat(input)
	switch {
	case err != nil:
		return nil, false, err
	case !st.IsDir():
		return []string{input}, false, nil
	case o.GoDoc:
		files, err = ListFiles(input, keepGo)
	default:
		files, err = ListFiles(input, nil)
	}
	return files, true, err
}

// inputFiles lists the files that reading inputs would read; stdin and inputs that are no longer there are left out.
func inputFiles(inputs []string, o ReadOptions) (files []string, err error) {
	for _, in := range inputs {
		if in == "-" {
			continue
		}
		list, isDir, err := o.files(in)
		if err != nil && (isDir || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		files = append(files, list...)
	}
	return files, nil
}

// InputBytes is how many bytes there are to read, of those in [Counts.Read]; ok is false if that cannot be known beforehand.
func InputBytes(inputs []string, o ReadOptions) (n int64, ok bool) {
	if len(inputs) == 0 || slices.Contains(inputs, "-") {
		return 0, false
	}
	files, err := inputFiles(inputs, o)
	if err != nil {
		return 0, false
	}
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || !st.Mode().IsRegular() {
			return 0, false
		}
		n += st.Size()
	}
	return n, true
}

// sameFiles tells whether inputs still hold what they held when old was read. An input that is gone as a whole is passed over.
func sameFiles(old []File, inputs []string, o ReadOptions) error {
	now, err := inputFiles(inputs, o)
	if err != nil {
		return err
	}
	was := map[string]File{}
	for _, f := range old {
		was[f.Path] = f
	}
	is := map[string]bool{}
	for _, path := range now {
		is[path] = true
		before, ok := was[path]
		if !ok {
			return fmt.Errorf("%s is new among the inputs", path)
		}
		f, err := stream.HashFile(path)
		if err != nil {
			return err
		}
		if f != before {
			return fmt.Errorf("%s has changed", path)
		}
	}
	for _, f := range old {
		if is[f.Path] || f.Path == stdinName {
			continue
		}
		for _, in := range inputs {
			rel, err := filepath.Rel(in, f.Path)
			if st, e := os.Stat(in); err == nil && e == nil && st.IsDir() && filepath.IsLocal(rel) {
				return fmt.Errorf("%s is gone", f.Path)
			}
		}
	}
	return nil
}
