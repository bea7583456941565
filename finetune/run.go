package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/run"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/learn/figure"
	"albert/internal/learn/metric"
	"albert/internal/learn/optim"
	"albert/internal/learn/signs"
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
	if !train.Leads(c.World) {
		c.Messages = nil
	}
	j, data, dev, err := open(c)
	if dev != nil {
		defer dev.Close()
	}
	if err = train.Agree(c.World, err); err != nil {
		return nil, err
	}
	if c.OverfitOneBatch {
		o, err := j.overfit(ctx, dev, data)
		return &Result{Task: j.Task.Name, Overfit: o}, err
	}
	result, err := j.runs(ctx, dev, data)
	if err != nil {
		return result, err
	}
	if err := j.submissions(train.WithRanks(ctx, c.World), dev, data.test, result); err != nil || !train.Leads(c.World) {
		return result, err
	}
	result.Notes = j.notes.list
	return result, run.Dir(j.Output).WriteResult(result)
}

// open reads the data of a job and makes the device that it runs on, which must be closed.
func open(c Config) (j *job, data *sets, dev *cpu.Device, err error) {
	if j, err = newJob(c); err != nil {
		return nil, nil, nil, err
	}
	if data, err = j.read(); err == nil {
		dev, err = train.NewDevice(&j.Common, j.Messages, run.Dir(j.Output), run.Dir(j.Output).Seed(1))
	}
	if c.OverfitOneBatch && c.World != nil {
		err = &run.FieldError{Field: "OverfitOneBatch", Problem: "is for one process"}
	}
	return j, data, dev, err
}

// sets are the data of a run; test is nil where there is none.
type sets struct {
	train, dev, test *dataset.Set
	benchmark        *benchmark // of embed, instead of dev
}

// read reads the data.
func (c *job) read() (*sets, error) {
	c.oneFile()
	var s sets
	var err error
	if c.Task.Kind == model.Embed {
		return c.readEmbed()
	}
	if s.train, err = c.Data.load(c.Task, dataset.Train, c.Data.Options); err != nil {
		return nil, err
	}
	if s.train == nil || len(s.train.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no training data", c.Task.Name)
	}
	if s.train.Task.Kind == model.MultiLabel && c.Task.Kind != model.MultiLabel { // what the task classify is with lists of labels
		if c.Task, err = dataset.TaskNamed("multi"); err != nil {
			return nil, err
		}
	}
	c.nameClasses(s.train)
	o, known := c.Data.Options, s.train.Options()
	o.Labels, o.Multi, o.ByPlace = known.Labels, known.Multi, known.ByPlace
	if s.dev, err = c.Data.load(c.Task, dataset.Dev, o); err != nil {
		return nil, err
	}
	if s.dev == nil || len(s.dev.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no dev data: the best step is chosen on it (`Dev`)", c.Task.Name)
	}
	if s.test, err = c.Data.load(c.Task, dataset.Test, o); err != nil {
		return nil, err
	}
	for _, set := range []*dataset.Set{s.train, s.dev, s.test} {
		if set != nil {
			c.note(notesOf(set)...)
		}
	}
	if c.metric = bestMetric(c.Task, s.train.Labels); c.metric != metric.Names(c.Task.Name)[0] {
		c.note(fmt.Sprintf("no tag begins with B- or I-, so tags are classes of words, not entities: %s decides which evaluation is best", c.metric))
	}
	return &s, c.checkLabels(s.train, s.dev)
}

// nameClasses gives classes by place, which the data does not name, the names that the model's configuration has for as many.
func (c *job) nameClasses(set *dataset.Set) {
	if !set.Unnamed {
		return
	}
	for _, dir := range []string{run.Dir(c.Model).Model(), c.Model} {
		text, err := disk.ReadFile(filepath.Join(dir, model.ConfigFile), 1<<20)
		var config struct {
			Names map[string]string `json:"id2label"`
		}
		if err != nil || json.Unmarshal(text, &config) != nil {
			continue
		}
		names := make([]string, len(set.Labels))
		for i := range names {
			name := config.Names[strconv.Itoa(i)]
			if name == "" || name == fmt.Sprintf("LABEL_%d", i) || slices.Contains(names, name) {
				return
			}
			names[i] = name
		}
		if len(config.Names) == len(names) {
			set.Labels = names
			set.Notes = append(set.Notes, fmt.Sprintf("the %d classes have the names of %s: %s", len(names), c.Model, strings.Join(names, ", ")))
		}
		return
	}
}

// notesOf are a set's notes, with its split.
func notesOf(set *dataset.Set) []string {
	list := slices.Clone(set.Notes)
	for i := range list {
		list[i] = string(set.Split) + ": " + list[i]
	}
	return list
}

