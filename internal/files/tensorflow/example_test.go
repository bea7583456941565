package tensorflow_test

import (
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
)

// Google's kernel is [in, out], the weight [out, in].
func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "model.ckpt-best")
	kernel := safetensors.Float32Tensor("bert/pooler/dense/kernel", []int{2, 2}, []float32{1, 2, 3, 4})
	if err := tensorflow.Write(prefix, []safetensors.Tensor{kernel}); err != nil {
		fmt.Println(err)
		return
	}
	f, err := tensorflow.Open(prefix)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, unused, err := tensorflow.Model(f) // under Hugging Face's names
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	fmt.Println(unused)
	fmt.Println(m.Float32("albert.pooler.weight"))
	// Output:
	// []
	// [1 3 2 4] [2 2] <nil>
}
