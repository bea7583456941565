package main

import (
	"context"
	"fmt"
	"iter"

	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/wire"
)

// PredictCmd answers with the head of a model, as Hugging Face's pipelines do.
type PredictCmd struct {
	inputFlags
	Task   string `enum:",classify,multilabel,regress,tag,answer,choice,order" default:"" help:"What the head is for (${enum}), where the config does not say." placeholder:"TASK"`
	All    bool   `negatable:"" help:"Classification: give all labels."`
	Logits bool   `negatable:"" help:"Give what the head gives before softmax instead."`
	Long   string `enum:"truncate,windows" default:"truncate" help:"Texts that are too long: truncate them, or read them in windows (classes, numbers: the average of all; tags: all of them)."`

	Aggregate bool `negatable:"" help:"Tagging: join the pieces of an entity."`

	TopK            int      `default:"1" help:"Answering: so many answers; more than one gives a list."`
	NullThreshold   *float64 `help:"Answering: no answer where the logits of none exceed the best span's by more than this; with the beam head, where its logit of none is above this." placeholder:"X"`
	MaxSeqLength    int      `default:"384" help:"Answering: pieces of a window."`
	DocStride       int      `default:"128" help:"Answering: pieces from one window's beginning to the next's."`
	MaxQueryLength  int      `default:"64" help:"Answering: pieces of the question that are kept."`
	MaxAnswerLength int      `default:"30" help:"Answering: pieces of an answer."`
}

// Run answers every example with a line of JSON.
func (c *PredictCmd) Run(ctx context.Context) error {
	switch {
	case c.TopK < 1:
		return usagef("--top-k %d: want at least 1", c.TopK)
	case c.MaxSeqLength < 8, c.DocStride < 1, c.MaxQueryLength < 0, c.MaxAnswerLength < 1:
		return usagef("--max-seq-length %d, --doc-stride %d, --max-query-length %d, --max-answer-length %d: want at least 8, 1, 0, 1",
			c.MaxSeqLength, c.DocStride, c.MaxQueryLength, c.MaxAnswerLength)
	}
	m, err := c.open(infer.Options{Kind: model.Kind(c.Task)})
	if err != nil {
		return err
	}
	defer m.Close()
	switch m.Kind {
	case model.Classify, model.MultiLabel, model.Order, model.Regress:
		form := wire.Classified(m.Kind, c.All)
		if c.Logits {
			form = wire.Logits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Classified, error], error) {
			return m.Classify(ctx, q, c.Long == "windows")
		}, form)
	case model.Tag:
		form := wire.Entities
		if c.Logits {
			form = wire.TagLogits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Tagged, error], error) {
			return m.Tag(ctx, q, infer.TagOptions{Join: c.Aggregate, Logits: c.Logits, Long: c.Long == "windows"})
		}, form)
	case model.Answer:
		form := wire.Spans(m, c.TopK, c.NullThreshold)
		if c.Logits {
			form = wire.SpanLogits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Answered, error], error) {
			return m.Answer(ctx, q, task.SpanOptions{MaxSeqLength: c.MaxSeqLength, DocStride: c.DocStride, MaxQueryLength: c.MaxQueryLength,
				MaxAnswerLength: c.MaxAnswerLength, NBest: max(task.DefaultSpanOptions.NBest, c.TopK)})
		}, form)
	case model.Choice:
		form := wire.Choice
		if c.Logits {
			form = wire.ChoiceLogits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Chosen, error], error) { return m.Choose(ctx, q) }, form)
	}
	return fmt.Errorf("%s: the model has no head to predict with: use `albert fill` or `albert embed`, or fine-tune it first", c.Model)
}