// hashes are those of the data, for the manifest.
func (s *sets) hashes() jsonobject.Fields {
	if s.benchmark != nil {
		return jsonobject.Fields{{Name: "train", Value: hashes(s.train)}, {Name: "dev", Value: s.benchmark.hash()}}
	}
	list := jsonobject.Fields{{Name: "train", Value: hashes(s.train)}, {Name: "dev", Value: hashes(s.dev)}}
	if s.test != nil {
		list = append(list, jsonobject.Field{Name: "test", Value: hashes(s.test)})
	}
	return list
}

// runs does every run, each with a seed of its own, and makes the best one's model the result.
func (c *job) runs(ctx context.Context, dev *cpu.Device, data *sets) (*Result, error) {
	result := &Result{Task: c.Task.Name, Metric: c.metric}
	var best *RunResult
	features := &cut{}
	for i := range max(1, c.Runs) {
		one := *c
		one.Seed += uint64(i)
		if c.Runs > 1 {
			one.Output = string(run.Dir(c.Output).Seed(i + 1))
			c.message("run %d of %d, seed %d", i+1, c.Runs, one.Seed)
		}
		r, err := one.run(ctx, dev, data, features)
		if err != nil {
			return nil, err
		}
		result.Runs = append(result.Runs, *r)
		if last := &result.Runs[len(result.Runs)-1]; best == nil || last.Value != nil && (best.Value == nil || *last.Value > *best.Value) {
			best = last
		}
	}
	if !train.Leads(c.World) {
		return result, nil
	}
	result.Dev, result.BestStep = best.Dev, best.BestStep
	result.summarise()
	if c.Runs > 1 {
		return result, c.takeOver(best.Dir)
	}
	return result, nil
}

