package finetune

import (
	"fmt"
	"io"
	"time"

	"albert/internal/learn/optim"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/dataset"
)

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
		return c.Task.Kind == model.Answer && c.Task.Impossible, nil
	case c.Task.Kind != model.Answer:
		return false, fmt.Errorf("--head %s: only tasks of answering have a choice of heads, %s has one", c.Head, c.Task.Name)
	case c.Head == HeadBeam && !c.Task.Impossible:
		return false, fmt.Errorf("--head %s: the head tells questions that have no answer, of which %s has none: squad2 has", c.Head, c.Task.Name)
	case c.Head != HeadBeam && c.Head != HeadSimple:
		return false, fmt.Errorf("--head %q: want %s or %s", c.Head, HeadBeam, HeadSimple)
	}
	return c.Head == HeadBeam, nil
}

func (c *Config) message(format string, args ...any) {
	if !c.Quiet && c.Messages != nil {
		fmt.Fprintf(c.Messages, format+"\n", args...)
	}
}

// resolve fills in the preset.
func (c *Config) resolve(m *model.Config, examples int) {
	p := PresetOf(c.Task.Name, examples, m.HiddenDropoutProb == 0)
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

func (c *Config) settings(m *model.Model) train.Fields {
	list := train.Fields{{Name: "task", Value: c.Task.Name}, {Name: "model", Value: m.Hash()}, {Name: "max-seq-length", Value: c.MaxSeqLength},
		{Name: "doc-stride", Value: c.Spans.DocStride}, {Name: "max-query-length", Value: c.Spans.MaxQueryLength},
		{Name: "learning-rate", Value: c.LearningRate}, {Name: "batch-size", Value: c.BatchSize}, {Name: "steps", Value: c.Steps},
		{Name: "warmup-steps", Value: *c.Warmup}, {Name: "dropout", Value: *c.Dropout}, {Name: "classifier-dropout", Value: *c.ClassifierDropout},
		{Name: "optimizer", Value: c.Optimizer.Kind}, {Name: "weight-decay", Value: c.Optimizer.WeightDecay}, {Name: "clip", Value: c.Optimizer.Clip},
		{Name: "seed", Value: c.Seed}, {Name: "eval-every", Value: c.EvalEvery}, {Name: "micro-batch-size", Value: c.MicroBatchSize},
		{Name: "save-every", Value: c.SaveEvery}, {Name: "keep", Value: max(1, c.Keep)}, {Name: "max-time", Value: c.MaxTime.String()},
		{Name: "threads", Value: c.Threads}, {Name: "quiet", Value: c.Quiet}}
	o := c.Data.Options
	list = append(list, train.Field{Name: "text-column", Value: o.TextColumn}, train.Field{Name: "pair-column", Value: o.PairColumn},
		train.Field{Name: "label-column", Value: o.LabelColumn}, train.Field{Name: "multi", Value: o.Multi}, train.Field{Name: "level", Value: o.Level},
		train.Field{Name: "max-answer-length", Value: c.Spans.MaxAnswerLength}, train.Field{Name: "scratch", Value: c.Scratch})
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
