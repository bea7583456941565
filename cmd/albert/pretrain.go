package main

import (
	"context"
	"os"
	"time"

	"albert/internal/formats"
	"albert/internal/learn/optim"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/corpus"
	"albert/pretrain"
	"albert/tokenizer"
)

// PretrainCmd pretrains a model.
type PretrainCmd struct {
	Output    string   `required:"" help:"Run directory; an interrupted run goes on from it." placeholder:"RUN"`
	Config    string   `help:"A configuration by name (base, large, ...) or a config.json." placeholder:"NAME|FILE"`
	Init      string   `help:"Start from this model's weights and configuration." placeholder:"MODEL"`
	Tokenizer string   `help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Train     []string `required:"" sep:"none" help:"Training text or shards, again." placeholder:"INPUT"`
	Dev       []string `sep:"none" help:"Held-out text or shards, again." placeholder:"INPUT"`
	readFlags
	cleanupFlags

	Objective      pretrain.Pairing `default:"sop" enum:"sop,nsp,none" help:"Sentence loss: sop, nsp or none."`
	Sharing        model.Sharing    `enum:"all,attention,ffn,none," default:"" help:"Parameters that layers share (default: the configuration's): all, attention, ffn, none."`
	MaxSeqLength   int              `default:"512" help:"Pieces of an example at most."`
	ShortSeqProb   float64          `default:"0.1" help:"How often a pair is given a shorter length."`
	MaskRate       float64          `default:"0.15" help:"Masked pieces to all pieces."`
	MaxPredictions int              `default:"0" help:"Masked pieces of an example at most (0: no cap)."`
	Ngram          int              `name:"ngram" default:"3" help:"Words masked together at most."`
	FavorShorter   bool             `name:"favor-shorter-ngram" default:"true" negatable:"" help:"n words with probability ~ 1/n."`
	UpstreamQuirks bool             `negatable:"" help:"Make examples as the released code does, quirks included."`

	Optimizer        optim.Kind    `default:"lamb" enum:"lamb,adamw" help:"lamb or adamw."`
	LearningRate     float64       `default:"0.00176" help:"Highest learning rate."`
	BatchSize        int           `default:"4096" help:"Sequences of a step, by accumulation."`
	MicroBatchSize   int           `help:"Sequences held at once at most (0: no bound); changes no bits."`
	Steps            int           `default:"125000" help:"Steps."`
	WarmupSteps      int           `default:"3125" help:"Steps of linear warm-up."`
	WeightDecay      float32       `default:"0.01" help:"Weight decay."`
	Clip             float64       `default:"1" help:"Largest norm of the gradient (0: not clipped)."`
	Dropout          *float32      `help:"Hidden dropout (default: the configuration's)."`
	AttentionDropout *float32      `help:"Attention dropout (default: the configuration's)."`
	EvalEvery        int           `default:"1000" help:"Steps from one evaluation to the next (0: at the end)."`
	EvalExamples     int           `default:"4096" help:"Held-out examples of an evaluation at most (0: all)."`
	SaveEvery        int           `default:"1000" help:"Steps from one checkpoint to the next (0: at the end)."`
	Keep             int           `default:"3" help:"Checkpoints kept, beside the best."`
	MaxTime          time.Duration `help:"Save and stop after this time (60m, 2h)."`
	Seed             uint64        `default:"12345" help:"Seed of everything random."`
	Threads          int           `help:"Threads (0: all)."`
	Quiet            bool          `help:"No progress."`
	DryRun           bool          `help:"Write the run directory and its plan, and stop."`
}

// resolve makes the run's configuration of flags.
func (c *PretrainCmd) resolve() (*pretrain.RunConfig, error) {
	if c.Config == "" && c.Init == "" {
		return nil, usagef("pretrain: --config NAME|FILE or --init MODEL says which model (albert inspect --config base shows one)")
	}
	if c.Tokenizer == "" {
		if c.Init == "" {
			return nil, usagef("pretrain: --tokenizer FILE is missing (albert tokenizer train makes one)")
		}
		c.Tokenizer = c.Init
	}
	var tok *tokenizer.Tokenizer
	var err error
	if len(c.Train) == 1 && corpus.IsShards(c.Train[0]) && c.Cleanup == "" && !c.Cased && !c.KeepAccents {
		tok, err = openForShards(c.Tokenizer, c.Train[0])
	} else {
		tok, err = c.open(c.Tokenizer)
	}
	if err != nil {
		return nil, err
	}
	var config model.Config
	if c.Config != "" {
		if config, err = configOf(c.Config); err != nil {
			return nil, err
		}
		if _, named := model.NamedConfig(c.Config); named {
			config.VocabSize = tok.VocabSize()
		}
	} else {
		if config, err = formats.ReadConfig(c.Init); err != nil {
			return nil, err
		}
	}
	if c.Sharing != "" {
		config.Sharing = c.Sharing
	}
	if c.Dropout != nil {
		config.HiddenDropoutProb = *c.Dropout
	}
	if c.AttentionDropout != nil {
		config.AttentionProbsDropoutProb = *c.AttentionDropout
	}
	return &pretrain.RunConfig{
		Output: c.Output, Config: config, Init: c.Init, Tokenizer: tok,
		Train: pretrain.Data{Inputs: c.Train, Read: c.options()}, Dev: pretrain.Data{Inputs: c.Dev, Read: c.options()},
		Options: pretrain.Options{Objective: c.Objective, MaxSeqLength: c.MaxSeqLength, ShortSeqProb: c.ShortSeqProb, MaskRate: c.MaskRate,
			MaxPredictions: c.MaxPredictions, NGram: c.Ngram, FavorShorterNGram: c.FavorShorter, UpstreamQuirks: c.UpstreamQuirks, Seed: c.Seed},
		EvalExamples: c.EvalExamples, Optimizer: optim.Config{Kind: c.Optimizer, WeightDecay: c.WeightDecay, Clip: c.Clip},
		LearningRate: c.LearningRate, BatchSize: c.BatchSize, MicroBatchSize: c.MicroBatchSize, Steps: c.Steps, WarmupSteps: c.WarmupSteps,
		EvalEvery: c.EvalEvery, SaveEvery: c.SaveEvery, Keep: c.Keep, MaxTime: c.MaxTime, Threads: c.Threads, Quiet: c.Quiet, DryRun: c.DryRun,
		About:    about(),
		Messages: os.Stderr,
	}, nil
}

// openForShards opens the tokenizer with the clean-up that the shards were made with.
func openForShards(path, shards string) (*tokenizer.Tokenizer, error) {
	t, err := formats.OpenTokenizer(path)
	if err != nil {
		return nil, err
	}
	of, err := tokenizer.Open(shards)
	if err != nil {
		return nil, err
	}
	return t.With(of.Options), nil
}

// Run pretrains.
func (c *PretrainCmd) Run(ctx context.Context) error {
	rc, err := c.resolve()
	if err != nil {
		return err
	}
	return pretrain.Run(ctx, *rc)
}

// about says what made a run, for its manifest.
func about() train.Fields {
	v := currentVersion()
	return append(train.Fields{{Name: "version", Value: v.Version}, {Name: "commit", Value: v.Commit}}, pretrain.Machine()...)
}
