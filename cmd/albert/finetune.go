package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"albert/finetune"
	"albert/internal/engine/mpi"
	"albert/internal/files/jsonobject"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
	"albert/pretrain"
)

// taskNamed finds a task, for a usage error.
func taskNamed(name string) (dataset.Task, error) {
	t, err := dataset.TaskNamed(name)
	if err != nil {
		return t, usageError{fmt.Errorf("--task: %w; labels of your own are --task classify", err)}
	}
	return t, nil
}

// FinetuneCmd teaches a model a task.
type FinetuneCmd struct {
	finetune.Config
	mpiFlag
	JSON bool `name:"json" negatable:"" help:"Give result.json on stdout."`
}

// Run fine-tunes.
func (c *FinetuneCmd) Run(ctx context.Context) error {
	return c.share(func(world mpi.World) error {
		c.World, c.Threads = world, cmp.Or(c.Threads, mpi.Threads())
		t, err := c.check()
		if err = train.Agree(world, err); err != nil {
			return err
		}
		c.Messages = messages{os.Stderr}
		r, err := finetune.Run(ctx, c.Config)
		if err != nil {
			return noModel(c.Model, usage(err))
		}
		if !train.Leads(world) {
			return nil
		}
		return c.print(r, t)
	})
}

// check refuses what is asked for in vain, and finds the task.
func (c *FinetuneCmd) check() (t dataset.Task, err error) {
	if err := trainable("finetune", c.Precision); err != nil {
		return t, err
	}
	if t, err = taskNamed(c.Task); err != nil {
		return t, err
	}
	switch {
	case len(c.Data) == 0 && len(c.Train) == 0:
		return t, usagef("finetune: no data is given: --data DIR, or --train FILE and --dev FILE")
	case c.Runs < 1:
		return t, usagef("--runs %d: want at least 1", c.Runs)
	case t.Name == "ax":
		return t, usagef("finetune: ax has no training data: fine-tune mnli, then albert eval RUN --task ax --data DIR")
	}
	return t, nil
}

