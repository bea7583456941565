package formats_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/formats"
	"albert/internal/model"
)

// Any model is opened the same way, and written as its name says.
func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 50, 8, 16, 32, 2, 2
	m := &formats.Model{Model: model.New(c, 1), Path: "random"}
	for _, name := range []string{"small.tar.gz", "torch/pytorch_model.bin", "onnx/model.onnx", "hf"} {
		path := filepath.Join(dir, name)
		if _, _, err := formats.Write(context.Background(), path, m, formats.WriteOptions{}); err != nil {
			fmt.Println(err)
			return
		}
		again, err := formats.Open(path)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(again.Format, again.Class(), again.Hash() == m.Hash())
	}
	// Output:
	// tar AlbertForPreTraining true
	// pytorch AlbertForPreTraining true
	// onnx AlbertForPreTraining true
	// hf AlbertForPreTraining true
}
