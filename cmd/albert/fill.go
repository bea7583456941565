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
	Pooling   infer.Pooling `default:"mean" enum:"mean,cls,pooler,max,none" help:"How one vector is made of a text: mean, cls, pooler or max; none gives a vector for each piece."`
	Layer     int           `default:"-1" range:"[-1,)" help:"Take the output of this layer, counted from 1 (0: the embedding; -1: the last)."`
	Normalize bool          `negatable:"" help:"Scale each vector to length 1."`
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
		return m.Embed(ctx, q, infer.EmbedOptions{Pooling: c.Pooling, Layer: c.Layer, Normalize: c.Normalize})
	}, form)
}
