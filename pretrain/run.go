package pretrain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"albert/internal/engine/cpu"
	"albert/internal/files/jsonobject"
	"albert/internal/formats"
	"albert/internal/learn/examples"
	"albert/internal/learn/figure"
	"albert/internal/learn/optim"
	"albert/internal/learn/pretraining"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/tokenizer"
)

// Result is what a run reached.
type Result struct {
	Model      string // the model directory; "" of a dry run
	Parameters int
	Hash       string // weights_sha256
	// StoppedEarly is why a run did fewer steps than were asked for and is finished all the same; "" if it did all.
	StoppedEarly string
	// Overfit is the result where Config.OverfitOneBatch is set, and nothing else is; else nil.
	Overfit *Overfit
}

// Overfit is what the check by Config.OverfitOneBatch found.
type Overfit = train.Overfitted

// ErrStopped is wrapped by the error of a run that saved its state before the end, because its context was done or MaxTime over.
var ErrStopped = train.ErrStopped

// job is a run in progress: a Config, and what it names, opened.
type job struct {
	Config
	model      model.Config
	tokenizer  *tokenizer.Tokenizer
	given      *pretraining.Given // nil: text and shards are files
	train, dev *corpus.Shards     // dev is nil where nothing is held out
	device     *cpu.Device
	weights    *model.Model
	vocabulary examples.Vocabulary
	learner    *pretraining.Learner
	sources    *run.Sources
	most       int // documents that are read of text; 0: all
}

// Run pretrains: it prepares text, makes the model, and trains it. Called again after an interruption it goes on.
func Run(ctx context.Context, c Config) (*Result, error) {
	if !train.Leads(c.World) {
		c.Messages = nil
	}
	j, err := newJob(c)
	if err = train.Agree(c.World, err); err != nil {
		return nil, err
	}
	if c.OverfitOneBatch {
		return j.overfit(ctx)
	}
	return j.run(ctx)
}

func newJob(c Config) (*job, error) {
	tok, warning, err := c.openTokenizer()
	if err != nil {
		return nil, err
	}
	if warning != "" && c.Messages != nil {
		fmt.Fprintln(c.Messages, "warning:", warning)
	}
	config, err := c.modelConfig(tok.VocabSize())
	if err != nil {
		return nil, err
	}
	if c.OverfitOneBatch && c.World != nil {
		return nil, &run.FieldError{Field: "OverfitOneBatch", Problem: "is for one process"}
	}
	return &job{Config: c, model: config, tokenizer: tok}, nil
}

// RunGiven is Run for this module's own programs, which have text, a configuration and a tokenizer at hand.
func RunGiven(ctx context.Context, c Config, g *pretraining.Given) (*Result, error) {
	j := &job{Config: c, model: g.Config, tokenizer: g.Tokenizer, given: g}
	return j.run(ctx)
}

// open opens what the job names, and gives what the training loop is asked. The job must be closed, also after an error.
func (c *job) open(ctx context.Context) (config *train.Config, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.device, err = train.NewDevice(&c.Common, c.Messages, run.Dir(c.Output)); err != nil {
		return nil, err
	}
	if err := train.First(c.World, func() error { return c.openText(ctx) }); err != nil {
		return nil, err
	}
	if err := c.makeLearner(); err != nil {
		return nil, err
	}
	return c.trainConfig()
}

// close closes what is open.
func (c *job) close() {
	for _, s := range []*corpus.Shards{c.train, c.dev} {
		if s != nil {
			s.Close()
		}
	}
	if c.device != nil {
		c.device.Close()
	}
}

