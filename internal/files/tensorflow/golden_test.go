package tensorflow

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// expected are the tensors that a case has by Python's account.
func expected(t *testing.T, name string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func same(t *testing.T, what string, got, want []float32, gotShape, wantShape []int) {
	t.Helper()
	if !slices.Equal(gotShape, wantShape) {
		t.Errorf("%s: shape %v, want %v", what, gotShape, wantShape)
		return
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

var cases = []string{"plain", "groups", "hub", "square", "beam"}

// A checkpoint of TensorFlow's, under Hugging Face's names, holds what transformers makes of it.
func TestModel(t *testing.T) {
	for _, name := range cases {
		m, unused, err := Model(open(t, "testdata/"+name))
		if err != nil {
			t.Fatal(err)
		}
		want := expected(t, name)
		if !slices.Equal(m.Names(), want.Names()) {
			t.Errorf("%s: names %v, want %v", name, m.Names(), want.Names())
		}
		for _, n := range want.Names() {
			got, gotShape, err := m.Float32(n)
			if err != nil {
				t.Error(err)
				continue
			}
			values, shape, _ := want.Float32(n)
			same(t, name+": "+n, got, values, gotShape, shape)
		}
		for _, n := range unused {
			if !strings.Contains(n, "/adam_") && !strings.Contains(n, "/lamb_") && n != "global_step" {
				t.Errorf("%s: %s is not used", name, n)
			}
		}
		if name == "groups" && (!slices.Contains(unused, "global_step") || len(unused) != 1+2*len(m.Names())+2) {
			t.Errorf("%d unused: %v", len(unused), unused)
		}
		if _, _, err := m.Float32("none"); err == nil {
			t.Error("a tensor that is not there is read")
		}
	}
}

// Each type of numbers is read; what cannot be is refused when it is read, not before.
func TestTypes(t *testing.T) {
	f := open(t, "testdata/types")
	want := expected(t, "types")
	for _, n := range want.Names() {
		of, conversion := strings.CutSuffix(n, " as float")
		if conversion {
			got, shape, err := f.Float32(of)
			if err != nil {
				t.Error(err)
				continue
			}
			values, wantShape, _ := want.Float32(n)
			same(t, n, got, values, shape, wantShape)
			continue
		}
		got, err := f.Tensor(n)
		if err != nil {
			t.Error(err)
			continue
		}
		x, _ := want.Tensor(n)
		if got.DType != x.DType || !slices.Equal(got.Shape, x.Shape) || !bytes.Equal(got.Data, x.Data) {
			t.Errorf("%s: %v, want %v", n, got, x)
		}
	}
	for name, want := range map[string]string{"string": "DT_STRING", "complex": "DT_COMPLEX64", "parts": "partitioned", "none": "no tensor", "int32": "fraction"} {
		_, _, err := f.Float32(name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "testdata/types.index: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if i := slices.IndexFunc(f.Names(), func(n string) bool { return strings.Contains(n, "\x00") }); i >= 0 {
		t.Errorf("a part is listed: %q", f.Names()[i])
	}
}

// all reads the tensors of a checkpoint as they stand.
func all(t *testing.T, f *File) []safetensors.Tensor {
	t.Helper()
	var list []safetensors.Tensor
	for _, n := range f.Names() {
		x, err := f.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

// Written again, a checkpoint has TensorFlow's own bytes.
func TestWriteIsTensorFlows(t *testing.T) {
	for _, name := range []string{"plain", "groups", "hub", "square"} {
		prefix := filepath.Join(t.TempDir(), "x")
		if err := Write(prefix, all(t, open(t, "testdata/"+name))); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{".index", ".data-00000-of-00001"} {
			got, err := os.ReadFile(prefix + suffix)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/" + name + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s%s differs", name, suffix)
			}
		}
	}
}

// From Google's names to Hugging Face's and back, a checkpoint is what it was, but for the slots.
func TestThereAndBack(t *testing.T) {
	for _, name := range cases {
		want := open(t, "testdata/"+name)
		m, unused, err := Model(want)
		if err != nil {
			t.Fatal(err)
		}
		var tensors []safetensors.Tensor
		for _, n := range m.Names() {
			values, shape, err := m.Float32(n)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, safetensors.Float32Tensor(n, shape, values))
		}
		google, err := FromHuggingFace(tensors)
		if err != nil {
			t.Fatal(err)
		}
		prefix := filepath.Join(t.TempDir(), "x")
		if err := Write(prefix, google); err != nil {
			t.Fatal(err)
		}
		got := open(t, prefix)
		var names []string
		for _, n := range want.Names() {
			if slices.Contains(unused, n) {
				continue
			}
			x, err := want.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			n = strings.TrimPrefix(n, "module/")
			names = append(names, n)
			y, err := got.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
				t.Errorf("%s: %s differs", name, n)
			}
		}
		if slices.Sort(names); !slices.Equal(names, got.Names()) {
			t.Errorf("%s: names %v, want %v", name, got.Names(), names)
		}
	}
}
