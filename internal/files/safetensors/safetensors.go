// Package safetensors reads and writes safetensors files, in which models are kept: eight bytes of length, a JSON header, then the
// tensors' bytes, little-endian, without gaps. It knows tensors by name and nothing of models.
//
//	f, err := safetensors.OpenModel("albert-base-v2")
//	values, shape, err := f.Float32("albert.pooler.weight")
//
// [Tensor] and [Reader] are what packages for other formats give, too.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// maxHeader is the format's own bound on the header's length.
const maxHeader = 100_000_000

// maxTensors bounds how many tensors a file may hold; real ones have some hundreds.
const maxTensors = 1 << 20

// DType is the type of a tensor's values, in safetensors' names.
type DType string

// dtypes are the types that can be kept, in the order in which the Python library lays them into a file: the widest first, so that
// every tensor is aligned to its own width.
var dtypes = []DType{"U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL"}

// sizes of the types in bytes.
var sizes = map[DType]int{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "U16": 2, "U32": 4, "U64": 8, "BOOL": 1}

// Size is the bytes of one value, 0 of an unknown type.
func (t DType) Size() int { return sizes[t] }

// dataSize is the bytes of a tensor's values; what is over limit counts as limit+1.
func dataSize(t DType, shape []int, limit int) (int, error) {
	size, ok := sizes[t]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %s", Quote(string(t)))
	}
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %s", Clip(fmt.Sprint(shape)))
		}
		if d != 0 && size > limit/d {
			size = limit + 1 // for good, unless a later dimension is 0
		} else {
			size *= d
		}
	}
	return size, nil
}

// Clip shortens what a file says, for a message.
func Clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

// Quote shows a name that a file gives in a message: as it is if it is plain, in Go's notation otherwise, and never much of it.
func Quote(name string) string {
	special := func(r rune) bool {
		return r <= ' ' || r == '"' || r == '\\' || r == utf8.RuneError || !strconv.IsPrint(r)
	}
	if name == "" || strings.ContainsFunc(name, special) {
		return strconv.Quote(Clip(name))
	}
	return Clip(name)
}

// Tensor is a named tensor, its values as little-endian bytes.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Float32Tensor makes a tensor of values, which are not copied.
func Float32Tensor(name string, shape []int, values []float32) Tensor {
	return Tensor{Name: name, DType: "F32", Shape: shape, Data: Bytes(values)}
}

// Bytes is the little-endian form of values; on a little-endian machine it is their memory.
func Bytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	if disk.LittleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	}
	out, _ := binary.Append(nil, binary.LittleEndian, values)
	return out
}

// Reader gives tensors by name.
type Reader interface {
	// Names lists the tensors in byte order.
	Names() []string
	// Float32 gives a tensor's values, converted if need be. They must not be changed.
	Float32(name string) (values []float32, shape []int, err error)
	Close() error
}

// File is an open safetensors file, memory-mapped where the system can.
type File struct {
	disk.Mapped
	tensors  map[string]Tensor
	names    []string
	metadata map[string]string
}

// Open opens a safetensors file and checks its header: lengths, types, that the tensors fill the file without gaps or overlaps.
func Open(path string) (*File, error) { return disk.Open(path, Parse) }

// metadataKey is the header's only key that is no tensor.
const metadataKey = "__metadata__"

type headerEntry struct {
	DType   DType `json:"dtype"`
	Shape   []int `json:"shape"`
	Offsets []int `json:"data_offsets"`
}

// Parse reads the bytes of a safetensors file, which the tensors keep pointing to.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes: too short for a safetensors file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the limit is %d: not a safetensors file?", n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return nil, fmt.Errorf("truncated: a header of %d bytes in a file of %d", n, len(data))
	}
	header, body := data[8:8+n], data[8+n:]
	f := &File{tensors: map[string]Tensor{}}
	entries, err := parseHeader(header, &f.metadata)
	if err != nil {
		return nil, err
	}
	f.names = slices.Sorted(maps.Keys(entries))
	for _, name := range f.names {
		e := entries[name]
		size, err := dataSize(e.DType, e.Shape, len(body))
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", Quote(name), err)
		}
		if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
			return nil, fmt.Errorf("tensor %s: bad data_offsets %s", Quote(name), Clip(fmt.Sprint(e.Offsets)))
		}
		if e.Offsets[1] > len(body) {
			return nil, fmt.Errorf("truncated: tensor %s ends at byte %d of %d", Quote(name), e.Offsets[1], len(body))
		}
		if n := e.Offsets[1] - e.Offsets[0]; n != size {
			return nil, fmt.Errorf("tensor %s: %s%s does not fit the %d bytes of its data_offsets",
				Quote(name), e.DType, Clip(fmt.Sprint(e.Shape)), n)
		}
		f.tensors[name] = Tensor{Name: name, DType: e.DType, Shape: e.Shape, Data: body[e.Offsets[0]:e.Offsets[1]]}
	}
	placed := slices.Clone(f.names)
	slices.SortStableFunc(placed, func(a, b string) int { return slices.Compare(entries[a].Offsets, entries[b].Offsets) })
	at := 0
	for _, name := range placed {
		begin := entries[name].Offsets[0]
		if begin < at {
			return nil, fmt.Errorf("tensor %s overlaps the one before it", Quote(name))
		}
		if begin > at {
			return nil, fmt.Errorf("gap of %d bytes before tensor %s", begin-at, Quote(name))
		}
		at = entries[name].Offsets[1]
	}
	if at != len(body) {
		return nil, fmt.Errorf("%d bytes after the last tensor", len(body)-at)
	}
	return f, nil
}

