package tensorflow

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"albert/internal/files/safetensors"
)

// TestWriteForTensorFlow writes checkpoints into ALBERT_TF_OUT, where parity/tensorflow.sh has TensorFlow read them: each case of
// testdata over Hugging Face's names and back, its unused variables beside it; types, as far as it can be read; and many, whose index
// has several blocks.
func TestWriteForTensorFlow(t *testing.T) {
	out := os.Getenv("ALBERT_TF_OUT")
	if out == "" {
		t.Skip("ALBERT_TF_OUT is not set")
	}
	write := func(name string, list []safetensors.Tensor) {
		if err := Write(filepath.Join(out, name), list); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range cases {
		f := open(t, "testdata/"+name)
		m, unused, err := Model(f)
		if err != nil {
			t.Fatal(err)
		}
		var list []safetensors.Tensor
		for _, n := range m.Names() {
			values, shape, err := m.Float32(n)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, safetensors.Float32Tensor(n, shape, values))
		}
		if list, err = FromHuggingFace(list); err != nil {
			t.Fatal(err)
		}
		for _, n := range unused {
			x, err := f.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, x)
		}
		write(name, list)
	}
	var list []safetensors.Tensor
	f := open(t, "testdata/types")
	for _, n := range f.Names() {
		if !slices.Contains([]string{"string", "complex", "parts"}, n) {
			x, err := f.Tensor(n)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, x)
		}
	}
	write("types", list)
	list = nil
	for i := range 20000 {
		list = append(list, safetensors.Float32Tensor(fmt.Sprintf("v%d/of/many", i), []int{1, 1}, []float32{float32(i)}))
	}
	write("many", list)
}
