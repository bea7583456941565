// Package faulty is a twin of the operations that write (disk.System) which fails on purpose, for tests: one operation fails, or the machine
// crashes at it. After a crash the directory is what a disk may hold then: files without what was not synced, or with half of it; names that
// were not synced gone, there, or some of both, so that renames seem to come in another order.
//
//	m := faulty.Matrix{Work: func(dir string) error { ... }, End: func(dir string) (string, error) { ... }}
//	r, err := m.Run(t.TempDir())        // r.Lost: what did not come to the same end
package faulty

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"albert/internal/files/disk"
)

// Kind is how an operation fails.
type Kind string

// The kinds: errors, after which the program goes on, and crashes, after which it is started again.
const (
	NoSpace     Kind = "ENOSPC"
	IO          Kind = "EIO"
	Interrupted Kind = "EINTR"
	Short       Kind = "short write"    // half is written; what writes nothing fails
	Killed      Kind = "killed"         // everything that was written is there
	Dropped     Kind = "crash, dropped" // what was not synced is not there
	Torn        Kind = "crash, torn"    // names are there, and half of what was not synced
	Empty       Kind = "crash, empty"   // names are there, nothing of what was not synced
	Reordered   Kind = "crash, reordered"
)

// Kinds are all.
var Kinds = []Kind{NoSpace, IO, Interrupted, Short, Killed, Dropped, Torn, Empty, Reordered}

func (k Kind) crash() bool {
	return k == Killed || k == Dropped || k == Torn || k == Empty || k == Reordered
}

var errCrashed = errors.New("crashed")

// node is a file, a link or a directory.
type node struct {
	dir     bool
	link    string
	synced  []byte           // a file's durable content
	last    []byte           // its content when its name went
	live    map[string]*node // a directory's names
	durable map[string]*node
	pending []change // of its names, not synced
}

// change is what one operation does to the names in a directory: at once or not at all.
type change map[string]*node // nil: removed

// system is the twin, over the operating system. Paths outside root are the operating system's.
type system struct {
	disk.OS
	root string
	mu   sync.Mutex
	tree *node
	left int  // operations until the one that fails; below 0: none does
	kind Kind // how
	ops  int
	dead bool
}

func newSystem(root string, at int, kind Kind) (*system, error) {
	tree, err := scan(root)
	return &system{root: root, tree: tree, left: at, kind: kind}, err
}

// scan reads what is there, all of it durable.
func scan(path string) (*node, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	n := &node{}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		n.link, err = os.Readlink(path)
	case st.IsDir():
		n.dir, n.live, n.durable = true, map[string]*node{}, map[string]*node{}
		entries, e := os.ReadDir(path)
		err = e
		for _, x := range entries {
			child, e := scan(filepath.Join(path, x.Name()))
			err = errors.Join(err, e)
			n.live[x.Name()], n.durable[x.Name()] = child, child
		}
	default:
		n.synced, err = os.ReadFile(path)
	}
	return n, err
}

// find gives the node of a path, nil where it has none, and that of its directory.
func (s *system) find(path string) (parent, n *node, name string) {
	rel, err := filepath.Rel(s.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil, nil, ""
	}
	n = s.tree
	if rel == "." {
		return nil, n, ""
	}
	for _, part := range strings.Split(rel, string(filepath.Separator)) {
		if n == nil || !n.dir {
			return nil, nil, ""
		}
		parent, n, name = n, n.live[part], part
	}
	return parent, n, name
}

// do is one operation: it runs unless it is the one to fail. half is what it does of a short write or a torn one.
func (s *system) do(path string, half func(), run func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return &fs.PathError{Op: "write", Path: path, Err: errCrashed}
	}
	if _, n, name := s.find(path); n == nil && name == "" { // elsewhere
		return run()
	}
	s.ops++
	s.left--
	if s.left != -1 {
		return run()
	}
	var err error = errCrashed
	switch s.kind {
	case NoSpace:
		err = syscall.ENOSPC
	case IO:
		err = syscall.EIO
	case Interrupted:
		err = syscall.EINTR
	case Short:
		half()
		err = io.ErrShortWrite
	case Torn:
		half()
		s.dead = true
	default:
		s.dead = true
	}
	return &fs.PathError{Op: "write", Path: path, Err: err}
}

