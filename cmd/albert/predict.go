package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"

	"albert/finetune"
	"albert/internal/infer"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/wire"
)

// PredictCmd answers with the head of a model, as Hugging Face's pipelines do.
type PredictCmd struct {
	inputFlags
	Task   string `enum:",classify,multilabel,regress,tag,answer,choice,order,rerank,zeroshot" default:"" help:"What the head is for, where config.json does not say: classify, multilabel, regress, tag, answer, choice, order or rerank. zeroshot: which of --labels fit, by a model that knows entailment." placeholder:"TASK"`
	All    bool   `negatable:"" help:"Classification: give all labels."`
	Logits bool   `negatable:"" help:"Give the logits instead: what the head gives before softmax."`
	Long   string `enum:"truncate,windows" default:"truncate" help:"Texts that are too long: truncate them, or read them in windows (classes, numbers: the average of all; tags: all of them)."`

	Labels     []string `help:"zeroshot: the labels, with commas between." placeholder:"A,B"`
	Template   string   `default:"This example is {}." help:"zeroshot: what a label says of a text, {} for the label."`
	MultiLabel bool     `negatable:"" help:"zeroshot: any number of the labels may fit; each has a score of its own."`

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
	zeroShot := infer.ZeroShotOptions{Template: c.Template, MultiLabel: c.MultiLabel}
	if err := c.zeroShot(&zeroShot); err != nil {
		return err
	}
	kind := model.Kind(c.Task)
	if c.Task == zeroShotTask {
		kind = model.None
	}
	m, err := c.open(infer.Options{Kind: kind})
	if err != nil {
		return err
	}
	defer m.Close()
	if c.Task == zeroShotTask {
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Classified, error], error) {
			return m.ZeroShot(ctx, q, zeroShot)
		}, wire.Labels)
	}
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
	case model.Rank:
		form := wire.Ranking
		if c.Logits {
			form = wire.RankingLogits
		}
		return answer(ctx, &c.inputFlags, func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Ranking, error], error) { return m.Rank(ctx, q) }, form)
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

// zeroShotTask classifies by labels that the model has not learned.
const zeroShotTask = "zeroshot"

// zeroShot reads the flags of that task, and refuses them for another.
func (c *PredictCmd) zeroShot(o *infer.ZeroShotOptions) error {
	for _, l := range c.Labels { // as the pipeline reads them
		if l = strings.TrimSpace(l); l != "" {
			o.Labels = append(o.Labels, l)
		}
	}
	asked := len(c.Labels) > 0 || c.MultiLabel || c.Template != infer.DefaultTemplate
	switch {
	case c.Task != zeroShotTask && asked:
		return usagef("predict: --labels, --template and --multi-label are for --task %s", zeroShotTask)
	case c.Task != zeroShotTask:
		return nil
	case len(o.Labels) == 0:
		return usagef("predict: --task %s wants --labels A,B,...", zeroShotTask)
	case c.Logits || c.Long != "truncate":
		return usagef("predict: --logits and --long are not for --task %s", zeroShotTask)
	}
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	return nil
}
