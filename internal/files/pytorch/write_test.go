package pytorch

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/disk"

	"albert/internal/files/safetensors"
)

func sample() []safetensors.Tensor {
	return []safetensors.Tensor{
		safetensors.Float32Tensor("b", []int{2, 2}, []float32{1, -2, 3, 1e-42}),
		{Name: "a é", DType: "BF16", Shape: []int{3}, Data: []byte("123456")},
		{Name: "", DType: "BOOL", Shape: nil, Data: []byte{1}},
		{Name: "none", DType: "I64", Shape: []int{0, 7}},
		{Name: "big", DType: "U8", Shape: []int{300, 1, 300}, Data: make([]byte, 90000)},
	}
}

// The same tensors give the same bytes, each storage begins at a multiple of 64, and nothing else is left in the directory.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pytorch_model.bin")
	if err := writeFile(path, sample()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteTo(&again, sample()); err != nil || !bytes.Equal(data, again.Bytes()) {
		t.Error("the bytes differ", err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if at, err := f.DataOffset(); err != nil || at%64 != 0 || f.Method != zip.Store {
			t.Errorf("%s at %d: %v", f.Name, at, err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := strings.Join(f.Names(), ","); got != ",a é,b,big,none" {
		t.Errorf("names %s", got)
	}
	for _, want := range sample() {
		x, err := f.Tensor(want.Name)
		if err != nil || x.DType != want.DType || !bytes.Equal(x.Data, want.Data) || len(x.Shape) != len(want.Shape) {
			t.Errorf("%v, want %v: %v", x, want, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files left", len(left))
	}
}

// What PyTorch could not read is not written, and what stood there stays.
func TestRefusedTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.bin")
	if err := disk.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for want, x := range map[string][]safetensors.Tensor{
		`tensor "\xff": not a name`:               {{Name: "\xff", DType: "U8"}},
		"tensor a: PyTorch has no storage for":    {{Name: "a", DType: "U16", Shape: []int{0}}},
		"tensor a: 8 bytes do not fit F32[3]":     {{Name: "a", DType: "F32", Shape: []int{3}, Data: make([]byte, 8)}},
		"tensor a: negative dimension":            {{Name: "a", DType: "F32", Shape: []int{-1}}},
		"tensor a: 65 dimensions":                 {{Name: "a", DType: "F32", Shape: make([]int, 65)}},
		"bytes do not fit U8[4294967296 42949672": {{Name: "a", DType: "U8", Shape: []int{1 << 32, 1 << 32}}},
		"tensor a: given twice":                   {{Name: "a", DType: "U8", Shape: []int{0}}, {Name: "a", DType: "U8", Shape: []int{0}}},
	} {
		if err := writeFile(path, x); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("file holds %q", b)
	}
	if err := WriteTo(full{}, sample()); err != io.ErrShortWrite {
		t.Error(err)
	}
}

// writeFile writes a state dict as the commands do, whole or not at all.
func writeFile(path string, tensors []safetensors.Tensor) error {
	return disk.Atomically(path, func(w io.Writer) error { return WriteTo(w, tensors) })
}

// full is a disk with no room left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// A model is one file, or the files of its directory that an index names; old names in the index are offered as they are in a file.
func TestOpenModel(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenModel(dir); err == nil || err.Error() != dir+": no pytorch_model.bin there" {
		t.Error(err)
	}
	write := func(name string, x ...safetensors.Tensor) {
		if err := writeFile(filepath.Join(dir, name), x); err != nil {
			t.Fatal(err)
		}
	}
	write("one.bin", safetensors.Float32Tensor("a.LayerNorm.gamma", []int{1}, []float32{1}))
	write("two.bin", safetensors.Float32Tensor("b", []int{1}, []float32{2}), safetensors.Float32Tensor("unlisted", []int{1}, []float32{3}))
	index := filepath.Join(dir, "pytorch_model.bin.index.json")
	for bad, want := range map[string]string{
		`{"weight_map":{"b":"../two.bin"}}`:                                             "is not a file of this directory",
		`{"weight_map":{"b":"/etc/passwd"}}`:                                            "is not a file of this directory",
		`{"weight_map":{"z":"one.bin"}}`:                                                "one.bin: no tensor z",
		`{"weight_map":{"b":"none.bin"}}`:                                               "none.bin: no such file",
		`{"weight_map":{"b":"two.bin","b":"two.bin"}}`:                                  "tensor b appears twice",
		`{"weight_map":{"a.LayerNorm.gamma":"one.bin","a.LayerNorm.weight":"one.bin"}}`: "tensor a.LayerNorm.weight appears twice",
	} {
		if err := disk.WriteFile(index, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenModel(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), index) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := disk.WriteFile(index, []byte(`{"weight_map":{"b":"two.bin","a.LayerNorm.gamma":"one.bin"}}`)); err != nil {
		t.Fatal(err)
	}
	check := func(names string) {
		r, err := OpenModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		v, shape, err := r.Float32("b")
		if err != nil || v[0] != 2 || len(shape) != 1 || strings.Join(r.Names(), " ") != names {
			t.Errorf("%v %v %v %v", v, shape, err, r.Names())
		}
	}
	check("a.LayerNorm.weight b")
	write("pytorch_model.bin", safetensors.Float32Tensor("b", []int{1}, []float32{2}))
	check("b")
}

// TestParity is one side of parity/pytorch.sh: it reads each file of in/ and writes it to out/.
func TestParity(t *testing.T) {
	dir := os.Getenv("ALBERT_PYTORCH_PARITY")
	if dir == "" {
		t.Skip("ALBERT_PYTORCH_PARITY is not set: parity/pytorch.sh sets it")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "in", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no files", err)
	}
	for _, p := range paths {
		f, err := Open(p)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := writeFile(filepath.Join(dir, "out", filepath.Base(p)), all(t, f)); err != nil {
			t.Error(err)
		}
		f.Close()
	}
}
