package finetune

import (
	"fmt"
	"io"
	"slices"

	"albert/internal/files/jsonobject"
	"albert/internal/learn/optim"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// Config is all that a fine-tuning run is asked; [Defaults] gives one to begin with. It is also the command's flags: the tags are theirs. Where a
// field is 0, nil or "" and its help names another default, that is taken, as a rule the task's in the paper's Table 14.
type Config struct {
	Model  string `arg:"" help:"The pretrained model, in any format."`
	Task   string `required:"" help:"sst2, cola, mrpc, stsb, qqp, mnli, qnli, rte, wnli, squad1, squad2, race; for your own data classify, regress, tag, choice, rerank, embed." placeholder:"TASK"`
	Output string `required:"" help:"Run directory; an interrupted run goes on from it." placeholder:"RUN" resume:"-"`
	Source
	TextColumn string   `help:"Own data: the column of the text (default: text, sentence, sentence1, ...)." placeholder:"NAME"`
	Train      []string `sep:"none" help:"A file of the training data; may be repeated." placeholder:"FILE" resume:"-"`
	Dev        []string `sep:"none" help:"A file of the held-out data; may be repeated." placeholder:"FILE" resume:"-"`
	Test       []string `sep:"none" help:"A file to predict; may be repeated." placeholder:"FILE" resume:"-"`

	// Head is of squad1 and squad2: HeadBeam or HeadSimple; "": the task's own.
	Head string `default:"" enum:",beam,simple" help:"squad2: beam, the released code's head (default), or simple, that of AlbertForQuestionAnswering." placeholder:"HEAD"`
	// Scratch begins with random weights of the model's configuration.
	Scratch bool `negatable:"" help:"Start from random weights of the model's configuration, to see what pretraining is worth."`
	// Runs is how many runs there are, with the seeds Seed, Seed+1, ...; several lie in directories of their own in Output.
	Runs int `default:"1" help:"Train so many times, each with another seed; the median, mean and standard deviation are given." resume:"change"`

	MaxSeqLength int `range:"0 or [8,)" help:"Pieces of an example at most (default: the task's, 384 or 512, or what the model takes)."`
	// TruncationSide is the end at which texts that are too long are cut; "": what the model's tokenizer says. The result's tokenizer keeps it.
	TruncationSide tokenizer.Side `enum:",left,right" default:"" help:"The end at which a text that is too long is cut: left or right (default: the tokenizer's, usually right)." placeholder:"SIDE"`
	Windows
	Embedding
	LearningRate float64 `help:"Highest learning rate (default: the task's in the paper's Table 14)." placeholder:"X"`
	BatchSize    int     `help:"Examples of a step (default: the task's)."`
	Steps        int     `help:"Steps (default: the task's)."`
	Epochs       float64 `help:"Instead of --steps: passes over the training data." placeholder:"X" resume:"-"`
	WarmupSteps  *int    `help:"Steps of linear warm-up (default: the task's share)." placeholder:"N"`
	// BiasCorrection is of adamw: that of ALBERT's release has none.
	BiasCorrection    bool     `negatable:"" help:"adamw: with bias correction, as PyTorch's; without, as in ALBERT's release, the first steps are larger."`
	Dropout           *float32 `range:"[0,1)" help:"Dropout in the encoder (default: the task's)." placeholder:"P"`
	ClassifierDropout *float32 `range:"[0,1)" help:"Dropout before the head (default: the model's)." placeholder:"P"`
	EvalEvery         int      `help:"Steps from one evaluation to the next (default: a tenth of the run)."`
	SaveEvery         int      `help:"Steps from one checkpoint to the next (default: as --eval-every)." resume:"change"`
	// StopIfStuck ends a run that does not learn with [ErrStuck].
	StopIfStuck bool `negatable:"" help:"Where nothing is learned, save and end with status 1 instead of a warning." resume:"change"`
	Common      `set:"optimizer=adamw" set:"optimizers=adamw or lamb" set:"keep=1" set:"better="`

	// Messages is where plan, progress and warnings go; nil: nowhere.
	Messages io.Writer `kong:"-"`
}

// Common has the settings that pretraining and fine-tuning share.
type Common = run.Common

// Source says where labelled data is and how it is read.
type Source struct {
	// Data is one folder or file, or files.
	Data        []string `sep:"none" help:"The task's folder, GLUE's root, or a file." placeholder:"DIR|FILE" resume:"-"`
	PairColumn  string   `help:"Own data: the column of the second text." placeholder:"NAME"`
	LabelColumn string   `help:"Own data: the column of the label; or several columns of 0 and 1, one for each class, with commas between." placeholder:"NAME[,NAME...]"`
	Multi       bool     `negatable:"" help:"classify: a text may have any number of labels; in TSV and CSV they are separated by |."`
	Level       string   `enum:",middle,high" default:"" help:"RACE: middle or high; both by default." placeholder:"LEVEL"`
	Delimiter   string   `help:"TSV and CSV: what stands between columns: tab, comma, semicolon, pipe, or a character (default: found in the file)." placeholder:"CHAR"`
	Quotes      string   `enum:",csv,none" default:"" help:"TSV and CSV: csv (double quotes enclose fields) or none (they are characters like others); default: found in the file." placeholder:"QUOTES"`
}

// Options are the ones of package dataset.
func (s *Source) Options(textColumn string) dataset.Options {
	return dataset.Options{Multi: s.Multi, TextColumn: textColumn, PairColumn: s.PairColumn, LabelColumn: s.LabelColumn, Level: s.Level,
		Delimiter: s.Delimiter, Quotes: s.Quotes}
}

// Fits refuses what says nothing about the files of a task, and a delimiter that is none.
func (s *Source) Fits(t dataset.Task, textColumn string) error {
	if s.Level != "" && t.Name != "race" {
		return &run.FieldError{Field: "Level", Value: s.Level, Problem: "RACE has levels, " + t.Name + " has none"}
	}
	if s.Multi && t.Kind == model.Embed {
		return &run.FieldError{Field: "Multi", Problem: "for classify; vectors have no labels"}
	}
	own := t.Submission == "" && t.Kind != model.Answer && t.Name != "race"
	for _, f := range []struct {
		field string
		value any
		given bool
	}{{"TextColumn", textColumn, textColumn != ""}, {"PairColumn", s.PairColumn, s.PairColumn != ""}, {"LabelColumn", s.LabelColumn, s.LabelColumn != ""},
		{"Multi", nil, s.Multi}, {"Delimiter", s.Delimiter, s.Delimiter != ""}, {"Quotes", s.Quotes, s.Quotes != ""}} {
		if f.given && !own {
			return &run.FieldError{Field: f.field, Value: f.value,
				Problem: "the files of " + t.Name + " have columns of their own; those of other data are read by task classify"}
		}
	}
	if s.Delimiter != "" {
		if _, err := dataset.Delimiter(s.Delimiter); err != nil {
			return &run.FieldError{Field: "Delimiter", Value: s.Delimiter, Problem: err.Error()}
		}
	}
	return nil
}

// Windows are the settings of answering.
type Windows struct {
	DocStride       int `default:"128" range:"[1,)" help:"Answering: pieces from one window's beginning to the next's."`
	MaxQueryLength  int `default:"64" help:"Answering: pieces of the question that are kept."`
	MaxAnswerLength int `default:"30" range:"[1,)" help:"Answering: pieces of an answer."`
}

// Embedding are the settings of task embed.
type Embedding struct {
	// Loss is one of package task's; "": what the columns are for.
	Loss    string  `enum:",mnr,cosent,cosine,mse" default:"" help:"embed: mnr, cosent, cosine or mse (default: by the columns mnr, cosent or mse)." placeholder:"LOSS"`
	Scale   float64 `default:"20" help:"embed: mnr and cosent: what cosines are multiplied by."`
	Pooling string  `enum:",mean,cls,max" default:"" help:"embed: how the vectors of pieces become one: mean, cls or max (default: the model's, or mean)." placeholder:"POOLING"`
	// Dimensions are Matryoshka's: the first so many values of a vector are learned to be one, too; nil: all.
	Dimensions []int `help:"embed: the first so many values are learned to be a vector, for each number, with commas between (default: all)." placeholder:"N"`
}

// Options are the ones of package task, for examples of at most so many pieces.
func (w *Windows) Options(maxSeqLength int) task.SpanOptions {
	return task.SpanOptions{MaxSeqLength: maxSeqLength, DocStride: w.DocStride, MaxQueryLength: w.MaxQueryLength, MaxAnswerLength: w.MaxAnswerLength,
		NBest: task.DefaultSpanOptions.NBest}
}

// The heads for answers: that of transformers' AlbertForQuestionAnswering, which the released code has for SQuAD 1.1, and the one that
// it has for SQuAD 2.0 ([model.Beam]).
const (
	HeadSimple = "simple"
	HeadBeam   = "beam"
)

// Defaults is a Config with the defaults of the command.
func Defaults() Config {
	var c Config
	run.SetDefaults(&c)
	return c
}

// job is a Config that is being done, with what it means: the task, where its data is, and all defaults resolved.
type job struct {
	Config
	Task   dataset.Task
	Data   splits
	Spans  task.SpanOptions
	metric string // chooses the best step
	notes  *notes
}

// notes are what was said of the data, once each, in order.
type notes struct{ list []string }

// note says something of the data, which the log and result.json keep.
func (c *job) note(list ...string) {
	for _, n := range list {
		if !slices.Contains(c.notes.list, n) {
			c.notes.list = append(c.notes.list, n)
			if c.Messages != nil { // also with Quiet
				fmt.Fprintln(c.Messages, n)
			}
		}
	}
}

// newJob checks a Config.
func newJob(c Config) (*job, error) {
	refuse := func(field string, value any, problem string) error {
		return &run.FieldError{Field: field, Value: value, Problem: problem}
	}
	t, err := dataset.TaskNamed(c.Task)
	if err != nil {
		return nil, err
	}
	if err := run.Check(&c); err != nil {
		return nil, err
	}
	j := &job{Config: c, Task: t, notes: &notes{}, Data: splits{Train: c.Train, Dev: c.Dev, Test: c.Test, Options: c.Source.Options(c.TextColumn)},
		Spans: c.Windows.Options(c.MaxSeqLength)}
	if err := c.Fits(t, c.TextColumn); err != nil {
		return nil, err
	}
	switch {
	case c.Output == "" && !c.OverfitOneBatch:
		return nil, refuse("Output", nil, "no run directory given")
	case c.BiasCorrection && c.Optimizer != string(optim.AdamW):
		return nil, refuse("BiasCorrection", nil, c.Optimizer+" has none, adamw has")
	case len(c.Data) > 1:
		return nil, refuse("Data", nil, "one folder or file; several files are given as Train")
	case c.Steps != 0 && c.Epochs != 0:
		return nil, refuse("Epochs", c.Epochs, "steps are given, too")
	case !slices.Contains([]tokenizer.Side{"", tokenizer.Left, tokenizer.Right}, c.TruncationSide):
		return nil, refuse("TruncationSide", c.TruncationSide, "want left or right")
	}
	if len(c.Data) == 1 {
		j.Data.Dir = c.Data[0]
	}
	if err := c.Embedding.fits(&c, t); err != nil {
		return nil, err
	}
	_, err = BeamHead(t, c.Head)
	return j, err
}

// BeamHead tells whether the beam head is to be learned for a task, or why the head that is asked for does not fit it; "": the task's own.
func BeamHead(t dataset.Task, head string) (bool, error) {
	problem := ""
	switch {
	case head == "":
		return t.Kind == model.Answer && t.Impossible, nil
	case t.Kind != model.Answer:
		problem = fmt.Sprintf("only tasks of answering have a choice of heads, %s has one", t.Name)
	case head == HeadBeam && !t.Impossible:
		problem = fmt.Sprintf("the head tells questions that have no answer, of which %s has none: squad2 has", t.Name)
	case head != HeadBeam && head != HeadSimple:
		problem = fmt.Sprintf("want %s or %s", HeadBeam, HeadSimple)
	}
	if problem != "" {
		return false, &run.FieldError{Field: "Head", Value: head, Problem: problem}
	}
	return head == HeadBeam, nil
}

func (c *job) message(format string, args ...any) {
	if !c.Quiet && c.Messages != nil {
		fmt.Fprintf(c.Messages, format+"\n", args...)
	}
}

// resolve fills in the preset.
func (c *job) resolve(m *model.Config, examples int) {
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
	case c.Task.Kind == model.Embed || c.Task.Kind == model.Rank: // three epochs of any batch size
		c.Steps = max(1, 3*examples/c.BatchSize)
	default:
		c.Steps = p.Steps
	}
	if c.WarmupSteps == nil {
		w := p.Warmup * c.Steps / max(1, p.Steps) // in proportion, where the steps are not the preset's
		c.WarmupSteps = &w
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
		c.message("`MaxSeqLength` %d: the model has %d positions: no more are used", c.MaxSeqLength, m.MaxPositionEmbeddings)
		c.MaxSeqLength = m.MaxPositionEmbeddings
	}
	if c.EvalEvery == 0 {
		c.EvalEvery = max(1, c.Steps/10)
	}
	if c.SaveEvery == 0 {
		c.SaveEvery = c.EvalEvery
	}
	c.Keep = max(1, c.Keep)
}

// settings are those of the run's manifest.
func (c *job) settings(m *model.Model) jsonobject.Fields {
	head := c.Head
	if m.Beam.Start.W != nil {
		head = HeadBeam
	}
	list := run.Settings(&c.Config, jsonobject.Fields{{Name: "task", Value: c.Task.Name}, {Name: "model", Value: m.Hash()}, {Name: "head", Value: head}})
	return slices.DeleteFunc(list, func(f jsonobject.Field) bool { // older runs do not have them
		return f.Value == tokenizer.Side("") || f.Name == "bias-correction" && !c.BiasCorrection ||
			c.Task.Kind != model.Embed && slices.Contains([]string{"loss", "scale", "pooling", "dimensions"}, f.Name)
	})
}

// cardSettings are those that a model's card shows: what is given.
func (c *job) cardSettings(m *model.Model) jsonobject.Fields {
	return slices.DeleteFunc(c.settings(m), func(f jsonobject.Field) bool { return f.Name == "model" || f.Value == "" })
}
