package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"albert/internal/files/disk"
	"albert/internal/files/npy"
	"albert/internal/infer"
	"albert/internal/run"
	"albert/internal/wire"
)

// vectorFlags say how texts become vectors.
type vectorFlags struct {
	MaxSeqLength int     `range:"[0,)" help:"Cut texts to so many pieces (default: as the directory says, else all that the model takes)." placeholder:"N"`
	PromptName   string  `help:"Put this one of the directory's prompts before every text." placeholder:"NAME"`
	Prompt       *string `help:"Put this before every text." placeholder:"TEXT"`
}

// EmbedCmd embeds texts.
type EmbedCmd struct {
	inputFlags
	Pooling    infer.Pooling `default:"" enum:",mean,cls,pooler,max,none" help:"How one vector is made of a text: mean, cls, pooler or max; none gives a vector for each piece (default: as a directory of sentence-transformers says, else mean)." placeholder:"POOLING"`
	Layer      int           `default:"-1" range:"[-1,)" help:"Take the output of this layer, counted from 1 (0: the embedding; -1: the last)."`
	Normalize  *bool         `negatable:"" help:"Scale each vector to length 1."`
	Dimensions int           `range:"[0,)" help:"Keep so many first values of each vector; what was scaled to length 1 is so again." placeholder:"N"`
	vectorFlags
	Format string `enum:"jsonl,npy" default:"jsonl" help:"jsonl: a line of JSON for each text; npy: a file of NumPy with a row of fp32 for each."`
	Output string `help:"Write into this file instead, when all texts are answered: the first that fails ends it, and leaves the file as it was." placeholder:"FILE"`
}

// Run answers every text with {"embedding": ...}, or with a row of a matrix.
func (c *EmbedCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	switch {
	case c.Format == "npy" && c.Output == "":
		return usagef("embed: --format npy wants --output FILE.npy: how many rows there are is written last, into the file's beginning")
	case c.Format == "npy" && c.Pooling == infer.PoolNone:
		return usagef("embed: --format npy is a row for each text, --pooling none gives one for each piece: want another pooling, or --format jsonl")
	}
	m, err := c.open(infer.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	o := infer.EmbedOptions{Pooling: c.Pooling, Layer: c.Layer, Normalize: c.Normalize, Dimensions: c.Dimensions,
		MaxSeqLength: c.MaxSeqLength, PromptName: c.PromptName, Prompt: c.Prompt}
	ask := func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) { return m.Embed(ctx, q, o) }
	form := wire.Embedding
	switch {
	case c.Format == "npy":
		form = func(_ *wire.Item, a infer.Embedded) (any, bool) { return a.Vectors[0], a.Truncated }
		w := &wholeFile{}
		err = npy.Write(c.Output, m.Dimensions(o), func(add func([]float32) error) error {
			w.write = func(_ *wire.Item, v any, _ bool) error { return add(v.([]float32)) }
			return answerTo(ctx, &c.inputFlags, w, ask, form)
		})
		w.warnCut()
		return err
	case c.Pooling == infer.PoolNone:
		form = wire.Embeddings
	}
	if c.Output == "" {
		return answer(ctx, &c.inputFlags, ask, form)
	}
	return disk.Atomically(c.Output, func(out io.Writer) error {
		lines := wire.NewWriter(out)
		w := &wholeFile{write: func(it *wire.Item, v any, cut bool) error { return lines.Write(it, v, cut, nil) }}
		err := answerTo(ctx, &c.inputFlags, w, ask, form)
		if err == nil {
			err = lines.Flush()
		}
		return err
	})
}

// wholeFile is where answers go that are all wanted, or none: the first text without one is an error. It is a [wire.Sink].
type wholeFile struct {
	write func(it *wire.Item, value any, truncated bool) error
	cut   int // texts
}

func (w *wholeFile) Write(it *wire.Item, value any, truncated bool, failed error) error {
	if failed != nil {
		return fmt.Errorf("%s: %w", placeOf(it), failed)
	}
	if truncated {
		w.cut++
	}
	return w.write(it, value, truncated)
}

func (w *wholeFile) Flush() error { return nil }

// warnCut says what an answer has no room for.
func (w *wholeFile) warnCut() {
	if w.cut > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d texts were cut: longer than the model takes, or than --max-seq-length\n", w.cut)
	}
}