func (c *job) run(ctx context.Context) (*Result, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	defer c.close()
	config, err := c.open(ctx)
	if err = train.Agree(c.World, err); err != nil {
		return nil, err
	}
	err = train.Run(ctx, *config, c.weights.Params, c.learner)
	c.device.Close() // what follows needs memory of its own
	if !train.Leads(c.World) {
		return &Result{Parameters: c.weights.Params.Size()}, err
	}
	if _, e := figure.RunPlots(c.Output); e != nil && err == nil && !c.DryRun && c.Messages != nil {
		fmt.Fprintf(c.Messages, "warning: no plots: %v\n", e) // a run does not fail for them
	}
	if err != nil || c.DryRun {
		return &Result{Parameters: c.weights.Params.Size()}, err
	}
	m, err := formats.Open(c.Output) // of a run that was finished before, nothing was loaded
	if err != nil {
		return nil, err
	}
	manifest, err := run.Dir(c.Output).ReadManifest()
	if err != nil {
		return nil, err
	}
	return &Result{Model: run.Dir(c.Output).Model(), Parameters: m.Params.Size(), Hash: m.Hash(), StoppedEarly: manifest.StoppedEarly}, nil
}

func (c *job) check() error {
	refuse := func(field string, value any, problem string, args ...any) error {
		return &run.FieldError{Field: field, Value: value, Problem: fmt.Sprintf(problem, args...)}
	}
	if err := run.Check(&c.Config); err != nil {
		return err
	}
	switch {
	case c.Output == "":
		return refuse("Output", nil, "no run directory given")
	case c.Patience > 0 && (c.EvalEvery == 0 || len(c.Dev) == 0 && c.given == nil):
		return refuse("Patience", c.Patience, "nothing is evaluated before the last step: held-out text is needed, and steps between evaluations")
	case !c.DryRun && c.Ranks > 0:
		return refuse("Ranks", c.Ranks, "is for a dry run; mpirun -n %d albert pretrain ... starts so many", c.Ranks)
	case c.Ranks == 0 && c.Bandwidth > 0:
		return refuse("Bandwidth", c.Bandwidth, "is for a dry run with a number of ranks")
	case c.Ranks == 0 && c.Latency > 0:
		return refuse("Latency", c.Latency, "is for a dry run with a number of ranks")
	case c.MaxSeqLength > c.model.MaxPositionEmbeddings:
		return refuse("MaxSeqLength", c.MaxSeqLength, "the model has %d positions (max_position_embeddings)", c.model.MaxPositionEmbeddings)
	case c.tokenizer.VocabSize() > c.model.VocabSize:
		return fmt.Errorf("the tokenizer has %d pieces, the model's vocab_size is %d", c.tokenizer.VocabSize(), c.model.VocabSize)
	}
	return c.model.Validate()
}

// openText opens the shards, or makes them of text.
func (c *job) openText(ctx context.Context) (err error) {
	if c.given != nil {
		if c.train, err = c.shards(ctx, "train", []string{c.given.Train.Name}, &c.given.Train); err == nil && c.given.Dev.Documents != nil {
			c.dev, err = c.shards(ctx, "dev", []string{c.given.Dev.Name}, &c.given.Dev)
		}
	} else if c.train, err = c.shards(ctx, "train", c.Train, nil); err == nil && len(c.Dev) > 0 {
		c.dev, err = c.shards(ctx, "dev", c.Dev, nil)
	}
	return err
}