// parseHeader reads the header; a name that is given twice is an error.
func parseHeader(header []byte, metadata *map[string]string) (map[string]headerEntry, error) {
	if !utf8.Valid(header) {
		return nil, errors.New("the header is not UTF-8")
	}
	if !bytes.HasPrefix(header, []byte("{")) {
		return nil, errors.New("the header is not a JSON object")
	}
	entries := map[string]headerEntry{}
	dec := json.NewDecoder(bytes.NewReader(header))
	err := jsonobject.Read(dec, func(name string) error {
		if name == metadataKey {
			if *metadata != nil {
				return errors.New("__metadata__ appears twice")
			}
			if err := dec.Decode(metadata); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			return nil
		}
		if _, twice := entries[name]; twice {
			return fmt.Errorf("tensor %s appears twice", Quote(name))
		}
		if len(entries) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		var e headerEntry
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("tensor %s: %w", Quote(name), err)
		}
		if e.DType == "" || e.Shape == nil || e.Offsets == nil {
			return fmt.Errorf("tensor %s lacks dtype, shape or data_offsets", Quote(name))
		}
		entries[name] = e
		return nil
	})
	if err == nil && len(bytes.TrimSpace(header[dec.InputOffset():])) > 0 {
		err = errors.New("text after the JSON object")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return entries, nil
}

// Names lists the tensors in byte order.
func (f *File) Names() []string { return f.names }

// Metadata is the header's __metadata__.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensor gives a tensor as it is in the file.
func (f *File) Tensor(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %s", f.Path, Quote(name))
	}
	return t, nil
}

// Float32 gives a tensor's values as float32: F32 as it is, F16 and BF16 exactly, F64 rounded.
func (f *File) Float32(name string) ([]float32, []int, error) { return Values(f, name, f.Path) }

// Values gives what [Reader.Float32] does, of the tensor that a reader of a file gives. Errors name the file.
func Values(r interface{ Tensor(string) (Tensor, error) }, name, path string) ([]float32, []int, error) {
	t, err := r.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.Float32()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: tensor %s: %w", path, Quote(name), err)
	}
	return v, t.Shape, nil
}

// Float32 gives the values as float32: F32 as they are (not a copy, where they are aligned), F16 and BF16 exactly, F64 rounded.
func (t Tensor) Float32() ([]float32, error) {
	n := len(t.Data) / sizes[t.DType]
	if t.DType == "F32" && n > 0 && disk.LittleEndian && uintptr(unsafe.Pointer(&t.Data[0]))%4 == 0 {
		return unsafe.Slice((*float32)(unsafe.Pointer(&t.Data[0])), n), nil
	}
	out := make([]float32, n)
	le := binary.LittleEndian
	for i := range out {
		switch t.DType {
		case "F32":
			out[i] = math.Float32frombits(le.Uint32(t.Data[4*i:]))
		case "BF16":
			out[i] = math.Float32frombits(uint32(le.Uint16(t.Data[2*i:])) << 16)
		case "F16":
			out[i] = half(le.Uint16(t.Data[2*i:]))
		case "F64":
			out[i] = float32(math.Float64frombits(le.Uint64(t.Data[8*i:])))
		default:
			return nil, fmt.Errorf("dtype %s where numbers with a fraction are needed", t.DType)
		}
	}
	return out, nil
}

// Float64 gives the values of an F64 tensor, or of one of a smaller type.
func (t Tensor) Float64() ([]float64, error) {
	if t.DType != "F64" {
		v, err := t.Float32()
		out := make([]float64, len(v))
		for i := range v {
			out[i] = float64(v[i])
		}
		return out, err
	}
	out := make([]float64, len(t.Data)/8)
	_, err := binary.Decode(t.Data, binary.LittleEndian, out)
	return out, err
}

// Int64 gives the values of a tensor of integers (I64, I32, U8) or truths (BOOL: 0, 1).
func (t Tensor) Int64() ([]int64, error) {
	n := len(t.Data) / sizes[t.DType]
	out := make([]int64, n)
	for i := range out {
		switch t.DType {
		case "I64":
			out[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
		case "I32":
			out[i] = int64(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
		case "U8", "BOOL":
			out[i] = int64(t.Data[i])
		default:
			return nil, fmt.Errorf("dtype %s where integers are needed", t.DType)
		}
	}
	return out, nil
}

// Transpose gives a matrix [rows,cols] as [cols,rows]; a value is so many elements of the slice.
func Transpose[T any](m []T, rows, cols, value int) []T {
	out := make([]T, len(m))
	const tile = 32 // 32 rows of 128 bytes on either side stay in the first cache
	for i0 := 0; i0 < rows; i0 += tile {
		for j0 := 0; j0 < cols; j0 += tile {
			for i := i0; i < min(i0+tile, rows); i++ {
				from, to := i*cols*value, i*value
				for j := j0; j < min(j0+tile, cols); j++ {
					for k := range value { // 1 to 8: shorter than the call of copy
						out[to+j*rows*value+k] = m[from+j*value+k]
					}
				}
			}
		}
	}
	return out
}

// half is the value of an IEEE half-precision number.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24
		v := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
