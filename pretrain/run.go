package pretrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/learn/figure"
	"albert/internal/learn/optim"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/tokenizer"
)

// RunConfig is all that a pretraining run is asked, under the names of the command's flags.
type RunConfig struct {
	Output    string
	Config    model.Config
	Init      string // a model to start from; "": random weights
	Tokenizer *tokenizer.Tokenizer
	Train     Data
	Dev       Data

	Options                        // of the examples; its seed is the run's
	EvalExamples               int // held-out examples of an evaluation at most; 0: all
	Optimizer                  optim.Config
	LearningRate               float64
	BatchSize, MicroBatchSize  int
	Steps, WarmupSteps         int
	EvalEvery, SaveEvery, Keep int
	MaxTime                    time.Duration
	Threads                    int
	Quiet, DryRun              bool

	About    train.Fields // versions, for the manifest
	Messages io.Writer
}

// Data is text or shards.
type Data struct {
	Inputs    []string
	Read      corpus.ReadOptions
	Documents iter.Seq2[corpus.Document, error] // instead of Inputs; may be asked for again
	Name      string                            // of Documents
}

// Run pretrains: it prepares text, makes the model, and hands both to the training loop.
func Run(ctx context.Context, c RunConfig) error {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	if err := c.check(); err != nil {
		return err
	}
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return err
	}
	defer dev.Close()
	trainShards, err := c.shards(ctx, "train", c.Train)
	if err != nil {
		return err
	}
	defer trainShards.Close()
	var devShards *corpus.Shards
	if len(c.Dev.Inputs) > 0 || c.Dev.Documents != nil {
		if devShards, err = c.shards(ctx, "dev", c.Dev); err != nil {
			return err
		}
		defer devShards.Close()
	}
	m, err := c.model()
	if err != nil {
		return err
	}
	vocabulary := VocabularyOf(c.Tokenizer)
	sampler, err := NewSampler(trainShards, vocabulary, c.Options)
	if err != nil {
		return fmt.Errorf("training text: %w", err)
	}
	c.noteDropped(sampler)
	t := &Task{Objective: Objective{Model: m, Device: dev, Seed: c.Seed,
		Drop: model.Dropouts{Hidden: c.Config.HiddenDropoutProb, Attention: c.Config.AttentionProbsDropoutProb}},
		Sampler: sampler, BatchSize: c.BatchSize, Mask: vocabulary.Mask}
	data := train.Fields{{Name: "train", Value: dataHash(trainShards)}}
	if devShards != nil {
		if t.Eval, err = EvalExamples(devShards, vocabulary, c.Options, c.EvalExamples); err != nil {
			return fmt.Errorf("held-out text: %w", err)
		}
		data = append(data, train.Field{Name: "dev", Value: dataHash(devShards)})
	}
	settings := c.settings()
	files := c.Tokenizer.Files()
	text, err := m.Config.JSON()
	if err != nil {
		return err
	}
	files[model.ConfigFile] = text
	peak := dev.Peak(200)
	err = train.Run(ctx, train.Config{
		Dir: run.Dir(c.Output), Steps: c.Steps, Rate: optim.Schedule{LearningRate: c.LearningRate, Steps: c.Steps, Warmup: c.WarmupSteps},
		Optimizer: c.Optimizer, Together: train.Together(m.Config.ActivationBytes(), dev.Threads()), MicroBatch: c.MicroBatchSize, EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: c.Keep,
		Best: "mlm_accuracy", MaxTime: c.MaxTime, Quiet: c.Quiet, DryRun: c.DryRun, Settings: settings, Data: data,
		About: append(train.Fields{{Name: "kernels", Value: dev.InstructionSet()}}, c.About...), Files: files, Device: dev,
		Tensors: m.Tensors, Flops: func(n int) float64 { return 3 * m.Config.FlopsForward(n) }, Peak: peak,
		Memory:   func(b train.Batch) []train.Memory { return c.memory(dev, m, t, b, trainShards, devShards) },
		Messages: c.Messages,
		Finish: func(dir string) error {
			if err := m.Save(dir); err != nil {
				return err
			}
			return errors.Join(c.Tokenizer.WriteDir(dir), c.writeCard(dir, m))
		},
	}, m.Params, t)
	if _, e := figure.RunPlots(c.Output); e != nil && err == nil && !c.DryRun && c.Messages != nil {
		fmt.Fprintf(c.Messages, "warning: no plots: %v\n", e) // a run does not fail for them
	}
	return err
}

