package albert_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"albert"
	"albert/internal/model"
)

// A model that was saved opens with one call, and answers a slice of questions with one.
func ExampleOpen() {
	dir := save(tiny(model.Classify, model.PretrainingHeads))
	defer os.RemoveAll(dir)
	m, err := albert.Open(filepath.Join(dir, "model"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	filled, err := m.Fill(context.Background(), []string{"The [MASK] is [MASK]."}, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(filled[0]), "masks,", len(filled[0][0]), "fillings each")
	// Output: 2 masks, 3 fillings each
}

// A mistake is told by the number of the input; the other inputs are answered all the same.
func ExampleInputError() {
	m, err := albert.OpenFS(tiny(model.Classify, model.PretrainingHeads), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	filled, err := m.Fill(context.Background(), []string{"The [MASK] is closed.", "The door is closed."}, 1)
	var mistake *albert.InputError
	if errors.As(err, &mistake) {
		fmt.Printf("input %d, %s: %v\n", mistake.Index, mistake.Field, mistake.Err)
	}
	fmt.Println(len(filled[0]), len(filled[1]))
	// Output:
	// input 1, text: no [MASK] in the text
	// 1 0
}

// A missing model is one clear line.
func ExampleOpen_missing() {
	_, err := albert.Open(filepath.Join("no", "such", "model"))
	fmt.Println(err)
	// Output: no/such/model: no such file, directory or checkpoint
}
