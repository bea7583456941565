package finetune

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/metric"
	"albert/internal/learn/signs"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// fits refuses settings of embed for other tasks, and those of other tasks for embed.
func (e *Embedding) fits(c *Config, t dataset.Task) error {
	embed := t.Kind == model.Embed
	for _, f := range []struct {
		field   string
		value   any
		refused bool
		problem string
	}{
		{"Loss", e.Loss, !embed && e.Loss != "", "only task embed has losses to choose from"},
		{"Scale", e.Scale, !embed && e.Scale != 20 && e.Scale != 0, "for task embed"},
		{"Pooling", e.Pooling, !embed && e.Pooling != "", "for task embed"},
		{"Dimensions", e.Dimensions, !embed && e.Dimensions != nil, "for task embed"},
		{"Scale", e.Scale, embed && !(e.Scale > 0), "want a number above 0"},
		{"Test", nil, embed && len(c.Test) > 0, "task embed predicts nothing: albert eval measures the result"},
		{"ClassifierDropout", nil, embed && c.ClassifierDropout != nil, "task embed has no classifier"},
	} {
		if f.refused {
			return &run.FieldError{Field: f.field, Value: f.value, Problem: f.problem}
		}
	}
	return nil
}

// readEmbed reads the data of task embed.
func (c *job) readEmbed() (*sets, error) {
	var s sets
	var err error
	if s.train, err = c.Data.load(c.Task, dataset.Train, c.Data.Options); err != nil {
		return nil, err
	}
	if s.train == nil {
		return nil, fmt.Errorf("task embed: there is no training data")
	}
	held := c.Data.Dev
	if len(held) == 0 && c.Data.Dir != "" {
		held = []string{c.Data.Dir}
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("task embed: there is no dev data: the best step is chosen on it (`Dev`)")
	}
	if s.benchmark, err = loadBenchmark(held, dataset.Dev, c.Data.Options); err != nil {
		return nil, err
	}
	c.metric = metric.Names(s.benchmark.task())[0]
	c.note(append(notesOf(s.train), s.benchmark.notes()...)...)
	return &s, c.chooseLoss(s.train)
}

// chooseLoss finds the loss that the training data is for, and checks the data for it.
func (c *job) chooseLoss(set *dataset.Set) error {
	losses := map[dataset.Form][]string{dataset.Pairs: {task.MNR}, dataset.Scored: {task.CoSENT, task.Cosine}, dataset.Targets: {task.MSE}}[set.Form]
	if c.Loss == "" {
		c.Loss = losses[0]
	}
	at := set.Examples[0].Place()
	switch {
	case c.Loss != losses[0] && c.Loss != losses[len(losses)-1]:
		want := map[string]string{task.MNR: "anchor and positive", task.CoSENT: "two texts and a score", task.Cosine: "two texts and a score", task.MSE: "text and target"}[c.Loss]
		return &run.FieldError{Field: "Loss", Value: c.Loss, Problem: fmt.Sprintf("learns from rows of %s; %s is none", want, at)}
	case c.Loss == task.Cosine:
		return scaleScores(set)
	case c.Loss == task.MNR && c.BatchSize == 1:
		return &run.FieldError{Field: "BatchSize", Value: 1, Problem: "mnr ranks a positive among those of the other examples of a step: want at least 2"}
	}
	return nil
}

// scaleScores divides scores from 0 to 5, as STS-B has them, by 5; the loss cosine wants 0 to 1.
func scaleScores(set *dataset.Set) error {
	least, most := math.Inf(1), math.Inf(-1)
	for i := range set.Examples {
		least, most = min(least, set.Examples[i].Score), max(most, set.Examples[i].Score)
	}
	if least < 0 || most > 5 {
		return fmt.Errorf("%s: the scores are %v to %v; the loss cosine wants 0 to 1, or 0 to 5, which are divided by 5 (cosent takes any)", set.Examples[0].File, least, most)
	}
	if most > 1 {
		set.Notes = append(set.Notes, fmt.Sprintf("the scores, %v to %v, are divided by 5", least, most))
		for i := range set.Examples {
			set.Examples[i].Score /= 5
		}
	}
	return nil
}

// embedLearner learns vectors.
func (c *job) embedLearner(m *model.Model, from *formats.Model, tok *tokenizer.Tokenizer, dev *cpu.Device, data *sets) (*vectorLearner, error) {
	normalize, err := c.goOn(from.Sentence)
	if err != nil {
		return nil, err
	}
	width := m.Config.HiddenSize
	if len(c.Dimensions) == 0 {
		c.Dimensions = []int{width}
	}
	for _, n := range c.Dimensions {
		if n < 1 || n > width {
			return nil, &run.FieldError{Field: "Dimensions", Value: n, Problem: fmt.Sprintf("the model's vectors have %d values", width)}
		}
	}
	first := &data.train.Examples[0]
	if n := len(first.Target); data.train.Form == dataset.Targets && n != width {
		return nil, fmt.Errorf("%s: targets have %d numbers, the model's vectors %d", first.Place(), n, width)
	}
	exact, err := dev.In(cpu.FP32)
	if err != nil {
		return nil, err
	}
	t := &vectorLearner{c: c, normalize: normalize, set: data.train, benchmark: data.benchmark, dev: dev,
		e: &task.Embedder{Model: m, Device: dev, Seed: c.Seed, Pooling: c.Pooling, Drop: model.Dropouts{Hidden: *c.Dropout, Attention: *c.Dropout},
			VectorLoss: task.VectorLoss{Loss: c.Loss, Scale: c.Scale, Dimensions: c.Dimensions}},
		encoder: &encoder{model: infer.On(&formats.Model{Model: m, Tokenizer: tok}, dev), exact: exact,
			options: infer.EmbedOptions{Pooling: infer.Pooling(c.Pooling), Layer: -1, MaxSeqLength: c.MaxSeqLength}}}
	t.e.Name = func(source int) string { return t.set.Examples[source].Place() }
	if err := t.cut(tok); err != nil {
		return nil, err
	}
	guess := t.guess()
	t.watch = newWatch(c, guess, 0, func() bool { return t.e.Bound(t.examples[:min(len(t.examples), 4096)]) > guess/2 })
	return t, nil
}