func (c *RunConfig) check() error {
	switch {
	case c.Output == "":
		return errors.New("--output: no run directory given")
	case c.BatchSize < 1:
		return fmt.Errorf("--batch-size %d: want at least 1", c.BatchSize)
	case c.WarmupSteps < 0:
		return fmt.Errorf("--warmup-steps %d: want 0 or more", c.WarmupSteps)
	case c.MaxSeqLength > c.Config.MaxPositionEmbeddings:
		return fmt.Errorf("--max-seq-length %d: the model has %d positions (max_position_embeddings)", c.MaxSeqLength, c.Config.MaxPositionEmbeddings)
	case c.Tokenizer.VocabSize() > c.Config.VocabSize:
		return fmt.Errorf("the tokenizer has %d pieces, the model's vocab_size is %d", c.Tokenizer.VocabSize(), c.Config.VocabSize)
	}
	return c.Config.Validate()
}

// shards opens shards, or makes them of text, in the run directory.
func (c *RunConfig) shards(ctx context.Context, name string, d Data) (*corpus.Shards, error) {
	if len(d.Inputs) == 1 && corpus.IsShards(d.Inputs[0]) {
		s, err := corpus.OpenShards(d.Inputs[0])
		if err != nil {
			return nil, err
		}
		if m := s.Meta(); m.TokenizerSHA256 != c.Tokenizer.SHA256() {
			s.Close()
			return nil, fmt.Errorf("%s: made with another tokenizer (sha256 %.8s..., given %.8s...)", d.Inputs[0], m.TokenizerSHA256, c.Tokenizer.SHA256())
		}
		return s, nil
	}
	dir := run.Dir(c.Output).Data(name)
	o := corpus.PrepareOptions{Output: dir, Tokenizer: c.Tokenizer, Cleanup: CleanupName(c.Tokenizer), Inputs: d.Inputs, Read: d.Read, Threads: c.Threads}
	if d.Documents != nil {
		o.Inputs, o.Documents = []string{d.Name}, d.Documents
	}
	if !c.Quiet && c.Messages != nil && !corpus.IsShards(dir) {
		fmt.Fprintf(c.Messages, "preparing %s text (%s)\n", name, strings.Join(o.Inputs, ", "))
	}
	if _, err := corpus.Prepare(ctx, o); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("while preparing text: %w", train.ErrStopped)
		}
		return nil, err
	}
	return corpus.OpenShards(dir)
}

// CleanupName is a tokenizer's clean-up in a word.
func CleanupName(t *tokenizer.Tokenizer) string {
	if t.Cleanup == tokenizer.CleanupNone {
		return string(tokenizer.CleanupNone)
	}
	s := string(t.Cleanup)
	if !t.Lower {
		s += ",cased"
	}
	if t.KeepAccents {
		s += ",accents"
	}
	if !t.RemoveSpace {
		s += ",spaces"
	}
	if t.JoinChinese {
		s += ",join_chinese"
	}
	return s
}

// model makes the model that the run starts from.
func (c *RunConfig) model() (*model.Model, error) {
	if c.Init == "" {
		return model.New(c.Config, c.Seed), nil
	}
	from, err := formats.OpenAs(c.Init, c.Config)
	if err != nil {
		return nil, fmt.Errorf("--init %s does not fit: %w", c.Init, err)
	}
	m := model.New(c.Config, c.Seed)
	m.CopyFrom(from.Model) // heads that it lacks start at random
	return m, nil
}

// VocabularyOf is what making examples needs to know of a tokenizer.
func VocabularyOf(t *tokenizer.Tokenizer) Vocabulary {
	v := Vocabulary{CLS: t.CLS, SEP: t.SEP, Mask: t.MASK}
	for id := range int32(t.VocabSize()) {
		v.Starts = append(v.Starts, t.IsStart(id))
		if t.IsNormal(id) {
			v.Normal = append(v.Normal, id)
		}
	}
	return v
}

// noteDropped tells of documents that give no pair.
func (c *RunConfig) noteDropped(s *Sampler) {
	e, err := s.Epoch(0)
	if err != nil || e.Dropped == 0 || c.Messages == nil {
		return
	}
	if share := float64(e.Dropped) / float64(e.Documents); share > 0.1 {
		fmt.Fprintf(c.Messages, "warning: %d of %d documents have one sentence and give no pair: dropped; --objective none would use them\n", e.Dropped, e.Documents)
	} else if !c.Quiet {
		fmt.Fprintf(c.Messages, "%d of %d documents have one sentence and give no pair: dropped\n", e.Dropped, e.Documents)
	}
}

// writeCard writes the model's card.
func (c *RunConfig) writeCard(dir string, m *model.Model) error {
	card := run.Card{Tags: []string{"albert", "fill-mask"}, Hash: m.Hash(),
		Settings: slices.DeleteFunc(c.settings(), func(f train.Field) bool { return f.Name == "config" }),
		Text: fmt.Sprintf("An ALBERT pretrained with `albert pretrain`: %d parameters, %d layers of width %d, %d pieces in its vocabulary.",
			m.Params.Size(), m.Config.NumHiddenLayers, m.Config.HiddenSize, m.Config.VocabSize)}
	return card.Write(run.Dir(c.Output), dir)
}

