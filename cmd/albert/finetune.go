package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"albert/finetune"
	"albert/internal/files/jsonobject"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
	"albert/pretrain"
)

// dataOptions say how labelled data is read.
func dataOptions(s *finetune.Source, textColumn string) dataset.Options {
	return dataset.Options{Multi: s.Multi, TextColumn: textColumn, PairColumn: s.PairColumn, LabelColumn: s.LabelColumn, Level: s.Level}
}

// taskNamed finds a task, for a usage error.
func taskNamed(name string) (dataset.Task, error) {
	t, err := dataset.TaskNamed(name)
	if err != nil {
		return t, usageError{fmt.Errorf("--task: %w; labels of your own are --task classify", err)}
	}
	return t, nil
}

// spanOptions are the settings of answering.
func spanOptions(w finetune.Windows, length int) (task.SpanOptions, error) {
	if w.DocStride < 1 || w.MaxQueryLength < 0 || w.MaxAnswerLength < 1 {
		return task.SpanOptions{}, usagef("--doc-stride %d, --max-query-length %d, --max-answer-length %d: want at least 1, 0, 1", w.DocStride,
			w.MaxQueryLength, w.MaxAnswerLength)
	}
	return task.SpanOptions{MaxSeqLength: length, DocStride: w.DocStride, MaxQueryLength: w.MaxQueryLength, MaxAnswerLength: w.MaxAnswerLength,
		NBest: task.DefaultSpanOptions.NBest}, nil
}

