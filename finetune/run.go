package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"albert/internal/files/disk"

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

// Data is where the splits lie: a folder (the task's own, GLUE's root), or files.
type Data struct {
	Dir              string
	Train, Dev, Test []string
	Options          dataset.Options
}

// Load reads a split; nil without an error where a split that need not be there is not.
func (d *Data) Load(t dataset.Task, split dataset.Split, o dataset.Options) (*dataset.Set, error) {
	files := map[dataset.Split][]string{dataset.Train: d.Train, dataset.Dev: d.Dev, dataset.Test: d.Test}[split]
	if len(files) > 0 {
		return dataset.Read(t, split, files, o)
	}
	if d.Dir == "" {
		return nil, nil
	}
	if split == dataset.Test { // no folder needs one
		if found, err := dataset.Files(t, d.Dir, split); err != nil || len(found) == 0 {
			return nil, nil
		}
	}
	set, err := dataset.Load(t, d.Dir, split, o)
	if split == dataset.Test && errors.Is(err, dataset.ErrNoSplit) { // nor does an archive
		return nil, nil
	}
	return set, err
}

// Config is all that a fine-tuning run is asked. Zero Steps and Epochs, LearningRate, BatchSize and MaxSeqLength, and nil Warmup and
// Dropout mean the task's preset.
type Config struct {
	Model, Output string
	Task          dataset.Task
	Data          Data
	Head          string // of squad1 and squad2: HeadBeam or HeadSimple; "": the task's own
	Scratch       bool   // random weights of the model's configuration: what pretraining is worth

	MaxSeqLength      int
	Spans             task.SpanOptions
	LearningRate      float64
	BatchSize         int
	MicroBatchSize    int
	Steps             int
	Epochs            float64
	Warmup            *int
	Dropout           *float32 // in the encoder
	ClassifierDropout *float32 // nil: the model's
	Optimizer         optim.Config
	EvalEvery         int // 0: ten times a run
	SaveEvery, Keep   int
	Patience          int  // evaluations without a better one after which a run is finished; 0: all steps are done
	StopIfStuck       bool // a run that does not learn ends with ErrStuck
	MaxTime           time.Duration
	Seed              uint64
	Runs              int // with seeds Seed, Seed+1, ...
	Threads           int
	Quiet             bool

	About    train.Fields
	Messages io.Writer
}

// The heads for answers: that of transformers' AlbertForQuestionAnswering, which the released code has for SQuAD 1.1, and the one that
// it has for SQuAD 2.0 ([model.Beam]).
const (
	HeadSimple = "simple"
	HeadBeam   = "beam"
)

// BeamHead tells whether the beam head is to be learned, or why Head does not fit the task.
func (c *Config) BeamHead() (bool, error) {
	switch {
	case c.Head == "":
		return c.Task.Kind == dataset.Span && c.Task.Impossible, nil
	case c.Task.Kind != dataset.Span:
		return false, fmt.Errorf("--head %s: only tasks of answering have a choice of heads, %s has one", c.Head, Name(c.Task))
	case c.Head == HeadBeam && !c.Task.Impossible:
		return false, fmt.Errorf("--head %s: the head tells questions that have no answer, of which %s has none: squad2 has", c.Head, Name(c.Task))
	case c.Head != HeadBeam && c.Head != HeadSimple:
		return false, fmt.Errorf("--head %q: want %s or %s", c.Head, HeadBeam, HeadSimple)
	}
	return c.Head == HeadBeam, nil
}