func nothing() {}

// put changes the names in a directory.
func (d *node) put(c change) {
	for name, n := range c {
		if n == nil {
			delete(d.live, name)
		} else {
			d.live[name] = n
		}
	}
	d.pending = append(d.pending, c)
}

// Open opens or makes a file.
func (s *system) Open(path string, flag int, perm fs.FileMode) (f disk.File, err error) {
	err = s.do(path, nothing, func() error {
		real, err := s.OS.Open(path, flag, perm)
		if err != nil {
			return err
		}
		parent, n, name := s.find(path)
		if parent != nil && n == nil {
			n = &node{}
			parent.put(change{name: n})
		}
		f = &file{s: s, n: n, path: path, File: real}
		return nil
	})
	return f, err
}

// Rename renames within a directory.
func (s *system) Rename(from, to string) error {
	return s.do(from, nothing, func() error {
		pf, n, name := s.find(from)
		pt, over, target := s.find(to)
		s.forget(to, over)
		if err := s.OS.Rename(from, to); err != nil {
			return err
		}
		if pf != pt {
			return errors.New("faulty: a rename from one directory to another")
		}
		if pf != nil {
			pf.put(change{name: nil, target: n})
		}
		return nil
	})
}

// forget keeps the content of what loses its name: it may still be what the disk holds.
func (s *system) forget(path string, n *node) {
	if n == nil || n.link != "" {
		return
	}
	if !n.dir {
		n.last, _ = os.ReadFile(path)
		return
	}
	for name, child := range n.live {
		s.forget(filepath.Join(path, name), child)
	}
}

// Remove removes a name.
func (s *system) Remove(path string) error {
	return s.do(path, nothing, func() error {
		parent, n, name := s.find(path)
		s.forget(path, n)
		if err := s.OS.Remove(path); err != nil {
			return err
		}
		if parent != nil {
			parent.put(change{name: nil})
		}
		return nil
	})
}

// RemoveAll removes names from the deepest up; torn, the deepest alone.
func (s *system) RemoveAll(path string) error {
	empty := func(keep bool) error {
		parent, n, name := s.find(path)
		if n == nil {
			return nil
		}
		s.forget(path, n)
		if keep && n.dir {
			for child := range n.live {
				_ = s.OS.RemoveAll(filepath.Join(path, child))
			}
			n.clear()
			return nil
		}
		if err := s.OS.RemoveAll(path); err != nil {
			return err
		}
		n.clear()
		if parent != nil {
			parent.put(change{name: nil})
		}
		return nil
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // no operation
	}
	return s.do(path, func() { _ = empty(true) }, func() error { return empty(false) })
}

// clear removes all names of a directory.
func (n *node) clear() {
	for name, child := range n.live {
		child.clear()
		n.put(change{name: nil})
	}
}

// Mkdir makes a directory.
func (s *system) Mkdir(path string, perm fs.FileMode) error {
	return s.do(path, nothing, func() error {
		if err := s.OS.Mkdir(path, perm); err != nil {
			return err
		}
		if parent, _, name := s.find(path); parent != nil {
			parent.put(change{name: {dir: true, live: map[string]*node{}, durable: map[string]*node{}}})
		}
		return nil
	})
}

// Symlink makes a link.
func (s *system) Symlink(to, path string) error {
	return s.do(path, nothing, func() error {
		if err := s.OS.Symlink(to, path); err != nil {
			return err
		}
		if parent, _, name := s.find(path); parent != nil {
			parent.put(change{name: {link: to}})
		}
		return nil
	})
}

