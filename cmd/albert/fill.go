package main

import (
	"context"
	"iter"

	"albert/internal/infer"
	"albert/internal/run"
	"albert/internal/wire"
)

// FillCmd fills [MASK] in texts.
type FillCmd struct {
	inputFlags
	TopK   int  `default:"5" range:"[1,)" help:"How many answers for each [MASK]."`
	Logits bool `negatable:"" help:"Give the logits over the vocabulary instead."`
}

// Run answers every text with a line of JSON.
func (c *FillCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	m, err := c.open(infer.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Filled, error], error) {
		return m.Fill(ctx, q, infer.FillOptions{TopK: c.TopK, Logits: c.Logits})
	}, wire.Fillings)
}

// EmbedCmd embeds texts.
type EmbedCmd struct {
	inputFlags
	Pooling      infer.Pooling `default:"" enum:",mean,cls,pooler,max,none" help:"How one vector is made of a text: mean, cls, pooler or max; none gives a vector for each piece (default: as a directory of sentence-transformers says, else mean)." placeholder:"POOLING"`
	Layer        int           `default:"-1" range:"[-1,)" help:"Take the output of this layer, counted from 1 (0: the embedding; -1: the last)."`
	Normalize    *bool         `negatable:"" help:"Scale each vector to length 1."`
	Dimensions   int           `range:"[0,)" help:"Keep so many first values of each vector; what was scaled to length 1 is so again." placeholder:"N"`
	MaxSeqLength int           `range:"[0,)" help:"Cut texts to so many pieces (default: as the directory says, else all that the model takes)." placeholder:"N"`
	PromptName   string        `help:"Put this one of the directory's prompts before every text." placeholder:"NAME"`
	Prompt       *string       `help:"Put this before every text." placeholder:"TEXT"`
}

// Run answers every text with {"embedding": ...}.
func (c *EmbedCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	m, err := c.open(infer.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	form := wire.Embedding
	if c.Pooling == infer.PoolNone {
		form = wire.Embeddings
	}
	return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) {
		return m.Embed(ctx, q, infer.EmbedOptions{Pooling: c.Pooling, Layer: c.Layer, Normalize: c.Normalize, Dimensions: c.Dimensions,
			MaxSeqLength: c.MaxSeqLength, PromptName: c.PromptName, Prompt: c.Prompt})
	}, form)
}