// guess is the loss of vectors that are all the same, or the mean; 0 where it depends on the batch.
func (t *vectorLearner) guess() float64 {
	one := 0.0
	switch t.c.Loss {
	case task.MNR:
		one = numeric.Log64(float64(t.c.BatchSize * (len(t.examples[0].Inputs) - 1)))
	case task.Cosine:
		mean, n := 0.0, float64(len(t.examples))
		for i := range t.examples {
			mean += float64(t.examples[i].Values[0]) / n
		}
		for i := range t.examples {
			d := float64(t.examples[i].Values[0]) - mean
			one += float64(d*d) / n
		}
	}
	return one * float64(len(t.c.Dimensions))
}

// goOn takes over what a directory of sentence-transformers says of its vectors, nil of another model, and tells whether the result scales
// them to length 1. What is not learned further is refused.
func (c *job) goOn(s *formats.Sentence) (normalize bool, err error) {
	if s == nil {
		c.Pooling = cmp.Or(c.Pooling, task.PoolMean)
		return false, nil
	}
	if c.Pooling == "" {
		if c.Pooling = string(s.Pooling[0]); len(s.Pooling) > 1 || !slices.Contains([]string{task.PoolMean, task.PoolCLS, task.PoolMax}, c.Pooling) {
			return false, fmt.Errorf("%s: the pooling %q is not learned: choose mean, cls or max with `Pooling`", c.Model, s.Pooling)
		}
	}
	for _, x := range s.Modules {
		if x.W != nil {
			return false, fmt.Errorf("%s: its Dense is not learned", c.Model)
		}
		normalize = true
	}
	if len(s.Prompts) > 0 {
		c.note(c.Model + ": its prompts are not used, and not kept")
	}
	return normalize, nil
}

// vectorLearner is the task embed of the training loop.
type vectorLearner struct {
	c         *job
	normalize bool // in the result
	e         *task.Embedder
	dev       *cpu.Device
	set       *dataset.Set
	examples  []task.Example
	benchmark *benchmark
	encoder   *encoder
	watch     *signs.Watch
	result    metric.Scores // of the best step
}

// cut makes pieces of the training data.
func (t *vectorLearner) cut(tok *tokenizer.Tokenizer) error {
	numbers := map[string]int32{} // of texts
	texts, truncated := 0, 0
	for i := range t.set.Examples {
		e := &t.set.Examples[i]
		x := task.Example{Label: task.NoLabel, Values: e.Target}
		if t.set.Form == dataset.Scored {
			x.Values = []float32{float32(e.Score)}
		}
		for _, text := range e.Texts {
			in, err := task.Layout(tok, tok.Encode(text), nil, t.c.MaxSeqLength)
			if err != nil {
				return err
			}
			if texts++; in.Truncated {
				truncated++
			}
			n, ok := numbers[text]
			if !ok {
				n = int32(len(numbers))
				numbers[text] = n
			}
			x.Inputs, x.Texts = append(x.Inputs, in), append(x.Texts, n)
		}
		t.examples = append(t.examples, x)
	}
	if truncated > 0 {
		t.c.note(fmt.Sprintf("train: %d of %d texts cut to %d pieces (max_seq_length)", truncated, texts, t.c.MaxSeqLength))
	}
	return nil
}

// Batch gives a step's examples.
func (t *vectorLearner) Batch(step int) (train.Batch, error) {
	return t.e.NewStep(step, t.c.pick(t.examples, step)), nil
}

// Evaluate measures the vectors on the dev set.
func (t *vectorLearner) Evaluate(ctx context.Context) (train.Fields, error) {
	scores, err := t.benchmark.measure(ctx, t.encoder)
	return scoreFields(scores), err
}

func (t *vectorLearner) after(row train.Fields) (string, error) { return t.watch.After(row) }

// passes: forward, then forward and back.
func (t *vectorLearner) passes() float64 { return 4 }

func (t *vectorLearner) memory(b train.Batch) []train.Memory {
	data := int64(0)
	for i := range t.examples {
		data += exampleBytes + 8*int64(t.examples[i].Pieces()) + 4*int64(len(t.examples[i].Values))
		for _, text := range t.set.Examples[i].Texts {
			data += int64(len(text))
		}
	}
	runOn := func(dev ops.Device, b train.Batch, from, to int) { b.(*task.EmbedStep).RunOn(dev, from, to) }
	return t.c.memory(b, t, t.e.Model, t.dev, runOn, data)
}

// measure measures the model of the best step.
func (t *vectorLearner) measure(ctx context.Context) (err error) {
	t.result, err = t.benchmark.measure(ctx, t.encoder)
	return err
}

// finish writes the model of the best step, a directory of sentence-transformers, and its evaluation.
func (t *vectorLearner) finish(dir string, tok *tokenizer.Tokenizer) error {
	text, err := t.c.write(dir, t.e.Model, tok, &Measured{Scores: t.result})
	if err != nil {
		return err
	}
	if err := formats.WriteSentence(dir, formats.Pooling(t.c.Pooling), t.normalize, t.e.Model.Config.HiddenSize, t.c.MaxSeqLength); err != nil {
		return err
	}
	return t.c.writeCard(dir, "A sentence-transformers model", t.e.Model, text)
}
