package pytorch_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pytorch_model.bin")
	pooler := safetensors.Float32Tensor("albert.pooler.weight", []int{2, 2}, []float32{1, 2, 3, 4})
	if err := disk.Atomically(path, func(w io.Writer) error { return pytorch.WriteTo(w, []safetensors.Tensor{pooler}) }); err != nil {
		fmt.Println(err)
		return
	}
	f, err := pytorch.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Println(f.Float32("albert.pooler.weight"))
	// Output: [1 2 3 4] [2 2] <nil>
}
