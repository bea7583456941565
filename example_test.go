package albert_test

import (
	"fmt"
	"os"
	"path/filepath"

	"albert"
	"albert/internal/model"
)

// A model that was saved opens with one call. This one is tiny, random and without a tokenizer, so that pieces are given by id.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 50, 8, 16, 32, 2, 2
	if err := model.New(c, 1).Save(dir); err != nil {
		fmt.Println(err)
		return
	}

	m, err := albert.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	in := albert.Input{IDs: []int32{2, 17, 4, 33, 3}, Types: make([]int32, 5)}
	answers, err := m.FillAll([]albert.Input{in}, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	vectors, err := m.EmbedAll([]albert.Input{in}, albert.EmbedOptions{Layer: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(answers[0]), "mask,", len(answers[0][0]), "answers,", len(vectors[0][0]), "values")
	// Output: 1 mask, 3 answers, 16 values
}

// A missing model is one clear line.
func ExampleOpen_missing() {
	_, err := albert.Open(filepath.Join("no", "such", "model"))
	fmt.Println(err)
	// Output: no/such/model: no such file, directory or checkpoint
}