// Result is RUN/result.json.
type Result struct {
	Task     string          `json:"task"`
	Metric   string          `json:"metric"`
	Dev      json.RawMessage `json:"dev"`
	Runs     []RunResult     `json:"runs"`
	BestStep int             `json:"best_step"`
	Median   *float64        `json:"median"` // null: the metric is undefined in every run
	Mean     *float64        `json:"mean"`
	// Deviation is the standard deviation over the runs, of a sample; 0 of one run.
	Deviation   *float64 `json:"standard_deviation"`
	Undefined   string   `json:"undefined,omitempty"` // why the metric has no value
	Submissions []string `json:"submissions,omitempty"`
	// Mismatched are the metrics on MNLI's mismatched dev set, where there is one; the matched one chooses the best step.
	Mismatched json.RawMessage `json:"dev_mismatched,omitempty"`
}

// RunResult is one run of a Result.
type RunResult struct {
	Seed     uint64          `json:"seed"`
	Value    *float64        `json:"value"` // of the metric; null: undefined
	BestStep int             `json:"best_step"`
	Dev      json.RawMessage `json:"dev"`
	Dir      string          `json:"dir"`
}

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
	c.oneFile()
	trainSet, err := c.Data.Load(c.Task, dataset.Train, c.Data.Options)
	if err != nil {
		return nil, err
	}
	if trainSet == nil || len(trainSet.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no training data", Name(c.Task))
	}
	if trainSet.Task.Kind == dataset.Multi && c.Task.Kind != dataset.Multi { // what --task classify is with lists of labels
		if c.Task, err = dataset.TaskNamed("multi"); err != nil {
			return nil, err
		}
	}
	devSet, err := c.Data.Load(c.Task, dataset.Dev, trainSet.Options())
	if err != nil {
		return nil, err
	}
	if devSet == nil || len(devSet.Examples) == 0 {
		return nil, fmt.Errorf("task %s: there is no dev data: the best step is chosen on it (--dev FILE)", Name(c.Task))
	}
	testSet, err := c.Data.Load(c.Task, dataset.Test, trainSet.Options())
	if err != nil {
		return nil, err
	}
	for _, s := range []*dataset.Set{trainSet, devSet, testSet} {
		if s != nil {
			for _, n := range s.Notes {
				c.message("%s", n)
			}
		}
	}
	if err := c.checkLabels(trainSet, devSet); err != nil {
		return nil, err
	}
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	result := &Result{Task: Name(c.Task), Metric: BestMetric(c.Task)}
	var best *RunResult
	for i := range max(1, c.Runs) {
		one := c
		one.Seed += uint64(i)
		if c.Runs > 1 {
			one.Output = filepath.Join(c.Output, fmt.Sprintf("run-%d", i+1))
			c.message("run %d of %d, seed %d", i+1, c.Runs, one.Seed)
		}
		r, err := one.run(ctx, dev, trainSet, devSet)
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
		if err := copyDir(filepath.Join(best.Dir, "model"), filepath.Join(c.Output, "model")); err != nil {
			return nil, err
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
				return nil, err
			}
		}
	}
	tests := []*dataset.Set{testSet}
	if c.Task.Name == "mnli" && c.Data.Dir != "" {
		more, err := c.mnli(ctx, dev, result)
		if err != nil {
			return nil, err
		}
		tests = append(tests, more...)
	}
	for _, set := range tests {
		if set == nil {
			continue
		}
		paths, err := c.submit(ctx, dev, set)
		if err != nil {
			return nil, err
		}
		result.Submissions = append(result.Submissions, paths...)
	}
	if c.Task.Submission != "" && len(result.Submissions) > 0 {
		note, err := zipSubmissions(c.Output)
		if err != nil {
			return nil, err
		}
		if note != "" {
			c.message("%s", note)
		}
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return nil, err
	}
	return result, disk.WriteFile(filepath.Join(c.Output, "result.json"), append(text, '\n'))
}

// oneFile takes a Data.Dir that is a file as the training data, but for RACE's archive, which holds every split.
func (c *Config) oneFile() {
	d := &c.Data
	info, err := os.Stat(d.Dir)
	if err != nil || info.IsDir() || c.Task.Name == "race" && !strings.HasSuffix(d.Dir, ".txt") {
		return
	}
	if d.Train = append(d.Train, d.Dir); len(d.Dev) == 0 {
		c.message("warning: without --dev FILE the dev set is %s, the training data: what is measured on it says nothing of other data", d.Dir)
		d.Dev = d.Train
	}
	d.Dir = ""
}