// checkData refuses flags that say nothing about the data of a task.
func checkData(s *finetune.Source, t dataset.Task, textColumn string) error {
	own := t.Submission == "" && t.Kind != model.Answer && t.Name != "race"
	switch {
	case s.Level != "" && t.Name != "race":
		return usagef("--level: RACE has levels, %s has none", t.Name)
	case !own && (textColumn != "" || s.PairColumn != "" || s.LabelColumn != "" || s.Multi):
		return usagef("--text-column, --pair-column, --label-column, --multi: the files of %s have columns of their own; for other files --task classify", t.Name)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// share tells whether a flag is a probability that something is dropped.
func share(p *float32) bool { return p == nil || *p >= 0 && *p < 1 }

func minLength(n int) error {
	if n != 0 && n < 8 {
		return usagef("--max-seq-length %d: want at least 8", n)
	}
	return nil
}

// FinetuneCmd teaches a model a task.
type FinetuneCmd struct {
	finetune.Config
	JSON bool `name:"json" help:"Give result.json on stdout."`
	precisionFlag
}

// Run fine-tunes.
func (c *FinetuneCmd) Run(ctx context.Context) error {
	if err := c.trainable("finetune"); err != nil {
		return err
	}
	t, err := taskNamed(c.Task)
	if err != nil {
		return err
	}
	switch {
	case len(c.Data) == 0 && len(c.Train) == 0:
		return usagef("finetune: --data DIR, or --train FILE and --dev FILE, say what to learn from")
	case len(c.Data) > 1:
		return usagef("finetune: one --data; several files are given as --train FILE --train FILE")
	case c.Steps != 0 && c.Epochs != 0:
		return usagef("finetune: --steps or --epochs, not both")
	case c.Steps < 0 || c.Epochs < 0 || c.BatchSize < 0 || c.MaxSeqLength < 0 || c.LearningRate < 0 || c.Runs < 1 || c.EvalEvery < 0 || c.SaveEvery < 0 || c.Patience < 0:
		return usagef("finetune: a number that counts is negative, or --runs below 1")
	case c.WarmupSteps != nil && *c.WarmupSteps < 0 || c.Keep < 0 || c.MicroBatchSize < 0 || c.WeightDecay < 0 || c.Clip < 0 || c.MaxTime < 0:
		return usagef("finetune: --warmup-steps, --keep, --micro-batch-size, --weight-decay, --clip or --max-time is negative")
	case !finite(c.LearningRate) || !finite(c.Epochs) || !finite(c.Clip) || !finite(float64(c.WeightDecay)):
		return usagef("finetune: --learning-rate, --epochs, --clip or --weight-decay is no finite number")
	case !share(c.Dropout) || !share(c.ClassifierDropout):
		return usagef("finetune: --dropout and --classifier-dropout are shares: at least 0, below 1")
	}
	if err := minLength(c.MaxSeqLength); err != nil {
		return err
	}
	if err := checkData(&c.Source, t, c.TextColumn); err != nil {
		return err
	}
	if t.Name == "ax" {
		return usagef("finetune: ax has no training data: fine-tune mnli, then albert eval RUN --task ax --data DIR")
	}
	if _, err := finetune.BeamHead(t, c.Head); err != nil {
		return usageError{fmt.Errorf("finetune: %w", err)}
	}
	if _, err := spanOptions(c.Windows, c.MaxSeqLength); err != nil {
		return err
	}
	c.Messages = os.Stderr
	r, err := finetune.Run(ctx, c.Config)
	if err != nil {
		return noModel(c.Model, err)
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	if r.Undefined != "" {
		fmt.Printf("%s: %s", r.Task, r.Undefined)
	} else {
		fmt.Printf("%s %s %.4f at step %d", r.Task, r.Metric, *r.Median, r.BestStep)
	}
	var dev struct {
		Notes map[string]string `json:"notes"`
	}
	if json.Unmarshal(r.Dev, &dev) == nil && dev.Notes[r.Metric] != "" {
		fmt.Printf(" (%s)", dev.Notes[r.Metric])
	}
	if len(r.Runs) > 1 && r.Median != nil {
		fmt.Printf(" (median of %d runs; mean %.4f, standard deviation %.4f)", len(r.Runs), *r.Mean, *r.Deviation)
	}
	fmt.Printf("\n%s/model: albert predict %s FILE, or \"a text\"\n", c.Output, c.Output)
	if r.Mismatched != nil {
		fmt.Printf("mismatched: %s\n", r.Mismatched)
	}
	return nil
}

// EvalCmd evaluates a model, or a file of predictions.
type EvalCmd struct {
	Model string `arg:"" optional:"" help:"Model in any format, or run directory."`
	Task  string `help:"pretrain, or a task of albert finetune (default: what the run was fine-tuned for, else pretrain)." placeholder:"TASK"`
	finetune.Source
	Split       string   `default:"dev" help:"The split of a folder: train, dev or test."`
	With        []string `sep:"none" help:"A further model, may be repeated: the predictions of all are averaged." placeholder:"MODEL"`
	Long        string   `enum:"truncate,windows" default:"truncate" help:"Classes and numbers of texts that are too long: truncate them, or average over windows."`
	Report      bool     `negatable:"" help:"Also print a row for each class, the confusion matrix and the calibration."`
	Worst       int      `help:"Also print so many of the examples that were answered worst, as JSON lines." placeholder:"N"`
	Predictions string   `help:"Score this file instead of a model." placeholder:"FILE"`
	NullOdds    string   `help:"squad2: the odds of no answer that belong to the predictions." placeholder:"FILE"`
	Output      string   `help:"Write the predictions into this directory." placeholder:"DIR"`
	finetune.Windows
	pretrain.Reading

	Objective      string  `default:"sop" enum:"sop,nsp,none" help:"pretrain: sentence loss: sop, nsp or none."`
	MaxSeqLength   int     `default:"0" help:"Pieces of an example at most (default: what the model takes; SQuAD: 384)."`
	ShortSeqProb   float64 `default:"0.1" help:"pretrain: how often a pair is given a shorter length."`
	MaskRate       float64 `default:"0.15" help:"pretrain: masked pieces to all pieces."`
	MaxPredictions int     `default:"0" help:"pretrain: masked pieces of an example at most (0: no cap)."`
	Ngram          int     `name:"ngram" default:"3" help:"pretrain: words masked together at most."`
	UpstreamQuirks bool    `negatable:"" help:"pretrain: make examples as the released code does, quirks included."`
	EvalExamples   int     `default:"0" help:"pretrain: examples at most (0: all)."`
	Seed           uint64  `default:"12345" help:"pretrain: seed of the examples."`
	Threads        int     `help:"Threads (0: all)."`
	JSON           bool    `name:"json" help:"Give one JSON object."`
	precisionFlag
}

// Run evaluates.
func (c *EvalCmd) Run(ctx context.Context) error {
	if len(c.Data) == 0 {
		return usagef("eval: --data is missing: albert eval MODEL --data FILE|DIR")
	}
	if c.Task == "" {
		c.Task = taskOfRun(c.Model)
	}
	if c.Task == "pretrain" {
		if c.Report || c.Worst != 0 || len(c.With) > 0 || c.Long != "truncate" {
			return usagef("eval: --report, --worst, --with and --long are for the tasks of albert finetune: --task TASK")
		}
		return noModel(c.Model, c.pretrain(ctx))
	}
	t, err := taskNamed(c.Task)
	if err != nil {
		return err
	}
	if (c.Model == "") == (c.Predictions == "") {
		return usagef("eval: give a model, or --predictions FILE")
	}
	if c.Worst < 0 {
		return usagef("eval: --worst %d is negative", c.Worst)
	}
	if c.Predictions != "" && len(c.With) > 0 {
		return usagef("eval: --with averages models, not --predictions")
	}
	if err := minLength(c.MaxSeqLength); err != nil {
		return err
	}
	if err := checkData(&c.Source, t, c.TextColumn); err != nil {
		return err
	}
	split, err := dataset.SplitNamed(c.Split)
	if err != nil {
		return usageError{err}
	}
	if c.Predictions != "" {
		m, err := finetune.ScoreFile(t, c.Data, split, dataOptions(&c.Source, c.TextColumn), c.Predictions, c.NullOdds, c.Worst)
		if err != nil {
			return err
		}
		return c.print(m)
	}
	length := c.MaxSeqLength
	if length == 0 { // the run's own
		_ = json.Unmarshal(setting(c.Model, "max-seq-length"), &length) // 0 of other models
	}
	if length == 0 {
		length = 512
		if t.Kind == model.Answer {
			length = task.DefaultSpanOptions.MaxSeqLength
		}
	}
	spans, err := spanOptions(c.Windows, length)
	if err != nil {
		return err
	}
	m, err := finetune.Evaluate(ctx, finetune.Evaluation{Model: c.Model, With: c.With, Worst: c.Worst, Task: t, Data: c.Data, Split: split, Options: dataOptions(&c.Source, c.TextColumn),
		Settings: finetune.Settings{MaxSeqLength: length, Long: c.Long == "windows", SpanOptions: spans}, Threads: c.Threads, Precision: c.Precision, Output: c.Output})
	if err != nil {
		return noModel(c.Model, err)
	}
	return c.print(m)
}

// taskOfRun is the task that a run or a model was fine-tuned for; pretrain for any other model.
func taskOfRun(dir string) string {
	var name string
	if json.Unmarshal(setting(dir, "task"), &name) == nil && name != "" {
		return name
	}
	for _, d := range []string{run.Dir(dir).Model(), dir} { // the first of several runs
		text, err := os.ReadFile(filepath.Join(d, model.ConfigFile))
		var config struct {
			Task string `json:"finetuning_task"`
		}
		if err == nil && json.Unmarshal(text, &config) == nil {
			if _, err := dataset.TaskNamed(config.Task); err == nil {
				return config.Task
			}
		}
	}
	return "pretrain"
}

// setting is what a run directory's manifest says; nil where there is none.
func setting(dir, name string) json.RawMessage {
	m, err := run.Dir(dir).ReadManifest()
	if err != nil {
		return nil
	}
	text, _ := m.Settings.Get(name).(json.RawMessage)
	return text
}

func (c *EvalCmd) print(m *finetune.Measured) error {
	for _, n := range m.Notes {
		fmt.Fprintln(os.Stderr, n)
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	for _, x := range m.Scores {
		if x.Undefined != "" {
			fmt.Printf("%-24s undefined: %s\n", x.Name, x.Undefined)
			continue
		}
		note := ""
		if x.Note != "" {
			note = " (" + x.Note + ")"
		}
		fmt.Printf("%-24s %v%s\n", x.Name, x.Value, note)
	}
	if c.Report {
		if err := m.Write(os.Stdout); err != nil {
			return err
		}
	}
	for _, w := range m.Worst {
		text, err := jsonobject.Marshal(w)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", text)
	}
	return nil
}

// pretrain evaluates the objectives of pretraining.
func (c *EvalCmd) pretrain(ctx context.Context) error {
	if c.Model == "" {
		return usagef("eval: give a model")
	}
	o := pretrain.Defaults()
	o.Objective, o.MaxSeqLength, o.ShortSeqProb, o.MaskRate = c.Objective, c.MaxSeqLength, c.ShortSeqProb, c.MaskRate
	o.MaxPredictions, o.NGram, o.UpstreamQuirks, o.Seed = c.MaxPredictions, c.Ngram, c.UpstreamQuirks, c.Seed
	o.Dev, o.Reading, o.EvalExamples, o.Threads = c.Data, c.Reading, c.EvalExamples, c.Threads
	f, err := pretrain.Evaluate(ctx, c.Model, c.Precision, o)
	if err != nil {
		return err
	}
	if c.JSON {
		text, err := f.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = fmt.Printf("%s\n", text)
		return err
	}
	for _, x := range f {
		fmt.Printf("%-22s %v\n", x.Name, x.Value)
	}
	return nil
}
