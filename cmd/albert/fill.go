package main

import (
	"fmt"
	"strings"

	"albert"
)

// FillCmd fills [MASK] in texts.
type FillCmd struct {
	Model    string   `arg:"" help:"Model directory or run directory."`
	Input    []string `arg:"" optional:"" help:"Texts, or files with a text a line; stdin without any."`
	More     []string `name:"input" sep:"none" help:"A file, again." placeholder:"FILE"`
	TopK     int      `default:"5" help:"How many answers for each mask."`
	Logits   bool     `negatable:"" help:"Give the logits over the vocabulary instead."`
	Truncate bool     `default:"true" negatable:"" help:"Cut texts that are too long for the model."`
	Threads  int      `help:"Threads (0: all)."`
}

// Run answers every text with a line of JSON.
func (c *FillCmd) Run() error {
	if c.TopK < 1 {
		return usagef("--top-k %d: want at least 1", c.TopK)
	}
	m, err := albert.OpenWith(c.Model, albert.Options{Threads: c.Threads})
	if err != nil {
		return noModel(c.Model, err)
	}
	defer m.Close()
	encode := func(it *item) ([]albert.Input, error) { return it.encode(m) }
	return answerLines(m, append(c.Input, c.More...), lineOptions{c.Truncate, encode, func(its []*item, groups [][]albert.Input) ([]answer, error) {
		inputs := flat(groups)
		answers := make([]answer, len(inputs))
		var masked []albert.Input
		var at []int
		for i, in := range inputs {
			if len(m.Masks(in)) == 0 {
				answers[i].err = noMask(its[i])
				continue
			}
			masked, at = append(masked, in), append(at, i)
		}
		if c.Logits {
			logits, err := m.MaskLogits(masked)
			if err != nil {
				return nil, err
			}
			for j, i := range at {
				answers[i].value, err = object(field{"positions", m.Masks(inputs[i])}, field{"logits", logits[j]})
				if err != nil {
					return nil, err
				}
			}
			return answers, nil
		}
		filled, err := m.FillAll(masked, c.TopK)
		if err != nil {
			return nil, err
		}
		for j, i := range at {
			if answers[i].value = filled[j]; len(filled[j]) == 1 {
				answers[i].value = filled[j][0]
			}
		}
		return answers, nil
	}})
}

// noMask says that there is nothing to fill, and how other models write what is.
func noMask(it *item) error {
	for _, other := range []string{"<mask>", "[mask]", "[Mask]", "<MASK>", "{mask}", "___"} {
		if strings.Contains(it.Text, other) {
			return fmt.Errorf("%w: it is written [MASK], not %s", albert.ErrNoMask, other)
		}
	}
	return albert.ErrNoMask
}

// EmbedCmd embeds texts.
type EmbedCmd struct {
	Model     string         `arg:"" help:"Model directory or run directory."`
	Input     []string       `arg:"" optional:"" help:"Texts, or files with a text a line; stdin without any."`
	More      []string       `name:"input" sep:"none" help:"A file, again." placeholder:"FILE"`
	Pooling   albert.Pooling `default:"mean" enum:"mean,cls,pooler,none" help:"mean, cls, pooler, or none for a row a piece."`
	Layer     int            `default:"-1" help:"Take the output of this layer (0: the embedding); the last by default."`
	Normalize bool           `negatable:"" help:"Scale each vector to length 1."`
	Truncate  bool           `default:"true" negatable:"" help:"Cut texts that are too long for the model."`
	Threads   int            `help:"Threads (0: all)."`
}

// Run answers every text with {"embedding": ...}.
func (c *EmbedCmd) Run() error {
	m, err := albert.OpenWith(c.Model, albert.Options{Threads: c.Threads})
	if err != nil {
		return noModel(c.Model, err)
	}
	defer m.Close()
	encode := func(it *item) ([]albert.Input, error) { return it.encode(m) }
	return answerLines(m, append(c.Input, c.More...), lineOptions{c.Truncate, encode, func(_ []*item, groups [][]albert.Input) ([]answer, error) {
		inputs := flat(groups)
		rows, err := m.EmbedAll(inputs, albert.EmbedOptions{Pooling: c.Pooling, Layer: c.Layer, Normalize: c.Normalize})
		if err != nil {
			return nil, err
		}
		answers := make([]answer, len(inputs))
		for i, r := range rows {
			f := field{"embedding", r}
			if c.Pooling != albert.PoolNone {
				f.value = r[0]
			}
			if answers[i].value, err = object(f); err != nil {
				return nil, err
			}
		}
		return answers, nil
	}})
}