func (c *Config) message(format string, args ...any) {
	if !c.Quiet && c.Messages != nil {
		fmt.Fprintf(c.Messages, format+"\n", args...)
	}
}

// summarise finds median, mean and deviation of the runs whose metric is defined.
func (r *Result) summarise() {
	var v []float64
	for _, x := range r.Runs {
		if x.Value != nil {
			v = append(v, *x.Value)
		}
	}
	if len(v) == 0 {
		r.Undefined = r.Metric + " has no value on this dev set"
		var dev struct {
			Undefined map[string]string `json:"undefined"`
		}
		if json.Unmarshal(r.Dev, &dev) == nil && dev.Undefined[r.Metric] != "" {
			r.Undefined += ": " + dev.Undefined[r.Metric]
		}
		return
	}
	slices.Sort(v)
	n := len(v)
	sum, sq := 0.0, 0.0
	for _, x := range v {
		sum += x
	}
	median, mean, deviation := (v[(n-1)/2]+v[n/2])/2, sum/float64(n), 0.0
	if n > 1 {
		for _, x := range v {
			sq += float64((x - mean) * (x - mean))
		}
		deviation = math.Sqrt(sq / float64(n-1))
	}
	r.Median, r.Mean, r.Deviation = &median, &mean, &deviation
}

// resolve fills in the preset.
func (c *Config) resolve(m *model.Config, examples int) {
	p := PresetOf(Name(c.Task), examples, m.HiddenDropoutProb == 0)
	if c.LearningRate == 0 {
		c.LearningRate = p.LearningRate
	}
	if c.BatchSize == 0 {
		c.BatchSize = p.BatchSize
	}
	switch {
	case c.Steps > 0:
	case c.Epochs > 0:
		c.Steps = max(1, int(c.Epochs*float64(examples)/float64(c.BatchSize)))
	default:
		c.Steps = p.Steps
	}
	if c.Warmup == nil {
		w := p.Warmup * c.Steps / max(1, p.Steps) // in proportion, where the steps are not the preset's
		c.Warmup = &w
	}
	if c.Dropout == nil {
		c.Dropout = &p.Dropout
	}
	if c.ClassifierDropout == nil {
		d := m.ClassifierDropoutProb
		c.ClassifierDropout = &d
	}
	if c.MaxSeqLength == 0 {
		c.MaxSeqLength = p.MaxSeqLength
	}
	if c.MaxSeqLength > m.MaxPositionEmbeddings {
		c.message("--max-seq-length %d: the model has %d positions, so many are used", c.MaxSeqLength, m.MaxPositionEmbeddings)
		c.MaxSeqLength = m.MaxPositionEmbeddings
	}
	if c.Spans == (task.SpanOptions{}) {
		c.Spans = task.DefaultSpanOptions
	}
	if c.EvalEvery == 0 {
		c.EvalEvery = max(1, c.Steps/10)
	}
	if c.SaveEvery == 0 {
		c.SaveEvery = c.EvalEvery
	}
}

