package main

import (
	"context"
	"fmt"
	"iter"
	"os"

	"albert/finetune"
	"albert/internal/infer"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/wire"
)

// PredictCmd answers with the head of a model, as Hugging Face's pipelines do.
type PredictCmd struct {
	inputFlags
	Task   string `enum:",classify,multilabel,regress,tag,answer,choice,order" default:"" help:"What the head is for, where config.json does not say: classify, multilabel, regress, tag, answer, choice or order." placeholder:"TASK"`
	All    bool   `negatable:"" help:"Classification: give all labels."`
	Logits bool   `negatable:"" help:"Give the logits instead: what the head gives before softmax."`
	Long   string `enum:"truncate,windows" default:"truncate" help:"Texts that are too long: truncate them, or read them in windows (classes, numbers: the average of all; tags: all of them)."`

	Aggregate bool `negatable:"" help:"Tagging: join the pieces of an entity."`

	TopK          int      `default:"1" range:"[1,)" help:"Answering: how many answers; more than one gives a list."`
	NullThreshold *float64 `range:"-" help:"Answering: give no answer where its logits exceed the best span's by more than this; with the beam head, where its logit is above this." placeholder:"X"`
	MaxSeqLength  int      `default:"384" range:"[8,)" help:"Answering: pieces of a window."`
	finetune.Windows
}

// Run answers every example with a line of JSON.
func (c *PredictCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	m, err := c.open(infer.Options{Kind: model.Kind(c.Task)})
	if err != nil {
		return err
	}
	defer m.Close()
	switch m.Kind {
	case model.Classify, model.MultiLabel, model.Order, model.Regress:
		if m.Kind == model.Order && c.Task == "" && !c.Quiet {
			fmt.Fprintln(os.Stderr, `the model is pretrained only: it says whether two texts ({"text": ..., "text_pair": ...}) are in order; albert finetune teaches it labels`)
		}
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
			o := c.Windows.Options(c.MaxSeqLength)
			o.NBest = max(o.NBest, c.TopK)
			return m.Answer(ctx, q, o)
		}, form)
	case model.Choice:
		form := wire.Choice
		if c.Logits {
			form = wire.ChoiceLogits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Chosen, error], error) { return m.Choose(ctx, q) }, form)
	}
	return fmt.Errorf("%s: the model has no head to predict with: use albert fill or albert embed, or albert finetune first", c.Model)
}