// takeOver copies the model and the reports of the best of several runs.
func (c *job) takeOver(best string) error {
	if err := run.Dir(c.Output).CopyModel(run.Dir(best)); err != nil {
		return err
	}
	for _, name := range []string{reportFile, confusionFile} {
		text, err := os.ReadFile(filepath.Join(best, name))
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

// cut is the data cut into pieces, once for all runs: the model's tokenizer and the lengths are the same in each.
type cut struct{ train, dev *Features }

// make cuts the data, unless that was done.
func (f *cut) make(c *job, data *sets, tok *tokenizer.Tokenizer) (err error) {
	if f.dev != nil {
		return nil
	}
	settings := Settings{MaxSeqLength: c.MaxSeqLength, SpanOptions: c.Spans}
	if f.train, err = NewFeatures(data.train, tok, settings, true); err != nil {
		return err
	}
	if len(f.train.Examples) == 0 {
		return fmt.Errorf("task %s: nothing can be learned from the training data: %d examples have no label", c.Task.Name, f.train.Dropped)
	}
	if f.dev, err = NewFeatures(data.dev, tok, settings, false); err != nil {
		return err
	}
	c.note(f.train.Notes()...)
	c.note(f.dev.Notes()...)
	if data.test == nil {
		return nil
	}
	test, err := NewFeatures(data.test, tok, settings, false) // for the log, which says all before the first step
	if err == nil {
		c.note(test.Notes()...)
	}
	return err
}

// model makes the model that a run starts from: the pretrained one with a new head, or random weights.
func (c *job) model(from *formats.Model, trainSet *dataset.Set) (*model.Model, error) {
	config := from.Config
	config.HiddenDropoutProb, config.AttentionProbsDropoutProb, config.ClassifierDropoutProb = *c.Dropout, *c.Dropout, *c.ClassifierDropout
	beam, err := BeamHead(c.Task, c.Head)
	if err != nil {
		return nil, err
	}
	if err := configure(&config, trainSet, beam); err != nil {
		return nil, err
	}
	m := model.NewWith(config, heads(trainSet, beam), c.Seed)
	if c.Scratch {
		return m, nil
	}
	random := slices.DeleteFunc(m.CopyFrom(from.Model), model.IsHead)
	if len(random) > 0 {
		c.message("%s has no %s: random", c.Model, strings.Join(random, ", "))
	}
	return m, nil
}

// run does one run, and evaluates its model.
func (c *job) run(ctx context.Context, dev *cpu.Device, data *sets, features *cut) (*RunResult, error) {
	config, m, t, err := c.open(ctx, dev, data, features)
	if err = train.Agree(c.World, err); err != nil {
		return nil, err
	}
	err = train.Run(ctx, *config, m.Params, t)
	result := &RunResult{}
	if train.Leads(c.World) {
		if _, e := figure.RunPlots(c.Output); e != nil && err == nil {
			c.message("warning: no plots: %v", e) // a run does not fail for them
		}
		if err == nil {
			result, err = c.result()
		}
	}
	return result, train.Agree(c.World, err)
}

// start is what a run starts from.
type start struct {
	from      *formats.Model       // as it was read
	tokenizer *tokenizer.Tokenizer // which cuts as the run does
	m         *model.Model         // that learns
	learner   taskLearner
}

// start opens the model, gives it the head of the task, and lays out what it learns.
func (c *job) start(dev *cpu.Device, data *sets, features *cut) (s start, err error) {
	if s.from, err = formats.Open(c.Model); err != nil {
		return s, err
	}
	if s.from.Tokenizer == nil {
		return s, fmt.Errorf("%s: the model has no tokenizer, which fine-tuning needs", c.Model)
	}
	s.tokenizer = s.from.Tokenizer.CutAt(c.TruncationSide)
	c.resolve(&s.from.Config, len(data.train.Examples))
	if s.m, err = c.model(s.from, data.train); err != nil {
		return s, err
	}
	if c.Task.Kind == model.Embed {
		s.learner, err = c.embedLearner(s.m, s.from, s.tokenizer, dev, data)
	} else {
		s.learner, err = c.headLearner(s.m, s.tokenizer, dev, data, features)
	}
	return s, err
}

// open makes the model that a run starts from, what it learns, and what the training loop is asked.
func (c *job) open(ctx context.Context, dev *cpu.Device, data *sets, features *cut) (config *train.Config, m *model.Model, t taskLearner, err error) {
	s, err := c.start(dev, data, features)
	if err != nil {
		return nil, nil, nil, err
	}
	tok, m, t := s.tokenizer, s.m, s.learner
	files := tok.Files()
	if files[model.ConfigFile], err = m.Config.JSON(); err != nil {
		return nil, nil, nil, err
	}
	if err := c.setMaxLength(files); err != nil {
		return nil, nil, nil, err
	}
	sources, err := c.sources(s.from, data)
	return &train.Config{
		Dir: run.Dir(c.Output), Steps: c.Steps, Rate: optim.Schedule{LearningRate: c.LearningRate, Steps: c.Steps, Warmup: *c.WarmupSteps},
		Optimizer: optim.Config{Kind: optim.Kind(c.Optimizer), WeightDecay: c.WeightDecay, Clip: c.Clip, BiasCorrection: c.BiasCorrection},
		Together:  train.Together(m.Config.ActivationBytes(), dev.Threads()), MicroBatch: c.MicroBatchSize,
		EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: c.Keep, Best: c.metric, UseBest: true, World: c.World, MaxTime: c.MaxTime,
		Patience: c.Patience, After: t.after, Quiet: c.Quiet, Settings: c.settings(m), Changeable: run.Changeable(&c.Config),
		Data: data.hashes(), Sources: sources, Notes: c.notes.list,
		About: append(jsonobject.Fields{{Name: "kernels", Value: dev.InstructionSet()}}, run.About()...),
		Files: files, Device: dev, Tensors: m.Tensors, Flops: func(n int) float64 { return t.passes() * m.Config.FlopsForward(n) }, Peak: dev.Peak(200),
		Memory: t.memory, Messages: c.Messages, Measure: t.measure,
		Finish: func(dir string) error { return t.finish(dir, tok) },
	}, m, t, err
}

// taskLearner is what a run learns: a learner, with what the run asks of it beside the training loop.
type taskLearner interface {
	train.Learner
	after(row train.Fields) (warning string, err error)
	memory(b train.Batch) []train.Memory
	passes() float64 // forward and back, in forward passes
	measure(ctx context.Context) error
	finish(dir string, tok *tokenizer.Tokenizer) error
}

// headLearner learns a head with its encoder.
func (c *job) headLearner(m *model.Model, tok *tokenizer.Tokenizer, dev *cpu.Device, data *sets, features *cut) (*learner, error) {
	if err := features.make(c, data, tok); err != nil {
		return nil, err
	}
	o := &task.Objective{Kind: c.Task.Kind, Model: m, Device: dev, Seed: c.Seed, Dropout: *c.ClassifierDropout,
		Drop: model.Dropouts{Hidden: *c.Dropout, Attention: *c.Dropout}}
	o.Name = func(source int) string { return features.train.Set.Examples[features.train.Of[source]].Place() }
	guess := chance(features.train)
	unclear := func() bool { return o.Bound(features.train.Examples) > guess/2 }
	return &learner{c: c, o: o, dev: dev, train: features.train, eval: features.dev, watch: newWatch(c, guess, uniform(features.train), unclear)}, nil
}

// learner is the task of the training loop, but of embed.
type learner struct {
	c           *job
	o           *task.Objective
	dev         *cpu.Device
	train, eval *Features
	watch       *signs.Watch
	result      *Predictions // of the best step, for eval
}

func (t *learner) after(row train.Fields) (string, error) { return t.watch.After(row) }

func (t *learner) passes() float64 { return 3 }

// Batch gives a step's examples.
func (t *learner) Batch(step int) (train.Batch, error) {
	return t.o.NewStep(step, t.c.pick(t.train.Examples, step)), nil
}

// pick gives a step's examples: those of an epoch in the order of a keyed permutation, one epoch after the other.
func (c *job) pick(examples []task.Example, step int) []task.Example {
	n := uint64(len(examples))
	batch := make([]task.Example, c.BatchSize)
	for i := range batch {
		at := uint64(step-1)*uint64(c.BatchSize) + uint64(i)
		source := numeric.Permute(c.Seed, numeric.PurposeShuffle, uint32(at/n), n, at%n)
		batch[i] = examples[source]
		batch[i].Index, batch[i].Source = at, int(source)
	}
	return batch
}

// plannedSteps is how many steps' batches a plan looks at: examples differ in length, and the longest leaf of all decides.
const plannedSteps = 32

// memory says what a step takes beside gradients and moments.
func (t *learner) memory(b train.Batch) []train.Memory {
	return t.c.memory(b, t, t.o.Model, t.dev, t.runOn, t.train.bytes()+t.eval.bytes())
}

// memory says what a learner's step takes beside gradients and moments; data is what its examples take.
func (c *job) memory(b train.Batch, t train.Learner, m *model.Model, dev *cpu.Device, runOn func(ops.Device, train.Batch, int, int), data int64) []train.Memory {
	batches := []train.Batch{b}
	for step := 1; step <= min(plannedSteps, c.Steps); step++ {
		if x, err := t.Batch(step); err == nil {
			batches = append(batches, x)
		}
	}
	list := append([]train.Memory{{Name: "program", Bytes: train.ProgramBytes}}, train.LeafMemory(dev, m, batches, c.MicroBatchSize, runOn)...)
	return append(list, train.Memory{Name: "pretrained weights", Bytes: 4 * int64(m.Params.Size())}, train.Memory{Name: "data", Bytes: data})
}

// runOn runs sequences [from,to) of a batch forward and back on another device, such as one that measures; the gradients are dropped.
func (t *learner) runOn(device ops.Device, b train.Batch, from, to int) {
	o := *t.o
	o.Device = device
	o.Run(new(ops.Grads), b.(*task.Step).Examples[from:to], 1, 1)
}

// exampleBytes is what an example has beside its pieces and its text.
const exampleBytes = 700

// bytes is about what a set takes, as text and as pieces.
func (f *Features) bytes() (n int64) {
	for i := range f.Examples {
		n += exampleBytes + 8*int64(f.Examples[i].Pieces())
	}
	contexts := map[string]bool{} // questions share their passage
	for i := range f.Set.Examples {
		e := &f.Set.Examples[i]
		n += exampleBytes + int64(len(e.Text)+len(e.Pair)+len(e.Question))
		if !contexts[e.Context] {
			contexts[e.Context] = true
			n += 8 * int64(len(e.Context))
		}
	}
	return n
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
	t.watch.Constant = sameAnswers(t.eval, p)
	return append(train.Fields{{Name: "loss", Value: p.Loss}}, scoreFields(scores)...), nil
}

// measure measures the model of the best step.
func (t *learner) measure(ctx context.Context) (err error) {
	t.result, err = t.eval.Predict(ctx, t.o, t.dev)
	return err
}

// finish writes the model of the best step and its evaluation.
func (t *learner) finish(dir string, tok *tokenizer.Tokenizer) error {
	m, err := Measure(t.eval.Set, t.result, worstReported)
	if err != nil {
		return err
	}
	if threshold := m.threshold; threshold != nil {
		if err := t.o.Model.Config.SetExtra("null_threshold", *threshold); err != nil {
			return err
		}
	}
	text, err := t.c.write(dir, t.o.Model, tok, m)
	if err != nil {
		return err
	}
	if err := m.draw(t.c.Output); err != nil {
		t.c.message("warning: no plot: %v", err) // a run does not fail for it
	}
	what := t.o.Model.Config.ClassName(t.o.Kind.Class())
	if t.o.Model.Beam.Start.W != nil {
		what = "ALBERT with the head of the released code for SQuAD 2.0 (start_logits, end_logits, answer_class; transformers' AlbertModel loads the encoder)"
	}
	return t.c.writeCard(dir, what, t.o.Model, text)
}

// write writes a model with what was measured into its directory, and gives the scores as they stand there.
func (c *job) write(dir string, m *model.Model, tok *tokenizer.Tokenizer, measured *Measured) ([]byte, error) {
	files := tok.DirFiles()
	if err := errors.Join(m.Save(dir), c.setMaxLength(files)); err != nil {
		return nil, err
	}
	for name, data := range files {
		if err := disk.WriteFile(filepath.Join(dir, name), data); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(measured.Scores)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile(filepath.Join(dir, evaluationFile), append(text, '\n')); err != nil {
		return nil, err
	}
	return text, measured.report(c.Output)
}
