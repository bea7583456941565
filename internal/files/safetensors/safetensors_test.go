package safetensors

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/disk"
)

func file(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	in := []Tensor{Float32Tensor("b", []int{2, 2}, []float32{1, -2, float32(math.Inf(1)), 1e-42}), Float32Tensor("a", []int{3}, []float32{4, 5, 6}), Float32Tensor("none", []int{0, 7}, nil)}
	if err := Write(path, in, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := strings.Join(f.Names(), " "); got != "a b none" {
		t.Errorf("names %s", got)
	}
	if f.Metadata()["format"] != "pt" {
		t.Error("metadata lost")
	}
	v, shape, err := f.Float32("b")
	if err != nil || len(shape) != 2 || v[1] != -2 || v[3] != 1e-42 {
		t.Errorf("%v %v %v", v, shape, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files left", len(left))
	}
}

func TestHalfTypes(t *testing.T) {
	for h, want := range map[uint16]float32{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x8000: float32(math.Copysign(0, -1)), 0x7c00: float32(math.Inf(1)), 0x03ff: 1023 * 0x1p-24, 0x0400: 0x1p-14} {
		if got := half(h); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("%04x: %v, want %v", h, got, want)
		}
	}
	f, err := Parse(append(file(`{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, 0), 0x80, 0x3f, 0x20, 0xc0))
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := f.Float32("x"); err != nil || v[0] != 1 || v[1] != -2.5 {
		t.Errorf("%v %v", v, err)
	}
}

var malformed = map[string][]byte{
	"too short for a safetensors file": {1, 2, 3},
	"header of 9223372036854775807":    {255, 255, 255, 255, 255, 255, 255, 127},
	"truncated: a header":              append(binary.LittleEndian.AppendUint64(nil, 50), "{}"...),
	"not a JSON object":                file(`[]`, 0),
	"the header is not a JSON object":  file(` {}`, 0),
	"__metadata__ appears twice":       file(`{"__metadata__":{},"__metadata__":{}}`, 0),
	"header: __metadata__: json":       file(`{"__metadata__":{"format":1}}`, 0),
	"tensor a lacks":                   file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
	"tensor b lacks":                   file(`{"b":null}`, 4),
	`tensor "line\nline": unknown`:     file(`{"line\nline":{"dtype":"X","shape":[1],"data_offsets":[0,4]}}`, 4),
	"the header is not UTF-8":          file("{\"\xff\":1}", 0),
	"appears twice":                    file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
	"unknown dtype":                    file(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4),
	"negative dimension":               file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4),
	"bad data_offsets":                 file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4),
	"truncated: tensor a":              file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4),
	"does not fit":                     file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}`, 4),
	"overlaps":                         file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
	"gap of 4 bytes before tensor b":   file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12),
	"4 bytes after the last":           file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8),
	"text after":                       file(`{} x`, 0),
	"header: tensor a: EOF":            file(`{"a":`, 0),
}

// Each malformed file is refused with one line that names it.
func TestMalformed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	for want, data := range malformed {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", want, err)
		}
	}
	for _, name := range []string{"", "none"} { // a directory, nothing
		if _, err := Open(filepath.Join(filepath.Dir(path), name)); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
}

// A file that ends early, at whatever byte, is refused.
func TestTruncated(t *testing.T) {
	data, err := os.ReadFile("testdata/dtypes.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := Parse(data[:n]); err == nil {
			t.Fatalf("%d of %d bytes are accepted", n, len(data))
		}
	}
}