// Truncate cuts a file.
func (s *system) Truncate(path string, size int64) error {
	return s.do(path, nothing, func() error { return s.OS.Truncate(path, size) })
}

// SyncDir makes names durable; nothing is asked of the real disk.
func (s *system) SyncDir(path string) error {
	return s.do(path, nothing, func() error {
		if _, n, _ := s.find(path); n != nil && n.dir {
			n.durable, n.pending = map[string]*node{}, nil
			for name, child := range n.live {
				n.durable[name] = child
			}
		}
		return nil
	})
}

// file is an open file.
type file struct {
	disk.File
	s    *system
	n    *node
	path string
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.s.do(f.path, func() { n, _ = f.File.Write(p[:len(p)/2]) }, func() error {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.s.do(f.path, func() { n, _ = f.File.WriteAt(p[:len(p)/2], off) }, func() error {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *file) Truncate(size int64) error {
	return f.s.do(f.path, nothing, func() error { return f.File.Truncate(size) })
}

func (f *file) Chmod(mode fs.FileMode) error {
	return f.s.do(f.path, nothing, func() error { return f.File.Chmod(mode) })
}

func (f *file) Sync() error {
	return f.s.do(f.path, nothing, func() (err error) {
		if f.n != nil {
			if path := f.s.pathOf(f.s.root, f.s.tree, f.n); path != "" { // it may have been renamed
				f.n.synced, err = os.ReadFile(path)
			}
		}
		return err
	})
}

// pathOf is where a node is below n, which is at path; "" where it has no name.
func (s *system) pathOf(path string, n, want *node) string {
	if n == want {
		return path
	}
	for name, child := range n.live {
		if p := s.pathOf(filepath.Join(path, name), child, want); p != "" {
			return p
		}
	}
	return ""
}

func (f *file) Close() error {
	err := f.s.do(f.path, nothing, nothingFails)
	return errors.Join(err, f.File.Close())
}

func nothingFails() error { return nil }

// crashed makes the directory what the disk holds after a crash.
func (s *system) crashed() error {
	if s.kind == Killed {
		return nil
	}
	content := map[*node][]byte{}
	s.collect(s.root, s.tree, content)
	entries, err := os.ReadDir(s.root)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.root, e.Name())))
	}
	if err != nil {
		return err
	}
	return s.restore(s.root, s.tree, content)
}

// collect reads the present content of files.
func (s *system) collect(path string, n *node, content map[*node][]byte) {
	switch {
	case n.dir:
		for name, child := range n.live {
			s.collect(filepath.Join(path, name), child, content)
		}
	case n.link == "":
		content[n], _ = os.ReadFile(path)
	}
}

// restore writes a node as the disk holds it.
func (s *system) restore(path string, n *node, content map[*node][]byte) error {
	switch {
	case n.link != "":
		return os.Symlink(n.link, path)
	case !n.dir:
		data := n.synced
		if now, ok := content[n]; s.kind == Torn {
			if !ok {
				now = n.last
			}
			if len(now) > len(data) {
				data = now[:len(data)+(len(now)-len(data))/2]
			}
		}
		return os.WriteFile(path, data, 0o644)
	}
	if path != s.root {
		if err := os.Mkdir(path, 0o777); err != nil {
			return err
		}
	}
	names := map[string]*node{}
	for name, child := range n.durable {
		names[name] = child
	}
	for i := range n.pending { // of a reordered disk the last, the third last, ...
		if s.kind == Dropped || s.kind == Reordered && (len(n.pending)-1-i)%2 == 1 {
			n.pending[i] = nil
		}
	}
	for _, c := range n.pending {
		for name, child := range c {
			if child == nil {
				delete(names, name)
			} else if over := names[name]; over == nil || !over.dir || len(over.durable) == 0 {
				names[name] = child
			}
		}
	}
	for name, child := range names {
		if err := s.restore(filepath.Join(path, name), child, content); err != nil {
			return err
		}
	}
	return nil
}
