// Package npy reads and writes NumPy's .npy files of one kind: fp32 matrices, a vector in each row (numpy/lib/format.py).
//
//	m, err := npy.Open("vectors.npy")     // mapped, not read
//	defer m.Close()
//	first := m.Data[:m.Cols]
package npy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unsafe"

	"albert/internal/files/disk"
)

// Matrix is a file's array. Its memory is the file's, which may be larger than the machine's.
type Matrix struct {
	disk.Mapped
	Rows, Cols int
	Data       []float32 // row after row
}

const (
	magic      = "\x93NUMPY"
	maxHeader  = 1 << 16 // bytes; of a matrix of numbers it takes 128
	headerSize = 128     // of what is written: as NumPy's own, with room for any number of rows
)

// Open maps a file.
func Open(path string) (*Matrix, error) { return disk.Open(path, Parse) }

// types are the names of what else people save.
var types = map[string]string{"f2": "fp16", "f8": "fp64", "V2": "bf16", "i1": "int8", "u1": "uint8", "i4": "int32", "i8": "int64", "O": "Python objects"}

var (
	descrKey = regexp.MustCompile(`['"]descr['"]\s*:\s*(?:'([^']*)'|"([^"]*)"|\[)`)
	orderKey = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	shapeKey = regexp.MustCompile(`['"]shape['"]\s*:\s*\(([0-9L, ]*)\)`)
)

// Parse reads a file's bytes, which the matrix keeps pointing to where they are aligned.
func Parse(data []byte) (*Matrix, error) {
	header, values, err := split(data)
	if err != nil {
		return nil, err
	}
	descr, order, shape := descrKey.FindStringSubmatch(header), orderKey.FindStringSubmatch(header), shapeKey.FindStringSubmatch(header)
	if descr == nil || order == nil || shape == nil {
		return nil, errors.New("a broken header: want descr, fortran_order and shape")
	}
	if t := descr[1] + descr[2]; t != "<f4" {
		if name := types[strings.TrimLeft(t, "<>|=")]; name != "" {
			t = name + ", " + t
		}
		return nil, fmt.Errorf("values of the type %q: want fp32, <f4 (numpy: array.astype('<f4'))", t)
	}
	var dims []int
	for _, d := range strings.Split(shape[1], ",") {
		if d = strings.TrimRight(strings.TrimSpace(d), "L"); d == "" {
			continue
		}
		n, err := strconv.Atoi(d)
		if err != nil {
			return nil, fmt.Errorf("the shape (%s): a number too large", shape[1])
		}
		dims = append(dims, n)
	}
	switch {
	case len(dims) != 2 || dims[1] == 0:
		return nil, fmt.Errorf("the shape (%s): want two dimensions, a vector in each row", shape[1])
	case order[1] == "True" && dims[0] > 1 && dims[1] > 1:
		return nil, errors.New("in Fortran's order, columns one after another: want rows (numpy: numpy.ascontiguousarray(array))")
	case dims[0] > math.MaxInt/4/dims[1] || len(values) != 4*dims[0]*dims[1]:
		return nil, fmt.Errorf("%d bytes of values: the shape (%s) wants %d times %d of 4", len(values), shape[1], dims[0], dims[1])
	}
	return &Matrix{Rows: dims[0], Cols: dims[1], Data: floats(values)}, nil
}

// split cuts a file into header and values.
func split(data []byte) (header string, values []byte, err error) {
	if len(data) < len(magic)+4 || string(data[:len(magic)]) != magic {
		return "", nil, errors.New("no .npy file")
	}
	begin, length := 10, int(binary.LittleEndian.Uint16(data[8:]))
	switch version := data[6]; {
	case version < 1 || version > 3:
		return "", nil, fmt.Errorf("version %d of the format: want 1 to 3", version)
	case version > 1 && len(data) < 12:
		return "", nil, errors.New("cut short in the header")
	case version > 1:
		begin, length = 12, int(binary.LittleEndian.Uint32(data[8:]))
	}
	if length > maxHeader {
		return "", nil, fmt.Errorf("a header of %d bytes: want at most %d", length, maxHeader)
	}
	if len(data) < begin+length {
		return "", nil, errors.New("cut short in the header")
	}
	return string(data[begin : begin+length]), data[begin+length:], nil
}

// floats are the values of little-endian bytes: the same memory where it is aligned.
func floats(b []byte) []float32 {
	if len(b) == 0 {
		return nil
	}
	if disk.LittleEndian && uintptr(unsafe.Pointer(&b[0]))%4 == 0 {
		return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
	}
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// Write writes a matrix of so many columns to a file, whole or not at all: fill adds the rows, of which none is kept.
func Write(path string, cols int, fill func(add func(row []float32) error) error) error {
	return disk.Atomically(path, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<20)
		if _, err := b.Write(make([]byte, headerSize)); err != nil {
			return err
		}
		rows := 0
		var bytes []byte
		err := fill(func(row []float32) error {
			if len(row) != cols {
				return fmt.Errorf("row %d has %d values, want %d", rows, len(row), cols)
			}
			rows++
			bytes = bytes[:0]
			for _, x := range row {
				bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
			}
			_, err := b.Write(bytes)
			return err
		})
		if err == nil {
			err = b.Flush()
		}
		if err == nil { // now the number of rows is known
			_, err = w.(io.WriterAt).WriteAt(headerOf(rows, cols), 0)
		}
		return err
	})
}

func headerOf(rows, cols int) []byte {
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	h := append([]byte(magic), 1, 0)
	h = binary.LittleEndian.AppendUint16(h, headerSize-10)
	return fmt.Appendf(h, "%-*s\n", headerSize-11, text)
}