// shards opens shards, or makes them of text, in the run directory.
func (c *job) shards(ctx context.Context, name string, inputs []string, text *pretraining.Text) (*corpus.Shards, error) {
	if text == nil && len(inputs) == 1 && corpus.IsShards(inputs[0]) {
		s, err := corpus.OpenShards(inputs[0])
		if err != nil {
			return nil, err
		}
		if m := s.Meta(); m.TokenizerSHA256 != c.tokenizer.SHA256() {
			s.Close()
			return nil, fmt.Errorf("%s: made with another tokenizer (sha256 %.8s..., given %.8s...)", inputs[0], m.TokenizerSHA256, c.tokenizer.SHA256())
		}
		return s, nil
	}
	dir := run.Dir(c.Output).Data(name)
	o := corpus.PrepareOptions{Output: dir, Tokenizer: c.tokenizer, Cleanup: CleanupName(c.tokenizer), Inputs: inputs, Threads: c.Threads}
	if text != nil {
		o.Documents = text.Documents
	} else if c.most > 0 {
		o.Documents = firstOf(corpus.Documents(ctx, inputs, c.Reading.Options(), new(corpus.Counts)), c.most)
	} else {
		o.Read = c.Reading.Options()
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

// makeLearner makes the weights that the run starts from, and what they learn from.
func (c *job) makeLearner() (err error) {
	c.weights = model.New(c.model, c.Seed)
	c.sources = &run.Sources{}
	if c.Init != "" {
		from, err := formats.OpenAs(c.Init, c.model)
		if err != nil {
			return fmt.Errorf("`Init` %s does not fit: %w", c.Init, err)
		}
		c.weights.CopyFrom(from.Model) // heads that it lacks start at random
		c.sources.Model = from.Hash()
	}
	c.vocabulary = examples.NewVocabulary(c.tokenizer)
	sampler, err := examples.NewSampler(c.train, c.vocabulary, c.examples())
	if err != nil {
		return fmt.Errorf("training text: %w", err)
	}
	c.noteLost(sampler)
	c.learner = &pretraining.Learner{Objective: pretraining.Objective{Model: c.weights, Device: c.device, Seed: c.Seed,
		Drop: model.Dropouts{Hidden: c.model.HiddenDropoutProb, Attention: c.model.AttentionProbsDropoutProb}},
		Sampler: sampler, BatchSize: c.BatchSize, Mask: c.vocabulary.Mask}
	if c.dev != nil {
		if c.learner.Eval, err = examples.EvalExamples(c.dev, c.vocabulary, c.examples(), c.EvalExamples); err != nil {
			return fmt.Errorf("held-out text: %w", err)
		}
	}
	return nil
}

// trainConfig is what the training loop is asked.
func (c *job) trainConfig() (*train.Config, error) {
	files := c.tokenizer.Files()
	text, err := c.weights.Config.JSON()
	if err != nil {
		return nil, err
	}
	files[model.ConfigFile] = text
	data := jsonobject.Fields{{Name: "train", Value: dataHash(c.train)}}
	if c.dev != nil {
		data = append(data, jsonobject.Field{Name: "dev", Value: dataHash(c.dev)})
	}
	for flag, paths := range map[string][]string{"train": c.Train, "dev": c.Dev, "init": {c.Init}, "tokenizer": {c.Tokenizer}} {
		if err := c.sources.Give(flag, paths...); err != nil {
			return nil, err
		}
	}
	watch, warning := c.newWatch()
	if warning != "" && c.Messages != nil {
		fmt.Fprintln(c.Messages, "warning:", warning)
	}
	best, lowest := "mlm_accuracy", false // of the checkpoint that is kept
	if c.Patience > 0 {
		best, lowest = "loss", true
	}
	return &train.Config{
		Dir: run.Dir(c.Output), Steps: c.Steps, Rate: optim.Schedule{LearningRate: c.LearningRate, Steps: c.Steps, Warmup: c.WarmupSteps},
		Optimizer: optim.Config{Kind: optim.Kind(c.Optimizer), WeightDecay: c.WeightDecay, Clip: c.Clip},
		Together:  train.Together(c.model.ActivationBytes(), c.device.Threads()), MicroBatch: c.MicroBatchSize,
		EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: c.Keep, Best: best, Lowest: lowest, Patience: c.Patience,
		World: c.World, MaxTime: c.MaxTime, Quiet: c.Quiet, DryRun: c.DryRun,
		Forecast: train.Forecast{Ranks: c.Ranks, Bandwidth: 1e9 * cmp.Or(c.Bandwidth, 10), Latency: 1e-6 * cmp.Or(c.Latency, 20)},
		Settings: c.settings(), Changeable: run.Changeable(&c.Config), Data: data, Sources: c.sources,
		About: append(jsonobject.Fields{{Name: "kernels", Value: c.device.InstructionSet()}}, run.About()...), Files: files, Device: c.device,
		Tensors: c.weights.Tensors, Flops: func(n int) float64 { return 3 * c.model.FlopsForward(n) }, Peak: c.device.Peak(200),
		Memory: c.memory, After: watch.After, Messages: c.Messages,
		Finish: func(dir string) error {
			if err := c.weights.Save(dir); err != nil {
				return err
			}
			return errors.Join(c.tokenizer.WriteDir(dir), c.writeCard(dir))
		},
	}, nil
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
	if t.NoBasic {
		s += ",no_basic"
	}
	return s
}

// noteLost tells of documents that give no pair, and of pieces that are cut off.
func (c *job) noteLost(s *examples.Sampler) {
	e, err := s.Epoch(0)
	if err != nil || c.Messages == nil {
		return
	}
	for _, w := range e.Warnings() {
		fmt.Fprintln(c.Messages, "warning:", w)
	}
	if e.Dropped > 0 && 10*e.Dropped <= e.Documents && !c.Quiet {
		fmt.Fprintf(c.Messages, "%d of %d documents have one sentence and give no pair: dropped\n", e.Dropped, e.Documents)
	}
}

// writeCard writes the model's card.
func (c *job) writeCard(dir string) error {
	m := c.weights
	card := run.Card{Tags: []string{m.Config.ModelType, "fill-mask"}, Hash: m.Hash(),
		Settings: slices.DeleteFunc(c.settings(), func(f jsonobject.Field) bool { return f.Name == "config" }),
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

// settings are those of the run's manifest: what files hold in place of their names.
func (c *job) settings() jsonobject.Fields {
	config, err := json.Marshal(c.model)
	if err != nil {
		config = []byte("null") // a config that was read can be written
	}
	return run.Settings(&c.Config, jsonobject.Fields{{Name: "config", Value: json.RawMessage(config)}, {Name: "tokenizer", Value: c.tokenizer.SHA256()},
		{Name: "cleanup", Value: CleanupName(c.tokenizer)}, {Name: "train", Value: c.place(c.Train, "train", c.train)},
		{Name: "dev", Value: c.place(c.Dev, "dev", c.dev)}, {Name: "dropout", Value: c.model.HiddenDropoutProb},
		{Name: "attention-dropout", Value: c.model.AttentionProbsDropoutProb}})
}

// place is where the shards of a run's data are: relative to the run directory where they are its own.
func (c *job) place(inputs []string, name string, shards *corpus.Shards) string {
	switch {
	case shards == nil:
		return ""
	case c.given != nil || len(inputs) != 1 || !corpus.IsShards(inputs[0]):
		return run.Dir("").Data(name)
	}
	abs, err := filepath.Abs(inputs[0])
	if err != nil {
		return inputs[0]
	}
	return abs
}

// memory says what a step on b takes beside gradients and moments.
func (c *job) memory(b train.Batch) []train.Memory {
	batch := b.(*pretraining.Batch)
	held := 0
	for _, e := range batch.Examples {
		held += exampleBytes + 9*len(e.InputIDs)
	}
	text := int64(0)
	for _, s := range []*corpus.Shards{c.train, c.dev} {
		if s != nil {
			for _, f := range s.Meta().Shards {
				text += f.Bytes
			}
		}
	}
	list := []train.Memory{{Name: "program", Bytes: train.ProgramBytes}, {Name: "text (mapped)", Bytes: min(text, mappedBytes)}}
	list = append(list, train.LeafMemory(c.device, c.weights, []train.Batch{b}, c.MicroBatchSize, c.learner.RunOn)...)
	return append(list, train.Memory{Name: "examples (2 batches)", Bytes: 2 * int64(held)})
}

const (
	mappedBytes  = 64 << 20 // of the text at most: what the system takes back when it needs memory is not counted
	exampleBytes = 400      // slice headers and what an example has beside its pieces
)
