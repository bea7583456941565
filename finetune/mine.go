package finetune

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"albert/internal/engine/cpu"
	"albert/internal/files/jsonobject"
	"albert/internal/infer"
	"albert/internal/search"
	"albert/internal/text/dataset"
)

// Mining says which pairs get hard negatives, texts that a model takes for near and that are no answers, and how they are chosen.
type Mining struct {
	Model   string
	Infer   infer.Options
	Embed   infer.EmbedOptions
	Train   []string
	Options dataset.Options

	Negatives int      // so many for each pair, if there are so many
	Skip      int      // so many of the nearest are passed over: they may be answers that nobody marked
	Margin    *float64 // a negative's score is at least so far below the positive's; nil: it may be above it
	// Progress, if not nil, is told how many of all texts have their vectors, or pairs their negatives.
	Progress func(what string, done, total int)
}

// Mined is what was found.
type Mined struct {
	Pairs int
	Fewer int // pairs that got fewer negatives than were asked for
	Notes []string
}

// Mine searches the positives of pairs for negatives and gives each pair, with the names of its columns, to write: its own negatives first. No text that
// equals the anchor, one of the positives of this anchor, or a negative that the pair has, is a negative of it.
func Mine(ctx context.Context, o Mining, write func(jsonobject.Fields) error) (*Mined, error) {
	t, err := dataset.TaskNamed("embed")
	if err != nil {
		return nil, err
	}
	set, err := dataset.Read(t, dataset.Train, o.Train, o.Options)
	if err != nil {
		return nil, err
	}
	if set.Form != dataset.Pairs {
		return nil, fmt.Errorf("%s: negatives are searched for rows of anchor and positive (or query and document, sentence1 and sentence2), without a score", set.Examples[0].Place())
	}
	m, err := infer.Open(o.Model, o.Infer)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	dev, err := cpu.New("", o.Infer.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	j := &miner{Mining: o, model: m, dev: dev, set: set, numbers: map[string]int{}, answers: map[string][]int{}}
	if j.Progress == nil {
		j.Progress = func(string, int, int) {}
	}
	j.count()
	j.Embed.Role = infer.Document
	if j.documents, err = m.Collect(ctx, j.positives(), j.Embed); err != nil {
		return nil, err
	}
	defer j.documents.Close()
	mined := &Mined{Pairs: len(set.Examples), Notes: notesOf(set)}
	if mined.Fewer, err = j.mine(ctx, write); err != nil {
		return nil, err
	}
	return mined, nil
}

// miner is a run of Mine.
type miner struct {
	Mining
	model     *infer.Model
	dev       *cpu.Device
	set       *dataset.Set
	documents *infer.Collection
	texts     []string         // of the documents: positives, each once
	numbers   map[string]int   // of the documents, by text
	answers   map[string][]int // documents that are positives of an anchor
}

// count makes documents of the positives.
func (j *miner) count() {
	for i := range j.set.Examples {
		anchor, positive := j.set.Examples[i].Texts[0], j.set.Examples[i].Texts[1]
		d, ok := j.numbers[positive]
		if !ok {
			d = len(j.texts)
			j.numbers[positive] = d
			j.texts = append(j.texts, positive)
		}
		if !slices.Contains(j.answers[anchor], d) {
			j.answers[anchor] = append(j.answers[anchor], d)
		}
	}
}

// positives gives the documents' texts.
func (j *miner) positives() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i, text := range j.texts {
			j.Progress("positives", i, len(j.texts))
			if !yield(text, nil) {
				return
			}
		}
	}
}

// minedTogether is how many pairs are searched for at once: the documents are read once for them, and each keeps a list.
const minedTogether = 1024

// mine embeds the anchors and searches for them, some at a time.
func (j *miner) mine(ctx context.Context, write func(jsonobject.Fields) error) (fewer int, err error) {
	j.Embed.Role = infer.Query
	answers, err := j.model.Embed(ctx, func(yield func(*infer.Question) bool) {
		for i := range j.set.Examples {
			if !yield(&infer.Question{Text: j.set.Examples[i].Texts[0]}) {
				return
			}
		}
	}, j.Embed)
	if err != nil {
		return 0, err
	}
	var vectors [][]float32
	first := 0
	for a, err := range answers {
		if err != nil {
			return 0, err
		}
		vectors = append(vectors, a.Vectors[0])
		if len(vectors) < minedTogether && first+len(vectors) < len(j.set.Examples) {
			continue
		}
		n, err := j.searchFor(first, vectors, write)
		if err != nil {
			return 0, err
		}
		fewer += n
		first += len(vectors)
		vectors = vectors[:0]
		j.Progress("pairs", first, len(j.set.Examples))
	}
	return fewer, nil
}

// searchFor finds the negatives of pairs from the first of them on, by the vectors of their anchors.
func (j *miner) searchFor(first int, anchors [][]float32, write func(jsonobject.Fields) error) (fewer int, err error) {
	above := make([]atomic.Int32, len(anchors)) // documents that are too near to be negatives: they are among the nearest that are passed over
	most := make([]float64, len(anchors))       // the highest score of a negative
	refused := make([][]int, len(anchors))
	best := search.New(j.dev, anchors, search.Options{K: min(j.Skip, len(j.texts)) + min(j.Negatives, len(j.texts)), Keep: func(q int, h search.Hit) bool {
		switch {
		case slices.Contains(refused[q], h.Index):
			return false
		case j.Margin != nil && float64(h.Score) > most[q]:
			above[q].Add(1)
			return false
		}
		return true
	}})
	width := j.documents.Width
	for q := range anchors {
		texts := j.set.Examples[first+q].Texts
		if j.Margin != nil {
			d := j.numbers[texts[1]]
			most[q] = float64(best.Score(q, j.documents.Data[d*width:(d+1)*width])) - *j.Margin
		}
		refused[q] = slices.Clone(j.answers[texts[0]])
		for k, text := range texts {
			if d, ok := j.numbers[text]; ok && k != 1 {
				refused[q] = append(refused[q], d)
			}
		}
	}
	best.Add(j.documents.Vectors)
	for q, hits := range best.Hits() {
		hits = hits[min(len(hits), max(0, j.Skip-int(above[q].Load()))):]
		hits = hits[:min(len(hits), j.Negatives)]
		if len(hits) < j.Negatives {
			fewer++
		}
		texts := slices.Clone(j.set.Examples[first+q].Texts)
		for _, h := range hits {
			texts = append(texts, j.texts[h.Index])
		}
		if err := write(j.row(texts)); err != nil {
			return 0, err
		}
	}
	return fewer, nil
}

// row is a pair with its negatives, as finetune --train reads it.
func (j *miner) row(texts []string) (row jsonobject.Fields) {
	for i, text := range texts {
		name := "negative"
		switch {
		case i < 2:
			name = j.set.Columns[i]
		case i > 2:
			name = fmt.Sprintf("negative_%d", i-1)
		}
		row = append(row, jsonobject.Field{Name: name, Value: text})
	}
	return row
}