// The Python library's file of all types (parity/golden/make.py) has the values that PyTorch converts them to, and we write the same
// bytes.
func TestPythonFile(t *testing.T) {
	const path = "testdata/dtypes.safetensors"
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, _, err := f.Float32("F32")
	if err != nil {
		t.Fatal(err)
	}
	var all []Tensor
	for _, n := range f.Names() {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	for _, n := range []string{"BF16", "F16", "F64"} {
		got, _, err := f.Float32(n)
		if err != nil {
			t.Fatal(err)
		}
		expected, _, err := f.Float32(n + " as F32")
		if err != nil || len(expected) != len(got) {
			t.Fatal(err, len(expected), len(got))
		}
		for i := range got {
			if got[i] != got[i] && expected[i] != expected[i] {
				continue
			}
			if math.Float32bits(got[i]) != math.Float32bits(expected[i]) {
				t.Errorf("%s: value %d is %v, want %v", n, i, got[i], expected[i])
			}
		}
	}
	for _, n := range []string{"I32", "I64", "U8", "BOOL"} {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Int64()
		if err != nil || len(got) == 0 {
			t.Fatal(n, err, got)
		}
		for i, v := range got {
			if n == "BOOL" && v != int64(i%2) || n != "BOOL" && float32(v) != want[i] {
				t.Errorf("%s: value %d is %d", n, i, v)
			}
		}
		if _, _, err := f.Float32(n); err == nil {
			t.Errorf("%s is read as fp32", n)
		}
	}
	var again bytes.Buffer
	if err := WriteTo(&again, all, f.Metadata()); err != nil {
		t.Fatal(err)
	}
	if python, _ := os.ReadFile(path); !bytes.Equal(again.Bytes(), python) {
		t.Error("written again, the bytes differ")
	}
}

// What could not be read back is not written.
func TestRefusedTensors(t *testing.T) {
	for want, x := range map[string]Tensor{
		"not a name":            {Name: "__metadata__", DType: "U8"},
		"tensor \"\\xff\": not": {Name: "\xff", DType: "U8"},
		"unknown dtype":         {Name: "a", DType: "F31"},
		"do not fit F32[3]":     {Name: "a", DType: "F32", Shape: []int{3}, Data: make([]byte, 8)},
		"negative dimension":    {Name: "a", DType: "F32", Shape: []int{-1}},
	} {
		if err := WriteTo(io.Discard, []Tensor{x}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "one.safetensors"), []Tensor{Float32Tensor("a", []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "two.safetensors"), []Tensor{Float32Tensor("b", []int{1}, []float32{2})}, nil); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	if err := disk.WriteFile(index, []byte(`{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}`)); err != nil {
		t.Fatal(err)
	}
	r, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := r.Float32("b"); err != nil || v[0] != 2 || strings.Join(r.Names(), "") != "ab" {
		t.Errorf("%v %v", v, err)
	}
	r.Close()
	for bad, want := range map[string]string{
		`{"weight_map":{"a":"../one.safetensors"}}`: "is not a file of this directory",
		`{"weight_map":{"z":"one.safetensors"}}`:    "no tensor z",
		`{"weight_map":[]}`:                         "weight_map: not a JSON object",
		`{}`:                                        "weight_map: not a JSON object",
		`{"weight_map":{"a":1}}`:                    "tensor a: json",
		`{"weight_map":{"a":"none.safetensors"}}`:   "none.safetensors: no such file",
		`{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}`: "tensor a appears twice",
	} {
		if err := disk.WriteFile(index, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenModel(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), index) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range malformed {
		f.Add(data)
	}
	var good bytes.Buffer
	if err := WriteTo(&good, []Tensor{Float32Tensor("a", []int{2}, []float32{1, 2})}, map[string]string{"format": "pt"}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		var all []Tensor
		for _, n := range file.Names() {
			tensor, _ := file.Tensor(n)
			_, _, _ = file.Float32(n)
			_, _ = tensor.Float64()
			_, _ = tensor.Int64()
			all = append(all, tensor)
		}
		var once, twice bytes.Buffer
		if err := WriteTo(&once, all, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(once.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		all = all[:0]
		for _, n := range again.Names() {
			tensor, _ := again.Tensor(n)
			all = append(all, tensor)
		}
		if err := WriteTo(&twice, all, again.Metadata()); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatal("written, read and written again, the bytes differ", err)
		}
	})
}

// Whatever an index says, it is refused or each tensor that it names is one of a file of its directory.
func FuzzIndex(f *testing.F) {
	f.Add(`{"weight_map":{"a":"one","b":"two"}}`)
	f.Add(`{"weight_map":{"a":"../one","a":1}}`)
	f.Add(`{"weight_map":{"a":"/"}}`)
	f.Add(`{"weight_map":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &shards{index: "dir/index.json", files: map[string]Reader{}, of: map[string]Reader{}}
		err := s.open([]byte(text), func(path string) (Reader, error) {
			if filepath.Dir(path) != "dir" {
				t.Errorf("opens %s", path)
			}
			return &File{names: []string{"a", "b"}}, nil
		}, func(name string) string { return name })
		if err == nil && len(s.names) > 2 {
			t.Errorf("%q", s.names)
		}
	})
}
