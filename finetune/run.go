package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/run"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/formats"
	"albert/internal/learn/figure"
	"albert/internal/learn/optim"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// Run fine-tunes. Each run directory is one of package train's, with the best step's model; result.json says what was reached, and the
// predictions for a test set stand beside it in the form of the task's leaderboard. Called again it goes on where it stopped.
func Run(ctx context.Context, c Config) (*Result, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	if c.Output == "" {
		return nil, errors.New("--output: no run directory given")
	}
	if _, err := c.BeamHead(); err != nil {
		return nil, err
	}
	sets, err := c.load()
	if err != nil {
		return nil, err
	}
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	result := &Result{Task: c.Task.Name, Metric: BestMetric(c.Task)}
	var best *RunResult
	for i := range max(1, c.Runs) {
		one := c
		one.Seed += uint64(i)
		if c.Runs > 1 {
			one.Output = string(run.Dir(c.Output).Seed(i + 1))
			c.message("run %d of %d, seed %d", i+1, c.Runs, one.Seed)
		}
		r, err := one.run(ctx, dev, sets)
		if err != nil {
			return nil, err
		}
		result.Runs = append(result.Runs, *r)
		if last := &result.Runs[len(result.Runs)-1]; best == nil || last.Value != nil && (best.Value == nil || *last.Value > *best.Value) {
			best = last
		}
	}
	result.Dev, result.BestStep = best.Dev, best.BestStep
	result.summarise()
	if c.Runs > 1 {
		if err := c.copyBest(best); err != nil {
			return nil, err
		}
	}
	if err := c.predictTests(ctx, dev, sets, result); err != nil {
		return nil, err
	}
	return result, run.Dir(c.Output).WriteResult(result)
}

// sets are the data of all runs, and as pieces once the first run has cut them.
type sets struct {
	train, dev, test *dataset.Set // test may be nil
	learn, eval      *Features
}

// load reads the data, and tells what a person should know of them.
func (c *Config) load() (*sets, error) {
	c.oneFile()
	var s sets
	var err error
	if s.train, err = c.Data.Load(c.Task, dataset.Train, c.Data.Options); err != nil {
		return nil, err
	}
	if s.train == nil || len(s.train.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no training data", c.Task.Name)
	}
	if s.train.Task.Kind == model.MultiLabel && c.Task.Kind != model.MultiLabel { // what --task classify is with lists of labels
		if c.Task, err = dataset.TaskNamed("multilabel"); err != nil {
			return nil, err
		}
	}
	o := c.Data.Options
	o.Labels, o.Multi = s.train.Labels, s.train.Task.Kind == model.MultiLabel
	if s.dev, err = c.Data.Load(c.Task, dataset.Dev, o); err != nil {
		return nil, err
	}
	if s.dev == nil || len(s.dev.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no dev data: the best step is chosen on it (--dev FILE)", c.Task.Name)
	}
	if s.test, err = c.Data.Load(c.Task, dataset.Test, o); err != nil {
		return nil, err
	}
	for _, set := range []*dataset.Set{s.train, s.dev, s.test} {
		if set != nil {
			for _, n := range set.Notes {
				c.message("%s", n)
			}
		}
	}
	return &s, c.checkLabels(s.train, s.dev)
}

