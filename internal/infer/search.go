package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"albert/internal/engine/cpu"
	"albert/internal/files/disk"
	"albert/internal/files/npy"
	"albert/internal/search"
)

// Found is what a search found for a question: the documents whose vectors are nearest to its own, best first.
type Found struct {
	Hits      []search.Hit
	Truncated bool
}

// together is how many questions are searched for at once, if so many are ready: a product of so many costs little more than one.
const together = 64

// Search finds the k documents that are nearest to each question by the cosine of their vectors.
func (m *Model) Search(ctx context.Context, questions iter.Seq[*Question], documents *search.Vectors, k int, o EmbedOptions) (iter.Seq2[Found, error], error) {
	answers, err := m.Embed(ctx, questions, o)
	if err != nil {
		return nil, err
	}
	if n := m.Dimensions(o); n != documents.Width {
		return nil, fmt.Errorf("the vectors to search in have %d values, the model's have %d", documents.Width, n)
	}
	return func(yield func(Found, error) bool) {
		dev, err := cpu.New("", m.dev.Threads()) // the model's own is busy with further questions
		if err != nil {
			yield(Found{}, err)
			return
		}
		defer dev.Close()
		for batch := range batches(answers) {
			var vectors [][]float32
			for _, a := range batch {
				if a.err == nil {
					vectors = append(vectors, a.Vectors[0])
				}
			}
			best := search.New(dev, vectors, search.Options{K: k})
			best.Add(documents)
			hits := best.Hits()
			for _, a := range batch {
				var f Found
				if a.err == nil {
					f, hits = Found{hits[0], a.Truncated}, hits[1:]
				}
				if !yield(f, a.err) {
					return
				}
			}
		}
	}, nil
}

// embedded is an answer of [Model.Embed].
type embedded struct {
	Embedded
	err error
}

// batches gives answers, as many as are ready at once.
func batches(answers iter.Seq2[Embedded, error]) iter.Seq[[]embedded] {
	return func(yield func([]embedded) bool) {
		unwanted := make(chan struct{})
		defer close(unwanted)
		ready := make(chan embedded, together)
		go func() {
			defer close(ready)
			for a, err := range answers {
				select {
				case ready <- embedded{a, err}:
				case <-unwanted:
					return
				}
			}
		}()
		for a := range ready {
			batch := []embedded{a}
			for more := true; more && len(batch) < together; {
				select {
				case a, ok := <-ready:
					if more = ok; ok {
						batch = append(batch, a)
					}
				default:
					more = false
				}
			}
			if !yield(batch) {
				return
			}
		}
	}
}

// Collection is the vectors of texts, in a temporary file that is mapped: there may be more of them than memory.
type Collection struct {
	*search.Vectors
	Truncated int // texts that were cut
	file      *npy.Matrix
}

// Close gives back what it takes.
func (c *Collection) Close() error { return c.file.Close() }

// ErrNoTexts is the error of [Model.Collect] for no texts at all.
var ErrNoTexts = errors.New("there are no texts")

// Collect makes vectors of texts. An error of the texts ends it.
func (m *Model) Collect(ctx context.Context, texts iter.Seq2[string, error], o EmbedOptions) (*Collection, error) {
	dir, remove, err := disk.Temporary("albert-search-")
	if err != nil {
		return nil, err
	}
	defer remove() // what is mapped stays
	path := filepath.Join(dir, "vectors.npy")
	c := &Collection{}
	var broken error // the texts'
	answers, err := m.Embed(ctx, func(yield func(*Question) bool) {
		for text, err := range texts {
			if err != nil {
				broken = err
				return
			}
			if !yield(&Question{Text: text}) {
				return
			}
		}
	}, o)
	if err != nil {
		return nil, err
	}
	n := 0
	var failed error // a text's
	err = npy.Write(path, m.Dimensions(o), func(add func([]float32) error) error {
		for a, err := range answers {
			if failed = err; err != nil {
				return err
			}
			if a.Truncated {
				c.Truncated++
			}
			if err := add(a.Vectors[0]); err != nil {
				return err
			}
			n++
		}
		return broken
	})
	switch {
	case failed != nil:
		return nil, failed
	case broken != nil:
		return nil, broken
	case err != nil:
		return nil, err
	case n == 0:
		return nil, ErrNoTexts
	}
	if c.file, err = npy.Open(path); err != nil {
		return nil, err
	}
	dev, err := cpu.New("", m.dev.Threads())
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	defer dev.Close()
	c.Vectors = search.NewVectors(dev, c.file.Data, c.file.Cols)
	if i := c.Broken(); i >= 0 {
		return nil, errors.Join(fmt.Errorf("the vector of text %d has values that are NaN or infinite", i), c.Close())
	}
	return c, nil
}