// dataHash joins the hashes of shard files.
func dataHash(s *corpus.Shards) string {
	var list []string
	for _, m := range s.Meta().Shards {
		list = append(list, m.SHA256)
	}
	return strings.Join(list, ",")
}

// settings are the resolved settings under the names of the flags.
func (c *RunConfig) settings() train.Fields {
	config, err := json.Marshal(c.Config)
	if err != nil {
		config = []byte("null") // a config that was read can be written
	}
	return train.Fields{{Name: "config", Value: json.RawMessage(config)}, {Name: "init", Value: c.Init}, {Name: "tokenizer", Value: c.Tokenizer.SHA256()},
		{Name: "cleanup", Value: CleanupName(c.Tokenizer)}, {Name: "train", Value: c.Train.place(c, "train")}, {Name: "dev", Value: c.Dev.place(c, "dev")},
		{Name: "objective", Value: c.Objective}, {Name: "max-seq-length", Value: c.MaxSeqLength}, {Name: "short-seq-prob", Value: c.ShortSeqProb},
		{Name: "mask-rate", Value: c.MaskRate}, {Name: "max-predictions", Value: c.MaxPredictions}, {Name: "ngram", Value: c.NGram},
		{Name: "favor-shorter-ngram", Value: c.FavorShorterNGram}, {Name: "upstream-quirks", Value: c.UpstreamQuirks}, {Name: "seed", Value: c.Seed},
		{Name: "optimizer", Value: c.Optimizer.Kind}, {Name: "learning-rate", Value: c.LearningRate}, {Name: "batch-size", Value: c.BatchSize},
		{Name: "steps", Value: c.Steps}, {Name: "warmup-steps", Value: c.WarmupSteps}, {Name: "weight-decay", Value: c.Optimizer.WeightDecay},
		{Name: "clip", Value: c.Optimizer.Clip}, {Name: "dropout", Value: c.Config.HiddenDropoutProb},
		{Name: "attention-dropout", Value: c.Config.AttentionProbsDropoutProb}, {Name: "eval-every", Value: c.EvalEvery},
		{Name: "eval-examples", Value: c.EvalExamples}, {Name: "micro-batch-size", Value: c.MicroBatchSize}, {Name: "save-every", Value: c.SaveEvery},
		{Name: "keep", Value: c.Keep}, {Name: "max-time", Value: c.MaxTime.String()}, {Name: "threads", Value: c.Threads}, {Name: "quiet", Value: c.Quiet}}
}

// place is where the shards of a run's data are: relative to the run directory where they are its own.
func (d Data) place(c *RunConfig, name string) string {
	switch {
	case len(d.Inputs) == 1 && corpus.IsShards(d.Inputs[0]) && d.Documents == nil:
		abs, err := filepath.Abs(d.Inputs[0])
		if err != nil {
			return d.Inputs[0]
		}
		return abs
	case len(d.Inputs) > 0 || d.Documents != nil:
		return run.Dir("").Data(name)
	}
	return ""
}

// memory says what a step on b takes beside gradients and moments: a metered pass over its largest leaf.
func (c *RunConfig) memory(dev *cpu.Device, m *model.Model, t *Task, b train.Batch, shards ...*corpus.Shards) []train.Memory {
	batch := b.(*Batch)
	meter := dev.Meter()
	o := t.Objective
	o.Device = meter
	largest := train.Leaf{}
	for _, l := range train.Leaves(b) {
		if l.Pieces > largest.Pieces {
			largest = l
		}
	}
	o.run(new(ops.Grads), batch.Examples[largest.From:largest.To], 1, 1, 1, t.Mask)
	leaves := train.LeavesTogether(b, train.Together(m.Config.ActivationBytes(), dev.Threads()), c.MicroBatchSize)
	examples := 0
	for _, e := range batch.Examples {
		examples += exampleBytes + 9*len(e.InputIDs)
	}
	text := int64(0)
	for _, s := range shards {
		if s == nil {
			continue
		}
		for _, f := range s.Meta().Shards {
			text += f.Bytes
		}
	}
	return []train.Memory{{Name: "program", Bytes: programBytes}, {Name: "text (mapped)", Bytes: min(text, mappedBytes)}, {Name: "parameters", Bytes: 4 * int64(m.Params.Size())},
		{Name: "packed weights", Bytes: int64(meter.PackedBytes())},
		{Name: fmt.Sprintf("activations (%d times %d pieces)", leaves, largest.Pieces), Bytes: int64(leaves) * int64(meter.Peak)},
		{Name: "examples (2 batches)", Bytes: 2 * int64(examples)}}
}

