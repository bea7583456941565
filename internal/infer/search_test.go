package infer

import (
	"context"
	"errors"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/search"
)

// A search whose caller ends early ends with the reason, as every other question does.
func TestSearchStops(t *testing.T) {
	m := opened(t, scorer(t, 1, nil, nil), Options{})
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	documents := search.NewVectors(dev, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 8)
	because := errors.New("enough")
	for range 20 { // what ends first is a matter of chance
		ctx, cancel := context.WithCancelCause(context.Background())
		t.Cleanup(func() { cancel(nil) })
		answers, err := m.Search(ctx, func(yield func(*Question) bool) {
			for yield(&Question{Text: "a"}) {
			}
		}, documents, 1, EmbedOptions{Layer: -1})
		if err != nil {
			t.Fatal(err)
		}
		n, last := 0, error(nil)
		for _, last = range answers {
			if n++; n == 5 {
				cancel(because)
			}
		}
		if n < 5 || !errors.Is(last, because) {
			t.Fatalf("%d answers, the last error %v", n, last)
		}
	}
}