// run does one run, and evaluates its model.
func (c *Config) run(ctx context.Context, dev *cpu.Device, trainSet, devSet *dataset.Set) (*RunResult, error) {
	from, err := formats.Open(c.Model)
	if err != nil {
		return nil, err
	}
	tok := from.Tokenizer
	if tok == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer, which fine-tuning needs", c.Model)
	}
	c.resolve(&from.Config, len(trainSet.Examples))
	config := from.Config
	config.HiddenDropoutProb, config.AttentionProbsDropoutProb, config.ClassifierDropoutProb = *c.Dropout, *c.Dropout, *c.ClassifierDropout
	beam, err := c.BeamHead()
	if err != nil {
		return nil, err
	}
	if err := configure(&config, trainSet, beam); err != nil {
		return nil, err
	}
	kind := kinds[c.Task.Kind]
	m := model.NewWith(config, heads(trainSet, beam), c.Seed)
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
	settings := Settings{MaxSeqLength: c.MaxSeqLength, SpanOptions: c.Spans}
	features, err := NewFeatures(trainSet, tok, settings, true)
	if err != nil {
		return nil, err
	}
	if len(features.Examples) == 0 {
		return nil, fmt.Errorf("task %s: nothing can be learned from the training data: %d examples have no label", Name(c.Task), features.Dropped)
	}
	devFeatures, err := NewFeatures(devSet, tok, settings, false)
	if err != nil {
		return nil, err
	}
	if features.Truncated > 0 || features.Dropped > 0 {
		c.message("%d training examples: %d cut to %d pieces, %d without a usable label left out", len(trainSet.Examples), features.Truncated,
			c.MaxSeqLength, features.Dropped)
	}
	o := &task.Objective{Kind: kind, Model: m, Device: dev, Seed: c.Seed, Dropout: *c.ClassifierDropout,
		Drop: model.Dropouts{Hidden: *c.Dropout, Attention: *c.Dropout}}
	t := &learner{c: c, o: o, dev: dev, train: features, eval: devFeatures, watch: newWatch(c, features)}
	files := tok.Files()
	text, err := config.JSON()
	if err != nil {
		return nil, err
	}
	files[model.ConfigFile] = text
	err = train.Run(ctx, train.Config{
		Dir: c.Output, Steps: c.Steps, Rate: optim.Schedule{LearningRate: c.LearningRate, Steps: c.Steps, Warmup: *c.Warmup},
		Optimizer: c.Optimizer, Together: train.Together(config.ActivationBytes(), dev.Threads()), MicroBatch: c.MicroBatchSize,
		EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: max(1, c.Keep), Best: BestMetric(c.Task), UseBest: true, MaxTime: c.MaxTime,
		Patience: c.Patience, After: t.watch.after,
		Quiet: c.Quiet, Settings: c.settings(m), Data: train.Fields{{Name: "train", Value: hashes(trainSet)}, {Name: "dev", Value: hashes(devSet)}},
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

// hashes are the files that a set was read from.
func hashes(s *dataset.Set) string {
	var list []string
	for _, f := range s.Files {
		list = append(list, f.SHA256)
	}
	return strings.Join(list, ",")
}

func (c *Config) settings(m *model.Model) train.Fields {
	list := train.Fields{{Name: "task", Value: Name(c.Task)}, {Name: "model", Value: m.Hash()}, {Name: "max-seq-length", Value: c.MaxSeqLength},
		{Name: "doc-stride", Value: c.Spans.DocStride}, {Name: "max-query-length", Value: c.Spans.MaxQueryLength},
		{Name: "learning-rate", Value: c.LearningRate}, {Name: "batch-size", Value: c.BatchSize}, {Name: "steps", Value: c.Steps},
		{Name: "warmup-steps", Value: *c.Warmup}, {Name: "dropout", Value: *c.Dropout}, {Name: "classifier-dropout", Value: *c.ClassifierDropout},
		{Name: "optimizer", Value: c.Optimizer.Kind}, {Name: "weight-decay", Value: c.Optimizer.WeightDecay}, {Name: "clip", Value: c.Optimizer.Clip},
		{Name: "seed", Value: c.Seed}, {Name: "eval-every", Value: c.EvalEvery}, {Name: "micro-batch-size", Value: c.MicroBatchSize},
		{Name: "save-every", Value: c.SaveEvery}, {Name: "keep", Value: max(1, c.Keep)}, {Name: "max-time", Value: c.MaxTime.String()},
		{Name: "threads", Value: c.Threads}, {Name: "quiet", Value: c.Quiet}}
	if m.Beam.Start.W != nil {
		list = append(list, train.Field{Name: "head", Value: HeadBeam})
	}
	if c.Patience > 0 {
		list = append(list, train.Field{Name: "patience", Value: c.Patience})
	}
	if c.StopIfStuck {
		list = append(list, train.Field{Name: "stop-if-stuck", Value: true})
	}
	return list
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
	return t.o.NewBatch(step, batch), nil
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

// evaluationFile is kept beside the model: how it does on the dev set.
const evaluationFile = "eval.json"

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

// writeCard writes the model card.
func (t *learner) writeCard(dir string, scores []byte) error {
	var b strings.Builder
	fmt.Fprintf(&b, "---\nlibrary_name: transformers\ntags:\n- albert\n---\n\n# %s\n\n", filepath.Base(filepath.Clean(t.c.Output)))
	what := t.o.Kind.Class()
	if t.o.Model.Beam.Start.W != nil {
		what = "ALBERT with the head of the released code for SQuAD 2.0 (start_logits, end_logits, answer_class; transformers' AlbertModel loads the encoder)"
	}
	fmt.Fprintf(&b, "%s, fine-tuned with `albert finetune --task %s` from %s. On its dev set: `%s`.\n\n| setting | value |\n|---|---|\n",
		what, Name(t.c.Task), filepath.Base(filepath.Clean(t.c.Model)), scores)
	for _, f := range t.c.settings(t.o.Model) {
		if f.Name != "model" {
			fmt.Fprintf(&b, "| %s | %v |\n", f.Name, f.Value)
		}
	}
	fmt.Fprintf(&b, "\nweights_sha256: `%s`\n", t.o.Model.Hash())
	return disk.WriteFile(filepath.Join(dir, "README.md"), []byte(b.String()))
}

// result reads what a finished run reached.
func (t *learner) result() (*RunResult, error) {
	r := &RunResult{Seed: t.c.Seed, Dir: t.c.Output}
	text, err := os.ReadFile(filepath.Join(t.c.Output, "model", evaluationFile))
	if err != nil {
		return nil, err
	}
	r.Dev = json.RawMessage(strings.TrimSpace(string(text)))
	name := BestMetric(t.c.Task)
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", evaluationFile, err)
	}
	var v *float64
	if err := json.Unmarshal(values[name], &v); err == nil {
		r.Value = v
	}
	r.BestStep, err = train.BestStep(t.c.Output)
	return r, err
}

// submit predicts a test set with the result, and writes the predictions in the form that the task's leaderboard takes.
func (c *Config) submit(ctx context.Context, dev *cpu.Device, set *dataset.Set) ([]string, error) {
	m, err := formats.Open(filepath.Join(c.Output, "model"))
	if err != nil {
		return nil, err
	}
	p, err := c.predictWith(ctx, m, dev, set)
	if err != nil {
		return nil, err
	}
	return WritePredictions(c.Output, set, p, threshold(&m.Config))
}

// threshold is above what a model trained on questions without answers gives none; nil: it always answers.
func threshold(c *model.Config) *float64 {
	var t *float64
	_ = json.Unmarshal(c.Extra("null_threshold"), &t) // absent: nil
	return t
}

// predict runs a fine-tuned model over a set.
func predict(ctx context.Context, m *formats.Model, dev *cpu.Device, set *dataset.Set, s Settings) (*Predictions, *Features, error) {
	if m.Tokenizer == nil {
		return nil, nil, fmt.Errorf("%s: the model has no tokenizer", m.Path)
	}
	kind := kinds[set.Task.Kind]
	want := heads(set, kind == task.Answer && m.Beam.Start.W != nil)
	switch {
	case want.Labels > 0 && (m.Classifier.W == nil || m.Classifier.W.Rows() != want.Labels):
		has := "none"
		if m.Classifier.W != nil {
			has = fmt.Sprint(m.Classifier.W.Rows())
		}
		return nil, nil, fmt.Errorf("%s: task %s needs a classifier of %d outputs, the model has %s: fine-tune it first", m.Path, Name(set.Task), want.Labels, has)
	case want.Spans && m.Model.Spans.W == nil:
		return nil, nil, fmt.Errorf("%s: task %s needs a head for answers (qa_outputs, or start_logits, end_logits and answer_class): fine-tune the model first", m.Path, Name(set.Task))
	case want.Pooler && m.Pooler.W == nil:
		return nil, nil, fmt.Errorf("%s: the model has no pooler, which its head needs", m.Path)
	}
	inOrder(m, set)
	f, err := NewFeatures(set, m.Tokenizer, s, false)
	if err != nil {
		return nil, nil, err
	}
	p, err := f.Predict(ctx, &task.Objective{Kind: kind, Model: m.Model, Device: dev}, dev)
	return p, f, err
}

// WritePredictions writes predictions into a directory in the forms that scoring scripts and leaderboards take, and gives the paths.
func WritePredictions(dir string, set *dataset.Set, p *Predictions, threshold *float64) (paths []string, err error) {
	write := func(name string, f func(path string) error) {
		path := filepath.Join(dir, name)
		if err == nil {
			err = f(path)
			paths = append(paths, path)
		}
	}
	switch set.Task.Kind {
	case dataset.Span:
		write("predictions.json", func(path string) error { return dataset.WriteAnswers(path, set, p.Answers(threshold)) })
		write("nbest_predictions.json", func(path string) error { return dataset.WriteNBest(path, set, p.candidates()) })
		if set.Task.Impossible {
			write("null_odds.json", func(path string) error { return dataset.WriteNullOdds(path, set, p.NullOdds()) })
		}
		return paths, err
	case dataset.Choose:
		write("predictions.json", func(path string) error { return dataset.WriteChoices(path, set, p.Labels) })
		return paths, err
	}
	switch set.Task.Kind {
	case dataset.Multi:
		lists := make([][]string, len(p.Multi))
		for i, chosen := range p.Multi {
			for l, yes := range chosen {
				if yes {
					lists[i] = append(lists[i], set.Labels[l])
				}
			}
		}
		write("predictions.json", func(path string) error { return dataset.WriteLists(path, set, lists) })
		return paths, err
	case dataset.Tag:
		write("predictions.json", func(path string) error { return dataset.WriteLists(path, set, p.Tags) })
		return paths, err
	}
	words := make([]string, len(set.Examples))
	for i := range words {
		switch {
		case set.Task.Kind == dataset.Classify:
			words[i] = set.Labels[p.Labels[i]]
		case set.Task.Submission != "": // as the leaderboard's examples have it
			words[i] = fmt.Sprintf("%.3f", p.Values[i])
		default:
			words[i] = strconv.FormatFloat(p.Values[i], 'g', -1, 64)
		}
	}
	if set.Task.Submission == "" {
		write("predictions.tsv", func(path string) error { return dataset.WriteTable(path, set, words) })
		return paths, err
	}
	path, err := dataset.WriteSubmission(dir, set, words)
	return []string{path}, err
}

// candidates are the best spans of each question.
func (p *Predictions) candidates() [][]dataset.Candidate {
	out := make([][]dataset.Candidate, len(p.Spans))
	for i, s := range p.Spans {
		var logits []float32
		for _, b := range s.Best {
			logits = append(logits, b.Logit)
		}
		if len(logits) == 0 {
			out[i] = []dataset.Candidate{{Probability: 1}}
			continue
		}
		for k, q := range softmax(logits) {
			out[i] = append(out[i], dataset.Candidate{Text: s.Best[k].Text, Probability: q, StartLogProb: float64(s.Best[k].StartLogit),
				EndLogProb: float64(s.Best[k].EndLogit)})
		}
	}
	return out
}

func copyDir(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
