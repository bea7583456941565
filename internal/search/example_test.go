package search_test

import (
	"fmt"

	"albert/internal/engine/cpu"
	"albert/internal/search"
)

func Example() {
	dev, err := cpu.New("", 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dev.Close()
	best := search.New(dev, [][]float32{{1, 0}}, search.Options{K: 2})
	best.Add(search.NewVectors(dev, []float32{0, 5, 3, 4, 2, 0}, 2))
	for _, h := range best.Hits()[0] {
		fmt.Printf("%d %.1f\n", h.Index, h.Score)
	}
	// Output:
	// 2 1.0
	// 1 0.6
}
