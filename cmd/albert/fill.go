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