// print tells what a run reached.
func (c *FinetuneCmd) print(r *finetune.Result, t dataset.Task) error {
	if r.Overfit != nil {
		return overfitted(r.Overfit, c.JSON)
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
	ask := fmt.Sprintf(`albert predict %s FILE, or "a text"`, c.Output)
	switch t.Kind {
	case model.Embed:
		ask = fmt.Sprintf(`albert embed %s FILE, or "a text"`, c.Output)
	case model.Answer:
		ask = fmt.Sprintf(`echo '{"question": ..., "context": ...}' | albert predict %s`, c.Output)
	case model.Rank:
		ask = fmt.Sprintf(`echo '{"query": ..., "texts": [...]}' | albert predict %s`, c.Output)
	case model.Choice:
		ask = fmt.Sprintf(`echo '{"context": ..., "question": ..., "choices": [...]}' | albert predict %s`, c.Output)
	}
	fmt.Printf("\n%s/model: %s\n", c.Output, ask)
	if r.Mismatched != nil {
		fmt.Printf("mismatched: %s\n", r.Mismatched)
	}
	return nil
}

// EvalCmd evaluates a model, or a file of predictions.
type EvalCmd struct {
	Model string `arg:"" optional:"" help:"Model in any format, or run directory."`
	Task  string `help:"pretrain, sts, retrieval, or a task of albert finetune (default: what the run was fine-tuned for, else pretrain)." placeholder:"TASK"`
	finetune.Source
	Labels      []string `help:"The names of the model's classes, in its order, with commas between, where config.json has none or others." placeholder:"A,B"`
	Split       string   `default:"dev" help:"The part of a folder that is measured, or what a file is: train, dev or test."`
	With        []string `sep:"none" help:"A further model, whose predictions are averaged with the first one's; may be repeated." placeholder:"MODEL"`
	Long        string   `enum:"truncate,windows" default:"truncate" help:"Texts that are too long: truncate them, or average over windows (classes and numbers)."`
	Report      bool     `negatable:"" help:"Also print a row for each class, the confusion matrix and the calibration."`
	Worst       int      `help:"Also print so many of the examples that were answered worst, as JSON lines." placeholder:"N"`
	Predictions string   `help:"Score this file instead of a model." placeholder:"FILE"`
	NullOdds    string   `help:"squad2: the odds of no answer (null_odds.json) that belong to --predictions." placeholder:"FILE"`
	Output      string   `help:"Write the predictions into this directory." placeholder:"DIR"`
	Pooling     string   `enum:",mean,cls,max" default:"" help:"sts, retrieval: how the vectors of pieces become one: mean, cls or max (default: the model's, or mean)." placeholder:"POOLING"`
	finetune.Windows
	pretrain.Reading `set:"tables=JSONL, Parquet and a task's tables"`

	Objective      string  `default:"sop" enum:"sop,nsp,none" help:"pretrain: sentence loss: sop, nsp or none."`
	MaxSeqLength   int     `default:"0" range:"0 or [8,)" help:"Pieces of an example at most (0: the run's own, else what the model takes, for SQuAD 384)."`
	ShortSeqProb   float64 `default:"0.1" help:"pretrain: how often a pair is given a shorter length."`
	MaskRate       float64 `default:"0.15" help:"pretrain: masked pieces to all pieces."`
	MaxPredictions int     `default:"0" help:"pretrain: masked pieces of an example at most (0: no cap)."`
	Ngram          int     `name:"ngram" default:"3" help:"pretrain: words masked together at most."`
	UpstreamQuirks bool    `negatable:"" help:"pretrain: make examples as the released code does, quirks included."`
	EvalExamples   int     `default:"0" help:"pretrain: examples at most (0: all)."`
	Seed           uint64  `default:"12345" help:"pretrain: seed of the examples."`
	precisionFlag
	sideFlag
	jsonFlag
	allFlags
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
		if c.Report || c.Worst != 0 || len(c.With) > 0 || c.Long != "truncate" || c.TruncationSide != "" {
			return usagef("eval: --report, --worst, --with, --long and --truncation-side are for the tasks of albert finetune: --task TASK")
		}
		if c.Labels != nil || c.LabelColumn+c.PairColumn+c.Level+c.Delimiter+c.Quotes != "" || c.Multi {
			return usagef("eval: --labels, --label-column, --pair-column, --level, --delimiter, --quotes and --multi are for the tasks of albert finetune: --task TASK")
		}
		return noModel(c.Model, c.pretrain(ctx))
	}
	if c.Task == "sts" || c.Task == "retrieval" || c.Task == "embed" {
		return c.vectors(ctx)
	}
	t, err := taskNamed(c.Task)
	if err != nil {
		return err
	}
	if c.Pooling != "" {
		return usagef("eval: --pooling is for the tasks sts and retrieval")
	}
	if (c.Model == "") == (c.Predictions == "") {
		return usagef("eval: give a model, or --predictions FILE")
	}
	if c.Predictions != "" && c.Labels != nil {
		return usagef("eval: --labels names a model's classes; --predictions have names")
	}
	if c.Predictions != "" && len(c.With) > 0 {
		return usagef("eval: --with averages models, not --predictions")
	}
	if err := cmp.Or(run.Check(c), c.Source.Fits(t, c.TextColumn)); err != nil {
		return usage(err)
	}
	split, err := dataset.SplitNamed(c.Split)
	if err != nil {
		return usageError{err}
	}
	if c.Predictions != "" {
		m, err := finetune.ScoreFile(t, c.Data, split, c.Source.Options(c.TextColumn), c.Predictions, c.NullOdds, c.Worst)
		if err != nil {
			return err
		}
		return c.print(m)
	}
	length := 512
	if t.Kind == model.Answer {
		length = task.DefaultSpanOptions.MaxSeqLength
	}
	length = c.length(length)
	m, err := finetune.Evaluate(ctx, finetune.Evaluation{Model: c.Model, With: c.With, Worst: c.Worst, Task: t, Data: c.Data, Split: split, Options: c.Source.Options(c.TextColumn), Labels: c.Labels,
		Settings: finetune.Settings{MaxSeqLength: length, Long: c.Long == "windows", TruncationSide: c.TruncationSide, SpanOptions: c.Windows.Options(length)}, Threads: c.Threads, Precision: c.Precision, Output: c.Output})
	if err != nil {
		return noModel(c.Model, err)
	}
	return c.print(m)
}

