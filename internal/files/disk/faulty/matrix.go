package faulty

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"albert/internal/files/disk"
)

// AllVariable is the environment variable that, if set, makes every operation fail in every kind, whatever Every says.
const AllVariable = "ALBERT_CRASHES"

// Matrix makes every operation of some work fail, once for each kind of failure, each time in a directory of its own, and does the work again.
type Matrix struct {
	Begin func(dir string) error           // what is there before; nil: nothing
	Work  func(dir string) error           // done again after a failure
	Check func(dir string) error           // after a failure, before the work is done again; nil: not checked
	End   func(dir string) (string, error) // what must be the same in the end
	Every int                              // only each so many-th operation, another one for each kind; 0: all
	Kinds []Kind                           // nil: all
}

// Result is what a [Matrix] found.
type Result struct {
	Operations int // of the work
	Runs, Lost int
	Lines      []string // a line a kind
	Faults     []string // what was lost
}

// Run runs the matrix in directories below dir.
func (m *Matrix) Run(dir string) (*Result, error) {
	kinds, every := m.Kinds, max(1, m.Every)
	if kinds == nil {
		kinds = Kinds
	}
	whole := filepath.Join(dir, "whole")
	s, _, err := m.once(whole, -1, "")
	if err != nil {
		return nil, fmt.Errorf("without a failure: %w", err)
	}
	want, err := m.End(whole)
	if err != nil {
		return nil, err
	}
	r := &Result{Operations: s.ops}
	if os.Getenv(AllVariable) != "" {
		every = 1
	}
	for k, kind := range kinds {
		runs, lost, went := 0, 0, 0
		for at := k * every / len(kinds); at < r.Operations; at += every {
			path := filepath.Join(dir, fmt.Sprintf("%s-%d", strings.NewReplacer(" ", "-", ",", "").Replace(string(kind)), at))
			runs++
			fault, on := m.fails(path, at, kind, want)
			if fault != nil {
				lost++
				r.Faults = append(r.Faults, fmt.Sprintf("%s at operation %d: %v", kind, at, fault))
			} else if on {
				went++
			}
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		}
		r.Runs, r.Lost = r.Runs+runs, r.Lost+lost
		r.Lines = append(r.Lines, fmt.Sprintf("%-18s %4d operations failed, %4d of which the work survived at once, %d lost", kind, runs, went, lost))
	}
	return r, nil
}

// once does the work in a new directory in which an operation fails.
func (m *Matrix) once(dir string, at int, kind Kind) (*system, error, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, nil, err
	}
	if m.Begin != nil {
		if err := m.Begin(dir); err != nil {
			return nil, nil, err
		}
	}
	s, err := newSystem(dir, at, kind)
	if err != nil {
		return nil, nil, err
	}
	back := disk.Replace(s)
	failed := m.Work(dir)
	back()
	if s.dead {
		return s, failed, s.crashed()
	}
	if at < 0 {
		return s, nil, failed
	}
	return s, failed, nil
}

// fails tells what is lost after a failure, and whether the work went on at once.
func (m *Matrix) fails(dir string, at int, kind Kind, want string) (fault error, on bool) {
	s, failed, err := m.once(dir, at, kind)
	if err != nil {
		return err, false
	}
	if s.left >= 0 { // times differ a little: fewer operations than before
		return nil, failed == nil
	}
	if s.dead && failed == nil {
		failed = errCrashed // only the last steps, which need not succeed
	}
	if m.Check != nil {
		if err := m.Check(dir); err != nil {
			return fmt.Errorf("before it is done again: %w (after %v)", err, failed), false
		}
	}
	again, err := newSystem(dir, -1, "") // so that nothing waits for the real disk
	if err != nil {
		return err, false
	}
	back := disk.Replace(again)
	err = m.Work(dir)
	back()
	if err != nil {
		return fmt.Errorf("done again: %w (after %v)", err, failed), false
	}
	got, err := m.End(dir)
	if err == nil && got != want {
		err = errors.New("another end")
	}
	if err != nil {
		return fmt.Errorf("%w (after %v)", err, failed), false
	}
	return nil, failed == nil
}

// T is what [Matrix.Test] needs of testing.T.
type T interface {
	Helper()
	TempDir() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// Test runs the matrix, shows it, and fails where anything is lost.
func (m *Matrix) Test(t T, what string) {
	t.Helper()
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "albert-crash-"); err == nil { // much faster than a disk
		defer os.RemoveAll(memory)
		dir = memory
	}
	r, err := m.Run(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d operations, %d runs, %d lost\n%s", what, r.Operations, r.Runs, r.Lost, strings.Join(r.Lines, "\n"))
	for i, f := range r.Faults {
		if i < 5 {
			t.Errorf("%s: %s", what, f)
		}
	}
}
