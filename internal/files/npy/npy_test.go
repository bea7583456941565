package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file makes a file of version 1.
func file(header string, values int) []byte {
	b := binary.LittleEndian.AppendUint16(append([]byte(magic), 1, 0), uint16(len(header)))
	return append(append(b, header...), make([]byte, values)...)
}

func fillWith(rows ...[]float32) func(func([]float32) error) error {
	return func(add func([]float32) error) error {
		for _, r := range rows {
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// What is written is read back, and begins as NumPy's own files do.
func TestWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := Write(path, 3, fillWith([]float32{1, 2, 3}, []float32{-4, 0.5, 6})); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	want := "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + strings.Repeat(" ", 58) + "\n"
	if err != nil || len(b) != headerSize+24 || string(b[:headerSize]) != want {
		t.Errorf("%q, %v", b, err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Rows != 2 || m.Cols != 3 || m.Data[2] != 3 || m.Data[3] != -4 {
		t.Errorf("%d x %d, %v", m.Rows, m.Cols, m.Data)
	}
}

// What fails leaves what was there.
func TestFailedWriteLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	broken := errors.New("broken")
	err := Write(path, 1, func(add func([]float32) error) error { return errors.Join(add([]float32{1}), broken) })
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Write(path, 2, fillWith([]float32{1})); err == nil || !strings.Contains(err.Error(), "row 0 has 1 values, want 2") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRefused(t *testing.T) {
	for _, k := range []struct{ data, want string }{
		{"", "no .npy file"},
		{"PK\x03\x04 an archive of them", "no .npy file"},
		{magic + "\x09\x00\x00\x00", "version 9"},
		{magic + "\x01\x00\xff\x00{}", "cut short in the header"},
		{magic + "\x02\x00\xff\xff\xff\xff...", "a header of 4294967295 bytes"},
		{string(file("{}", 0)), "a broken header"},
		{string(file("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }", 4)), `"fp16, <f2": want fp32`},
		{string(file("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", 16)), `"fp64, <f8": want fp32`},
		{string(file("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }", 8)), `">f4": want fp32`},
		{string(file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 2), }", 8)), `"": want fp32`},
		{string(file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16)), "Fortran"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 16)), "the shape (4,): want two dimensions"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }", 0)), "the shape (2, 0): want two dimensions"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }", 16)), "want two dimensions"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 12)), "12 bytes of values"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0)), "0 bytes of values"},
		{string(file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }", 0)), "a number too large"},
	} {
		if _, err := Parse([]byte(k.data)); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%q: %v, want %q", k.data, err, k.want)
		}
	}
	// Other writers: double quotes, another order of the keys, no padding.
	m, err := Parse(file(`{"shape": (2, 1), "fortran_order": True, "descr": "<f4"}`, 8))
	if err != nil || m.Rows != 2 || m.Cols != 1 {
		t.Error(m, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", 8))
	f.Add(bytes.Repeat([]byte{0}, 20))
	f.Add([]byte(magic + "\x02\x00\x01\x00\x00\x00{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err == nil && len(m.Data) != m.Rows*m.Cols {
			t.Errorf("%d values of %d x %d", len(m.Data), m.Rows, m.Cols)
		}
	})
}
