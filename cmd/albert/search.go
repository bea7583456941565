package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"unicode/utf8"

	"albert/internal/engine/cpu"
	"albert/internal/files/npy"
	"albert/internal/infer"
	"albert/internal/run"
	"albert/internal/search"
	"albert/internal/text/dataset"
	"albert/internal/wire"
)

// SearchCmd searches in texts or vectors.
type SearchCmd struct {
	inputFlags
	Corpus     string        `help:"Search in the documents of this file: a text in each line, or JSON lines with text and, as BEIR has them, _id (or id) and title." placeholder:"FILE"`
	Vectors    string        `help:"Search in these vectors, which albert embed --format npy made with this model." placeholder:"FILE.npy"`
	TopK       int           `default:"10" range:"[1,)" help:"How many documents for each query."`
	Pooling    infer.Pooling `default:"" enum:",mean,cls,pooler,max" help:"How one vector is made of a text: mean, cls, pooler or max (default: as a directory of sentence-transformers says, else mean)." placeholder:"POOLING"`
	Dimensions int           `range:"[0,)" help:"Keep so many first values of each vector." placeholder:"N"`
	vectorFlags
}

// Help says what prompts are used.
func (c *SearchCmd) Help() string {
	return `Each query is answered with a line of JSON: [{"index", "id", "score"}, ...], best first, index from 0, score the cosine; id is null where the
document has none. --prompt and --prompt-name are of the queries; by default these have the directory's prompt "query", and documents its
prompt "document" (or "passage", "corpus"), where it has them.`
}

// hit is the form of a document found.
type hit struct {
	Index int             `json:"index"`
	ID    json.RawMessage `json:"id"`
	Score float32         `json:"score"`
	Text  string          `json:"text,omitempty"` // for a person
}

// Run answers every query with the documents nearest to it.
func (c *SearchCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	if (c.Corpus == "") == (c.Vectors == "") {
		return usagef("search: give --corpus FILE, texts to search in, or --vectors FILE.npy, their vectors")
	}
	m, err := c.open(infer.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	o := infer.EmbedOptions{Pooling: c.Pooling, Layer: -1, Dimensions: c.Dimensions, MaxSeqLength: c.MaxSeqLength}
	documents, done, err := c.documents(ctx, m, o)
	if err != nil {
		return err
	}
	defer done()
	o.PromptName, o.Prompt, o.Role = c.PromptName, c.Prompt, infer.Query
	return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Found, error], error) {
		return m.Search(ctx, q, documents.Vectors, c.TopK, o)
	}, func(_ *wire.Item, f infer.Found) (any, bool) {
		list := make([]hit, len(f.Hits))
		for i, h := range f.Hits {
			list[i] = hit{Index: h.Index, Score: h.Score}
			if documents.ids != nil {
				list[i].ID = documents.ids[h.Index]
			}
			if documents.texts != nil {
				list[i].Text = documents.texts[h.Index]
			}
		}
		return list, f.Truncated
	})
}

// documents is what is searched in.
type documents struct {
	*search.Vectors
	ids   []json.RawMessage // nil: they have none
	texts []string          // their beginnings, for a person; nil: not wanted
}

// documents opens vectors or makes them; done gives them back.
func (c *SearchCmd) documents(ctx context.Context, m *infer.Model, o infer.EmbedOptions) (d *documents, done func() error, err error) {
	if c.Vectors != "" {
		return c.mapped(m.Dimensions(o))
	}
	d = &documents{}
	progress := newProgress("documents", 0, c.Quiet)
	defer progress.end()
	person, n := c.forPerson(), 0
	texts := func(yield func(string, error) bool) {
		for x, err := range dataset.Documents(c.Corpus) {
			n++
			progress.show(n)
			if x.ID != nil && d.ids == nil {
				d.ids = make([]json.RawMessage, n-1, n)
			}
			if d.ids != nil {
				d.ids = append(d.ids, x.ID)
			}
			if person {
				d.texts = append(d.texts, beginning(x.Text))
			}
			if !yield(x.Text, err) {
				return
			}
		}
	}
	o.Role = infer.Document
	vectors, err := m.Collect(ctx, texts, o)
	if errors.Is(err, infer.ErrNoTexts) {
		err = fmt.Errorf("%s: the corpus is empty", c.Corpus)
	}
	if err != nil {
		return nil, nil, err
	}
	if vectors.Truncated > 0 && !c.Quiet {
		fmt.Fprintf(os.Stderr, "%d of %d documents are cut: longer than the model takes, or than --max-seq-length\n", vectors.Truncated, vectors.Rows)
	}
	d.Vectors = vectors.Vectors
	return d, vectors.Close, nil
}

// beginning is what a table may show of a text.
func beginning(text string) string {
	const most = 200 // bytes
	if len(text) > most {
		for text = text[:most]; !utf8.ValidString(text); text = text[:len(text)-1] {
		}
	}
	return text
}

// mapped opens a file of vectors of so many values.
func (c *SearchCmd) mapped(width int) (*documents, func() error, error) {
	x, err := npy.Open(c.Vectors)
	if err != nil {
		return nil, nil, err
	}
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return nil, nil, errors.Join(err, x.Close())
	}
	defer dev.Close()
	switch {
	case x.Rows == 0:
		err = fmt.Errorf("%s: no vectors in it", c.Vectors)
	case width > 0 && x.Cols != width:
		err = fmt.Errorf("%s: vectors of %d values, the model's have %d", c.Vectors, x.Cols, width)
	}
	if err != nil {
		return nil, nil, errors.Join(err, x.Close())
	}
	v := search.NewVectors(dev, x.Data, x.Cols)
	if i := v.Broken(); i >= 0 {
		return nil, nil, errors.Join(fmt.Errorf("%s: row %d (from 0) has values that are NaN or infinite", c.Vectors, i), x.Close())
	}
	return &documents{Vectors: v}, x.Close, nil
}