const (
	programBytes = 64 << 20 // code, runtime, tokenizer, evaluation examples
	mappedBytes  = 64 << 20 // of the text at most: what the system takes back when it needs memory is not counted
	exampleBytes = 400      // slice headers and what an example has beside its pieces
)

// WriteStep writes the examples that a step of a run learns from, a JSON line each. The run need not have come so far.
func WriteStep(ctx context.Context, w io.Writer, dir string, step int) error {
	man, err := run.Dir(dir).ReadManifest()
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: not a run directory (no %s)", dir, run.ManifestFile)
	}
	if err != nil {
		return err
	}
	var o Options
	var batch, steps int
	var data string
	for name, to := range map[string]any{"objective": &o.Objective, "max-seq-length": &o.MaxSeqLength, "short-seq-prob": &o.ShortSeqProb,
		"mask-rate": &o.MaskRate, "max-predictions": &o.MaxPredictions, "ngram": &o.NGram, "favor-shorter-ngram": &o.FavorShorterNGram,
		"upstream-quirks": &o.UpstreamQuirks, "seed": &o.Seed, "batch-size": &batch, "steps": &steps, "train": &data} {
		raw, ok := man.Settings.Get(name).(json.RawMessage)
		if !ok {
			return fmt.Errorf("%s: %s has no setting %s: not a pretraining run", dir, run.ManifestFile, name)
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return fmt.Errorf("%s: %s: setting %s: %w", dir, run.ManifestFile, name, err)
		}
	}
	if step < 1 || step > steps {
		return fmt.Errorf("step %d: the run has steps 1 to %d", step, steps)
	}
	if !filepath.IsAbs(data) {
		data = filepath.Join(dir, data)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		return err
	}
	s, err := corpus.OpenShards(data)
	if err != nil {
		return err
	}
	defer s.Close()
	sampler, err := NewSampler(s, VocabularyOf(tok), o)
	if err != nil {
		return err
	}
	examples, err := sampler.Batch(step, batch)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, e := range examples {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// Machine says what a run ran on, for the manifest.
func Machine() train.Fields {
	return train.Fields{{Name: "go", Value: runtime.Version()}, {Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH},
		{Name: "cpus", Value: runtime.NumCPU()}}
}

// Evaluate measures a model on the pretraining objectives over held-out text or shards: the evaluation fields of log.jsonl.
func Evaluate(ctx context.Context, path string, d Data, o Options, most, threads int) (train.Fields, error) {
	m, err := formats.Open(path)
	if err != nil {
		return nil, err
	}
	if m.MLMDense.W == nil {
		return nil, fmt.Errorf("%s: the model has no head for masked pieces (predictions.*)", path)
	}
	if o.Objective != None && (m.SOP.W == nil || m.Pooler.W == nil) {
		return nil, fmt.Errorf("%s: the model has no sentence-order head: use --objective none", path)
	}
	tok := m.Tokenizer
	if tok == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer", path)
	}
	if o.MaxSeqLength == 0 {
		o.MaxSeqLength = m.Config.MaxPositionEmbeddings
	}
	if o.MaxSeqLength > m.Config.MaxPositionEmbeddings {
		return nil, fmt.Errorf("--max-seq-length %d: the model has %d positions", o.MaxSeqLength, m.Config.MaxPositionEmbeddings)
	}
	tmp, err := os.MkdirTemp("", "albert-eval-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	c := RunConfig{Output: tmp, Tokenizer: tok, Threads: threads, Quiet: true}
	shards, err := c.shards(ctx, "dev", d)
	if err != nil {
		return nil, err
	}
	defer shards.Close()
	v := VocabularyOf(tok)
	examples, err := EvalExamples(shards, v, o, most)
	if err != nil {
		return nil, err
	}
	dev, err := cpu.New("", threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	objective := Objective{Model: m.Model, Device: dev}
	return objective.Measure(ctx, examples, v.Mask)
}

// NewBenchStep gives a function that does one training step of LAMB on fixed examples.
func NewBenchStep(dev *cpu.Device, m *model.Model, examples []Example) func() error {
	o := &Objective{Model: m, Device: dev}
	opt := optim.New(optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1}, m.Params, dev)
	g := ops.NewGrads(m.Params)
	return func() error {
		g.Zero()
		b := o.NewBatch(1, examples, 4)
		for _, l := range train.Leaves(b) {
			if err := b.Leaf(g, l.From, l.To); err != nil {
				return err
			}
		}
		opt.Step(g, opt.Norm(g), 1e-4)
		return nil
	}
}