// length is how many pieces an example has at most: what is asked for, what the run had, or the default.
func (c *EvalCmd) length(byDefault int) (n int) {
	if c.MaxSeqLength == 0 {
		_ = json.Unmarshal(setting(c.Model, "max-seq-length"), &n) // 0 of other models
	}
	return cmp.Or(c.MaxSeqLength, n, byDefault)
}

// vectors evaluates a model's vectors.
func (c *EvalCmd) vectors(ctx context.Context) error {
	t, err := taskNamed("embed")
	if err != nil {
		return err
	}
	switch {
	case c.Model == "" || c.Predictions != "":
		return usagef("eval: task %s measures the vectors of a model", c.Task)
	case c.Report || c.Worst != 0 || len(c.With) > 0 || c.Long != "truncate" || c.Output != "" || c.Labels != nil:
		return usagef("eval: --report, --worst, --with, --long, --output and --labels are for the tasks with labels, not for %s", c.Task)
	}
	if err := cmp.Or(run.Check(c), c.Source.Fits(t, c.TextColumn)); err != nil {
		return usage(err)
	}
	split, err := dataset.SplitNamed(c.Split)
	if err != nil {
		return usageError{err}
	}
	v := finetune.VectorEvaluation{Model: c.Model, Task: c.Task, Data: c.Data, Split: split, Options: c.Source.Options(c.TextColumn), Pooling: c.Pooling,
		MaxSeqLength: c.length(0), TruncationSide: c.TruncationSide, Threads: c.Threads, Precision: c.Precision}
	if c.Task == "embed" { // of a run: what the data is for
		v.Task = ""
	}
	m, err := finetune.EvaluateVectors(ctx, v)
	if err != nil {
		return noModel(c.Model, usage(err))
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
	if c.forPerson() {
		return c.show(m)
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

// show prints what was measured for a person.
func (c *EvalCmd) show(m *finetune.Measured) error {
	t := newTable()
	var list []jsonobject.Fields
	for _, x := range m.Scores {
		r := jsonobject.Fields{{Name: "metric", Value: x.Name}, {Name: "value", Value: x.Value}, {Name: "note", Value: x.Note}}
		if x.Undefined != "" {
			r[1].Value, r[2].Value = "undefined", x.Undefined
		}
		list = append(list, r)
	}
	t.rows(list, 0)
	if c.Report {
		if err := m.Write(t.out); err != nil {
			return err
		}
	}
	for _, w := range m.Worst {
		var r jsonobject.Fields
		text, err := jsonobject.Marshal(w)
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return err
		}
		t.row(r)
	}
	return t.Flush()
}

// pretrain evaluates the objectives of pretraining.
func (c *EvalCmd) pretrain(ctx context.Context) error {
	if c.Model == "" {
		return usagef("eval: give a model")
	}
	warnTables(c.Data...)
	o := pretrain.Defaults()
	o.Objective, o.MaxSeqLength, o.ShortSeqProb, o.MaskRate = c.Objective, c.MaxSeqLength, c.ShortSeqProb, c.MaskRate
	o.MaxPredictions, o.NGram, o.UpstreamQuirks, o.Seed = c.MaxPredictions, c.Ngram, c.UpstreamQuirks, c.Seed
	o.Dev, o.Reading, o.EvalExamples, o.Threads, o.Messages = c.Data, c.Reading, c.EvalExamples, c.Threads, messages{os.Stderr}
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
	if c.forPerson() {
		t := newTable()
		var list []jsonobject.Fields
		for _, x := range f {
			list = append(list, jsonobject.Fields{{Name: "metric", Value: x.Name}, {Name: "value", Value: x.Value}})
		}
		t.rows(list, 0)
		return t.Flush()
	}
	for _, x := range f {
		value := x.Value
		if value == nil {
			value = "undefined"
		}
		fmt.Printf("%-22s %v\n", x.Name, value)
	}
	return nil
}
