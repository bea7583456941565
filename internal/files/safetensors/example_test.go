package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/files/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	pooler := safetensors.Float32Tensor("albert.pooler.weight", []int{2, 2}, []float32{1, 2, 3, 4})
	err = safetensors.Write(filepath.Join(dir, "model.safetensors"), []safetensors.Tensor{pooler}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Println(f.Float32("albert.pooler.weight"))
	// Output: [1 2 3 4] [2 2] <nil>
}