// copyBest makes the model and the report of the best of several runs those of all.
func (c *Config) copyBest(best *RunResult) error {
	if err := run.Dir(c.Output).CopyModel(run.Dir(best.Dir)); err != nil {
		return err
	}
	for _, name := range []string{reportFile, confusionFile} {
		text, err := os.ReadFile(filepath.Join(best.Dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = disk.WriteFile(filepath.Join(c.Output, name), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// predictTests predicts the test sets with the result, in the form of the task's leaderboard.
func (c *Config) predictTests(ctx context.Context, dev *cpu.Device, s *sets, result *Result) error {
	tests := []*dataset.Set{s.test}
	if c.Task.Name == "mnli" && c.Data.Dir != "" {
		more, err := c.mnli(ctx, dev, result)
		if err != nil {
			return err
		}
		tests = append(tests, more...)
	}
	for _, set := range tests {
		if set == nil {
			continue
		}
		paths, err := c.submit(ctx, dev, set)
		if err != nil {
			return err
		}
		result.Submissions = append(result.Submissions, paths...)
	}
	if c.Task.Submission == "" || len(result.Submissions) == 0 {
		return nil
	}
	note, err := zipSubmissions(c.Output)
	if err == nil && note != "" {
		c.message("%s", note)
	}
	return err
}

// run does one run, and evaluates its model.
func (c *Config) run(ctx context.Context, dev *cpu.Device, s *sets) (*RunResult, error) {
	from, err := formats.Open(c.Model)
	if err != nil {
		return nil, err
	}
	tok := from.Tokenizer
	if tok == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer, which fine-tuning needs", c.Model)
	}
	c.resolve(&from.Config, len(s.train.Examples))
	config := from.Config
	config.HiddenDropoutProb, config.AttentionProbsDropoutProb, config.ClassifierDropoutProb = *c.Dropout, *c.Dropout, *c.ClassifierDropout
	beam, err := c.BeamHead()
	if err != nil {
		return nil, err
	}
	if err := configure(&config, s.train, beam); err != nil {
		return nil, err
	}
	kind := c.Task.Kind
	m := model.NewWith(config, heads(s.train, beam), c.Seed)
	if !c.Scratch {
		var fresh []string
		for _, name := range m.CopyFrom(from.Model) {
			if !model.IsHead(name) {
				fresh = append(fresh, name)
			}
		}
		if len(fresh) > 0 {
			c.message("%s has no %s: random", c.Model, strings.Join(fresh, ", "))
		}
	}
	if s.learn == nil {
		settings := Settings{MaxSeqLength: c.MaxSeqLength, SpanOptions: c.Spans}
		if s.learn, err = NewFeatures(s.train, tok, settings, true); err != nil {
			return nil, err
		}
		if s.eval, err = NewFeatures(s.dev, tok, settings, false); err != nil {
			return nil, err
		}
	}
	features := s.learn
	if len(features.Examples) == 0 {
		return nil, fmt.Errorf("task %s: nothing can be learned from the training data: %d examples have no label", c.Task.Name, features.Dropped)
	}
	if features.Truncated > 0 || features.Dropped > 0 {
		c.message("%d training examples: %d cut to %d pieces, %d without a usable label left out", len(s.train.Examples), features.Truncated,
			c.MaxSeqLength, features.Dropped)
	}
	o := &task.Objective{Kind: kind, Model: m, Device: dev, Seed: c.Seed, Dropout: *c.ClassifierDropout,
		Drop: model.Dropouts{Hidden: *c.Dropout, Attention: *c.Dropout}}
	t := &learner{c: c, o: o, dev: dev, train: features, eval: s.eval, watch: newWatch(c, features)}
	files := tok.Files()
	text, err := config.JSON()
	if err != nil {
		return nil, err
	}
	files[model.ConfigFile] = text
	err = train.Run(ctx, train.Config{
		Dir: run.Dir(c.Output), Steps: c.Steps, Rate: optim.Schedule{LearningRate: c.LearningRate, Steps: c.Steps, Warmup: *c.Warmup},
		Optimizer: c.Optimizer, Together: train.Together(config.ActivationBytes(), dev.Threads()), MicroBatch: c.MicroBatchSize,
		EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: max(1, c.Keep), Best: BestMetric(c.Task), UseBest: true, MaxTime: c.MaxTime,
		Patience: c.Patience, After: t.watch.after,
		Quiet: c.Quiet, Settings: c.settings(m), Data: train.Fields{{Name: "train", Value: hashes(s.train)}, {Name: "dev", Value: hashes(s.dev)}},
		About: append(train.Fields{{Name: "kernels", Value: dev.InstructionSet()}}, c.About...), Files: files, Device: dev,
		Tensors: m.Tensors, Flops: func(n int) float64 { return 3 * config.FlopsForward(n) }, Peak: dev.Peak(200), Messages: c.Messages,
		Finish: func(dir string) error { return t.finish(ctx, dir, tok) },
	}, m.Params, t)
	if _, e := figure.RunPlots(c.Output); e != nil && err == nil {
		c.message("warning: no plots: %v", e) // a run does not fail for them
	}
	if err != nil {
		return nil, err
	}
	return t.result()
}

// learner is the task of the training loop.
type learner struct {
	c           *Config
	o           *task.Objective
	dev         *cpu.Device
	train, eval *Features
	watch       *watch
}

// Batch gives a step's examples: those of an epoch in the order of a keyed permutation, one epoch after the other.
func (t *learner) Batch(step int) (train.Batch, error) {
	n := uint64(len(t.train.Examples))
	batch := make([]task.Example, t.c.BatchSize)
	for i := range batch {
		at := uint64(step-1)*uint64(t.c.BatchSize) + uint64(i)
		batch[i] = t.train.Examples[numeric.Permute(t.c.Seed, numeric.PurposeShuffle, uint32(at/n), n, at%n)]
		batch[i].Index = at
	}
	return t.o.NewStep(step, batch), nil
}

// Evaluate measures the weights on the dev set.
func (t *learner) Evaluate(ctx context.Context) (train.Fields, error) {
	p, err := t.eval.Predict(ctx, t.o, t.dev)
	if err != nil {
		return nil, err
	}
	scores, _, err := Score(t.eval.Set, p)
	if err != nil {
		return nil, err
	}
	fields := train.Fields{{Name: "loss", Value: p.Loss}}
	for _, s := range scores {
		var v any
		if s.Undefined == "" {
			v = s.Value
		}
		fields = append(fields, train.Field{Name: s.Name, Value: v})
	}
	t.watch.constant = sameAnswers(t.eval, p)
	return fields, nil
}

// finish writes the model of the best step and its evaluation.
func (t *learner) finish(ctx context.Context, dir string, tok *tokenizer.Tokenizer) error {
	p, err := t.eval.Predict(ctx, t.o, t.dev)
	if err != nil {
		return err
	}
	m, err := Measure(t.eval.Set, p, worstReported)
	if err != nil {
		return err
	}
	if threshold := m.threshold; threshold != nil {
		if err := t.o.Model.Config.SetExtra("null_threshold", *threshold); err != nil {
			return err
		}
	}
	if err := errors.Join(t.o.Model.Save(dir), tok.WriteDir(dir)); err != nil {
		return err
	}
	text, err := json.Marshal(m.Scores)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(filepath.Join(dir, evaluationFile), append(text, '\n')); err != nil {
		return err
	}
	if err := m.report(t.c.Output); err != nil {
		return err
	}
	if err := m.draw(t.c.Output); err != nil {
		t.c.message("warning: no plot: %v", err) // a run does not fail for it
	}
	return t.writeCard(dir, text)
}
