package pretrain

import (
	"io"
	"os"

	"albert/internal/formats"
	"albert/internal/learn/examples"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/tokenizer"
)

// Config has all settings of a pretraining run; [Defaults] gives one to begin with. Its tags make the flags of `albert pretrain`.
type Config struct {
	Output    string `required:"" help:"Run directory; an interrupted run goes on from it." placeholder:"RUN" resume:"-"`
	Config    string `help:"A configuration by name (base, large, ...) or a config.json." placeholder:"NAME|FILE"`
	Init      string `help:"Start from this model's weights and configuration." placeholder:"MODEL"`
	Tokenizer string `help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	// Train and Dev are files and directories of text, or one directory of shards each.
	Train []string `required:"" sep:"none" help:"Training text or shards; may be repeated." placeholder:"INPUT"`
	Dev   []string `sep:"none" help:"Held-out text or shards; may be repeated." placeholder:"INPUT"`
	Reading
	Cleaning

	// Objective is the sentence loss: sop asks for the order of two segments, nsp whether the second follows the first; or none.
	Objective      string  `default:"sop" enum:"sop,nsp,none" help:"Sentence loss: sop (in which order are two segments?), nsp (is the second the next?) or none."`
	Sharing        string  `enum:"all,attention,ffn,none," default:"" help:"Parameters that layers share: all, attention, ffn or none (default: the configuration's)." placeholder:"NAME" resume:"-"` // in the manifest it is in "config"
	MaxSeqLength   int     `default:"512" help:"Pieces of an example at most."`
	ShortSeqProb   float64 `default:"0.1" help:"Share of the examples that are made shorter."`
	MaskRate       float64 `default:"0.15" help:"Share of the pieces that are masked."`
	MaxPredictions int     `default:"0" help:"Masked pieces of an example at most (0: no cap)."`
	NGram          int     `name:"ngram" default:"3" help:"Words masked together at most."`
	// FavorShorterNGram masks n words together with a probability that falls as 1/n; false: with the same probabilities in reverse.
	FavorShorterNGram bool `name:"favor-shorter-ngram" default:"true" negatable:"" help:"Mask n words together with probability ~ 1/n."`
	UpstreamQuirks    bool `negatable:"" help:"Make examples as the released code does, quirks included."`

	LearningRate     float64  `default:"0.00176" help:"Highest learning rate."`
	BatchSize        int      `default:"4096" range:"[1,)" help:"Sequences of a step; any number, as gradients are accumulated."`
	Steps            int      `default:"125000" range:"[1,)" help:"Training steps."`
	WarmupSteps      int      `default:"3125" help:"Steps of linear warm-up."`
	Dropout          *float32 `help:"Hidden dropout (default: the configuration's)." placeholder:"P"`
	AttentionDropout *float32 `help:"Attention dropout (default: the configuration's)." placeholder:"P"`
	EvalEvery        int      `default:"1000" help:"Steps from one evaluation to the next (0: at the end)."`
	EvalExamples     int      `default:"4096" help:"Held-out examples of an evaluation at most (0: all)."`
	SaveEvery        int      `default:"1000" help:"Steps from one checkpoint to the next (0: at the end)." resume:"change"`
	Common           `set:"optimizer=lamb" set:"optimizers=lamb or adamw" set:"keep=3" set:"better=, by the loss"`
	// DryRun writes the run directory and its plan, and stops.
	DryRun bool `negatable:"" help:"Write the run directory and its plan, and stop." resume:"-"`
	// Ranks adds to the plan of a dry run what the run would take on so many ranks of an MPI job, each a machine like this one.
	Ranks     int     `range:"[0,64]" help:"With --dry-run: also plan the run on so many ranks of an MPI job." placeholder:"K" resume:"-"`
	Bandwidth float64 `help:"With --ranks: between two machines, in each direction (default: 10)." placeholder:"GB/s" resume:"-"`
	Latency   float64 `help:"With --ranks: of a message (default: 20)." placeholder:"us" resume:"-"`

	// Messages is where plan, progress and warnings go; nil: nowhere.
	Messages io.Writer `kong:"-" resume:"-"`
}

// Common has the settings that pretraining and fine-tuning share.
type Common = run.Common

// Reading says how text is read. What was read is compared on a resume by the hashes of its shards.
type Reading struct {
	Sentences  string `default:"auto" enum:"auto,lines" help:"auto finds the sentences of prose; lines takes each line as one." resume:"-"`
	TextColumn string `help:"Column of ${tables=JSONL and Parquet} that holds the text (default: text)." placeholder:"NAME" resume:"-"`
	GoDoc      bool   `negatable:"" help:"Directories are Go source trees: their comments are read." resume:"-"`
}

// Options are the ones of package corpus.
func (r *Reading) Options() corpus.ReadOptions {
	return corpus.ReadOptions{Sentences: corpus.Sentences(r.Sentences), TextColumn: r.TextColumn, GoDoc: r.GoDoc}
}

// Cleaning says what happens to text before SentencePiece sees it: by default ALBERT's clean-up, unless the tokenizer's directory says
// otherwise.
type Cleaning struct {
	Cleanup     tokenizer.Cleanup `enum:"albert,none," default:"" help:"What is done to text first: albert (spaces, quotes, accents, lower case) or none (default: what the tokenizer's folder says, else albert)." placeholder:"NAME"`
	Cased       bool              `negatable:"" help:"With --cleanup albert: keep capital letters." resume:"-"`
	KeepAccents bool              `negatable:"" help:"With --cleanup albert: keep accents." resume:"-"`
}

// OpenTokenizer opens a tokenizer for training on text. warning tells of a clean-up that contradicts it.
func (c *Cleaning) OpenTokenizer(path string) (t *tokenizer.Tokenizer, warning string, err error) {
	if t, err = formats.OpenTokenizer(path); err != nil {
		return nil, "", err
	}
	o := t.Options
	if st, err := os.Stat(path); err == nil && !st.IsDir() && t.Cleanup == tokenizer.CleanupNone {
		o = tokenizer.DefaultOptions
	}
	if c.Cleanup != "" {
		if t.Cleanup == tokenizer.CleanupBert {
			return nil, "", &run.FieldError{Field: "Cleanup", Problem: "a WordPiece tokenizer has its own"}
		}
		o.Cleanup = c.Cleanup
	}
	if c.Cased {
		o.Lower = false
	}
	if c.KeepAccents {
		o.KeepAccents = true
	}
	t = t.With(o)
	return t, t.Contradiction(), nil
}

// Defaults is a Config with the defaults of the command.
func Defaults() Config {
	var c Config
	run.SetDefaults(&c)
	return c
}

// examples are the options of the run's examples.
func (c *Config) examples() examples.Options {
	return examples.Options{Objective: examples.Pairing(c.Objective), MaxSeqLength: c.MaxSeqLength, ShortSeqProb: c.ShortSeqProb, MaskRate: c.MaskRate,
		MaxPredictions: c.MaxPredictions, NGram: c.NGram, FavorShorterNGram: c.FavorShorterNGram, UpstreamQuirks: c.UpstreamQuirks, Seed: c.Seed}
}

// openTokenizer opens the run's tokenizer, for shards with the clean-up that they were made with.
func (c *Config) openTokenizer() (t *tokenizer.Tokenizer, warning string, err error) {
	path := c.Tokenizer
	if path == "" {
		path = c.Init
	}
	if path == "" {
		return nil, "", &run.FieldError{Field: "Tokenizer", Problem: "none is given (albert tokenizer train makes one)"}
	}
	if len(c.Train) != 1 || !corpus.IsShards(c.Train[0]) || c.Cleanup != "" || c.Cased || c.KeepAccents {
		return c.Cleaning.OpenTokenizer(path)
	}
	if t, err = formats.OpenTokenizer(path); err != nil {
		return nil, "", err
	}
	made, err := tokenizer.Open(c.Train[0])
	if err != nil {
		return nil, "", err
	}
	return t.With(made.Options), "", nil
}

// modelConfig reads the configuration of the model, which has a vocabulary of so many pieces where the configuration is a named one.
func (c *Config) modelConfig(vocabulary int) (config model.Config, err error) {
	named := false
	switch {
	case c.Config != "":
		if config, named = model.NamedConfig(c.Config); named {
			config.VocabSize = vocabulary
		} else if config, err = model.ReadConfig(c.Config); err != nil {
			return config, err
		}
	case c.Init != "":
		if config, err = formats.ReadConfig(c.Init); err != nil {
			return config, err
		}
	default:
		return config, &run.FieldError{Field: "Config", Problem: "neither a configuration nor a model to start from is given"}
	}
	if c.Sharing != "" {
		config.Sharing = model.Sharing(c.Sharing)
	}
	if c.Dropout != nil {
		config.HiddenDropoutProb = *c.Dropout
	}
	if c.AttentionDropout != nil {
		config.AttentionProbsDropoutProb = *c.AttentionDropout
	}
	return config, nil
}
