package pytorch

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
)

// golden reads what parity/golden/pytorch.py says of its files.
func golden[T any](t testing.TB, path string) map[string]T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Files map[string]T }
	if err := json.Unmarshal(text, &said); err != nil || len(said.Files) == 0 {
		t.Fatal(path, err)
	}
	return said.Files
}

// all gives the tensors of a file.
func all(t testing.TB, f *File) []safetensors.Tensor {
	t.Helper()
	var out []safetensors.Tensor
	for _, n := range f.Names() {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

// PyTorch's own files have the tensors that PyTorch says they have, and so have the files that we make of them.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	for name, want := range golden[map[string][3]any](t, "good/expected.json") {
		f, err := Open(filepath.Join("testdata/good", name))
		if err != nil {
			t.Error(err)
			continue
		}
		check := func(f *File) {
			inner := map[string]string{"state_dict.pt": "state_dict.", "model.legacy.pt": "model."}[name] // the dict that they are in
			names := slices.DeleteFunc(slices.Clone(f.Names()), func(n string) bool { return !strings.HasPrefix(n, inner) })
			if len(names) != len(want) {
				t.Errorf("%s: names %q, want %q", name, names, slices.Sorted(maps.Keys(want)))
			}
			for _, n := range names {
				x, err := f.Tensor(n)
				if err != nil {
					t.Error(err)
				}
				e := want[strings.TrimPrefix(n, inner)]
				shape := []any{}
				for _, d := range x.Shape {
					shape = append(shape, float64(d))
				}
				if string(x.DType) != e[0] || !slices.Equal(shape, e[1].([]any)) || hex.EncodeToString(x.Data) != e[2] {
					t.Errorf("%s: %s: %s %v %x, want %v", name, x.Name, x.DType, x.Shape, x.Data, e)
				}
			}
		}
		check(f)
		again := filepath.Join(dir, name)
		if err := writeFile(again, all(t, f)); err != nil {
			t.Error(err)
			continue
		}
		g, err := Open(again)
		if err != nil {
			t.Error(err)
			continue
		}
		check(g)
		g.Close()
		f.Close()
	}
}

func TestFloat32(t *testing.T) {
	for _, path := range []string{"testdata/good/types.pt", "testdata/good/types.legacy.pt"} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for name, last := range map[string]float32{"float32": 6e-8, "float16": 0x1p-24, "bfloat16": 0x1.02p-24, "float64": 6e-8} {
			v, shape, err := f.Float32(name)
			if err != nil || !slices.Equal(shape, []int{2, 3}) || !slices.Equal(v[:4], []float32{0, -1.5, 3.25, float32(math.Inf(1))}) || v[4] == v[4] || v[5] != last {
				t.Errorf("%s: %s: %v %v %v", path, name, v, shape, err)
			}
		}
		for name, want := range map[string]string{
			"int64": path + ": tensor int64: dtype I64 where numbers with a fraction are needed",
			"none":  path + ": no tensor none",
		} {
			if _, _, err := f.Float32(name); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

// part is an entry of a zip file to be made.
type part struct{ name, content string }

// archive makes a zip file of stored entries.
func archive(parts ...part) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name})
		if err != nil {
			panic(err)
		}
		w.Write([]byte(p.content))
	}
	z.Close()
	return b.Bytes()
}

// zipped puts a pickle into a zip file with a storage 0 of two float32.
func zipped(program string) []byte {
	return archive(part{"x/data.pkl", program}, part{"x/byteorder", "little"}, part{"x/data/0", "\x00\x00\x80\x3f\x00\x00\x00\x40"}, part{"x/version", "3\n"})
}

// What stands before and behind the object in a file of torch.save before 1.6: behind it no storage, or a storage 0 of two float32.
const (
	legacyHead = "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."
	legacyNone = "\x80\x02]."
	legacyTail = "\x80\x02]X\x01\x00\x00\x000a.\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40"
)

// refused holds that a file is refused in one line, which names it and has the text wanted.
func refused(t *testing.T, what string, data []byte, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.bin")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		for _, n := range f.Names() {
			if _, err = f.Tensor(n); err != nil {
				break
			}
		}
		f.Close()
	}
	if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// Pickles that would run something, or never end, are refused by name in either container.
func TestPrograms(t *testing.T) {
	type program struct{ Program, Error string }
	for name, p := range golden[program](t, "programs.json") {
		text, err := hex.DecodeString(p.Program)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, name, zipped(string(text)), p.Error)
		refused(t, name+", legacy", []byte(legacyHead+string(text)+legacyNone), p.Error)
		refused(t, name+", alone", text, "")
	}
}

// Files of torch's that are no state dicts are refused.
func TestOtherFiles(t *testing.T) {
	for name, want := range golden[string](t, "bad/expected.json") {
		data, err := os.ReadFile(filepath.Join("testdata/bad", name))
		if err != nil {
			t.Fatal(err)
		}
		refused(t, name, data, want)
	}
	_, err := Open("testdata/bad/sparse.pt")
	if want := "testdata/bad/sparse.pt: refuses to call torch._utils._rebuild_sparse_tensor: only tensors are read"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
