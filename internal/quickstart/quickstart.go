// Package quickstart is the main job on text that every Go installation holds: it reads the comments of Go's own source, holds out
// whole packages, trains a tokenizer, pretrains a small ALBERT, fine-tunes it to tell the areas of the standard library apart, and shows
// what it has learned and what the pretraining was worth.
package quickstart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"albert/internal/files/disk"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/run"

	"albert/internal/engine/numeric"
	"albert/internal/learn/pretraining"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/corpus"
	"albert/pretrain"
	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
)

// Options of [Run]. The zero value of a number means the default.
type Options struct {
	Output  string
	Force   bool   // begin anew what is there
	GOROOT  string // "": what `go env GOROOT` says
	Steps   int
	Seed    uint64
	Threads int
	Quiet   bool
	Command string    // what a person types to call this program; "": albert
	Out     io.Writer // what is shown
	Log     io.Writer // progress
}

// The settings, and why: docs/quickstart.md has what each of those tried reached. Many small steps leave the plateau where only the
// frequencies of pieces are known; few large ones do not.
const (
	vocabSize    = 4096
	hiddenSize   = 128
	layers       = 2
	maxSeqLength = 64
	batchSize    = 32
	defaultSteps = 7000
	learningRate = 0.0015
	warmupSteps  = 200
	deviation    = 0.08 // initializer_range
	maskRate     = 0.25 // in training; the evaluation masks 15 %
	heldOut      = 20   // one package in so many
)

// Result is result.json.
type Result struct {
	MLMLoss           float64 `json:"mlm_loss"`
	MLMAccuracy       float64 `json:"mlm_accuracy"`
	MLMAccuracyMasked float64 `json:"mlm_accuracy_masked"`
	MLMBaselineMasked float64 `json:"mlm_baseline_masked"`
	MLMMaskedCount    int     `json:"mlm_masked_count"`
	MLMStandardError  float64 `json:"mlm_standard_error"`
	SOPLoss           float64 `json:"sop_loss"`
	SOPAccuracy       float64 `json:"sop_accuracy"`
	SOPCount          int     `json:"sop_count"`
	SOPStandardError  float64 `json:"sop_standard_error"`
	VocabSize         int     `json:"vocab_size"`
	Parameters        int     `json:"parameters"`
	Steps             int     `json:"steps"`
	TrainDocuments    int     `json:"train_documents"`
	DevDocuments      int     `json:"dev_documents"`
	TrainWords        int     `json:"train_words"`
	Seconds           float64 `json:"seconds"` // of this start
	WeightsSHA256     string  `json:"weights_sha256"`

	Finetune *Finetune `json:"finetune,omitempty"` // absent: not there yet
}

// trainName is what shards say that they were made of.
const trainName = "comments of the Go installation"

// text is the corpus: documents by package, some of them held out.
type text struct {
	train, dev []corpus.Document
	words      int
}

func documents(list []corpus.Document) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for _, d := range list {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// Run does all of it. An interrupted quickstart goes on where it stopped; a finished one shows its result again.
func Run(ctx context.Context, o Options) error {
	start := time.Now()
	if o.Steps == 0 {
		o.Steps = defaultSteps
	}
	if _, err := goroot(o); err != nil {
		return err
	}
	if err := begin(o); err != nil {
		return err
	}
	r, err := readResult(o.Output)
	pretrained := err == nil && r.Steps == o.Steps
	if pretrained && r.Finetune != nil {
		fmt.Fprintf(o.Out, "%s is finished (--force begins anew).\n\n", o.Output)
		return showAll(ctx, o, r)
	}
	t, err := read(ctx, o)
	if err != nil {
		return err
	}
	if !pretrained {
		tok, err := trainTokenizer(ctx, o, t)
		if err != nil {
			return err
		}
		c, given := settings(o, t, tok)
		if _, err := pretrain.RunGiven(ctx, c, given); err != nil {
			return begunAnew(o, err)
		}
		if r, err = evaluate(ctx, o, t); err != nil {
			return err
		}
		r.Seconds = time.Since(start).Seconds()
		if err := run.Dir(o.Output).WriteResult(r); err != nil {
			return err
		}
	}
	if err := show(ctx, o, r); err != nil {
		return err
	}
	if r.Finetune, err = runFinetune(ctx, o, t); err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	if err := run.Dir(o.Output).WriteResult(r); err != nil {
		return err
	}
	showFinetune(o, r.Finetune)
	next(o, r)
	return nil
}

// showAll is what a finished quickstart shows.
func showAll(ctx context.Context, o Options, r *Result) error {
	if err := show(ctx, o, r); err != nil {
		return err
	}
	showFinetune(o, r.Finetune)
	next(o, r)
	return nil
}

// markerFile says of a directory that it is a quickstart's: it is the first file that is written there.
const markerFile = "quickstart.json"

// begin makes the directory, or clears it when asked to. A directory that does not say that it is a quickstart's is left alone.
func begin(o Options) error {
	entries, err := os.ReadDir(o.Output)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 && !isQuickstart(o.Output) {
		return fmt.Errorf("%s holds other files: give another --output", o.Output)
	}
	if o.Force {
		if err := disk.RemoveAll(o.Output); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(o.Output); err != nil {
		return err
	}
	return disk.WriteJSON(filepath.Join(o.Output, markerFile), map[string]string{"made_by": "albert quickstart"})
}

// isQuickstart tells whether a directory is a quickstart's: by its marker or, of one that was made before there was a marker, by the name
// of the text in its shards, or by what only a quickstart's result says.
func isQuickstart(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, markerFile)); err == nil {
		return true
	}
	if r, err := readResult(dir); err == nil && r.TrainWords > 0 && r.DevDocuments > 0 {
		return true
	}
	shards, err := corpus.OpenShards(run.Dir(dir).Data("train"))
	if err != nil {
		return false
	}
	defer shards.Close()
	return slices.Equal(shards.Meta().Settings.Inputs, []string{trainName})
}

func readResult(dir string) (*Result, error) {
	r := new(Result)
	return r, run.Dir(dir).ReadResult(r)
}

// goroot finds the Go installation.
func goroot(o Options) (string, error) {
	root := o.GOROOT
	if root == "" {
		if out, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
			root = strings.TrimSpace(string(out))
		}
	}
	if root == "" {
		root = os.Getenv("GOROOT")
	}
	if root == "" {
		return "", errors.New("no Go installation found (go env GOROOT): give one with --goroot DIR")
	}
	src := filepath.Join(root, "src")
	if _, err := os.Stat(src); err != nil {
		return "", fmt.Errorf("%s is no Go installation: %w", root, err)
	}
	return src, nil
}

// read reads the comments of the Go installation and holds out whole packages.
func read(ctx context.Context, o Options) (*text, error) {
	src, err := goroot(o)
	if err != nil {
		return nil, err
	}
	var docs []corpus.Document
	var counts corpus.Counts
	for d, err := range corpus.GoComments(ctx, src, &counts) {
		if err != nil {
			return nil, stopped(ctx, err)
		}
		docs = append(docs, d)
	}
	t := new(text)
	held := heldOutPackages(docs)
	for _, d := range docs {
		if held[d.Name] {
			t.dev = append(t.dev, d)
			continue
		}
		t.train = append(t.train, d)
		for _, s := range d.Sentences {
			t.words += strings.Count(s, " ") + 1
		}
	}
	if len(t.train) == 0 || len(t.dev) == 0 {
		return nil, fmt.Errorf("%s: not enough packages with comments", src)
	}
	fmt.Fprintf(o.Log, "%s: %d packages, %d sentences, %d words of comments; %d packages held out\n", src, counts.Documents, counts.Sentences, counts.Words, len(t.dev))
	return t, nil
}

// begunAnew adds to an error that the directory holds another run, such as one on another Go installation, what to do about it.
func begunAnew(o Options, err error) error {
	var changed *run.Changed
	var numerics *run.OtherNumerics
	var text *corpus.Mismatch
	if errors.As(err, &changed) || errors.As(err, &numerics) || errors.As(err, &text) {
		return fmt.Errorf("%w; --force begins %s anew", err, o.Output)
	}
	return err
}

func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return train.ErrStopped
	}
	return err
}

// trainTokenizer trains the tokenizer, or opens the one that is there.
func trainTokenizer(ctx context.Context, o Options, t *text) (*tokenizer.Tokenizer, error) {
	dir := filepath.Join(o.Output, "tokenizer")
	if tok, err := tokenizer.Open(dir); err == nil {
		return tok, nil
	}
	start := time.Now()
	so := spmtrain.DefaultOptions()
	so.VocabSize, so.Threads, so.Seed = vocabSize, o.Threads, o.Seed
	m, stats, err := spmtrain.Train(ctx, func(yield func(string, error) bool) {
		for _, d := range t.train {
			for _, s := range d.Sentences {
				if !yield(tokenizer.DefaultOptions.Clean(s), nil) {
					return
				}
			}
		}
	}, so)
	if err != nil {
		return nil, stopped(ctx, err)
	}
	tok, err := tokenizer.New(m.Marshal(), tokenizer.DefaultOptions)
	if err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := tok.WriteDir(dir); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "tokenizer: %d pieces from %d distinct words, %.1f s\n", tok.VocabSize(), stats.Words, time.Since(start).Seconds())
	return tok, nil
}

// settings are those of the pretraining run.
func settings(o Options, t *text, tok *tokenizer.Tokenizer) (pretrain.Config, *pretraining.Given) {
	m, _ := model.NamedConfig("base")
	m.VocabSize, m.EmbeddingSize, m.HiddenSize, m.IntermediateSize = tok.VocabSize(), hiddenSize, hiddenSize, 4*hiddenSize
	m.NumHiddenLayers, m.NumAttentionHeads, m.MaxPositionEmbeddings = layers, hiddenSize/64, maxSeqLength
	m.InitializerRange = deviation
	c := pretrain.Defaults()
	c.Output, c.MaxSeqLength, c.MaskRate, c.Seed = o.Output, maxSeqLength, maskRate, o.Seed
	c.Optimizer, c.LearningRate, c.BatchSize, c.Steps, c.WarmupSteps = "adamw", learningRate, batchSize, o.Steps, warmupSteps
	c.EvalEvery, c.EvalExamples, c.SaveEvery, c.Keep = max(1, o.Steps/5), 1024, max(1, o.Steps/5), 1
	c.Threads, c.Quiet, c.Messages = o.Threads, o.Quiet, o.Log
	return c, &pretraining.Given{Config: m, Tokenizer: tok, Train: pretraining.Text{Documents: documents(t.train), Name: trainName},
		Dev: pretraining.Text{Documents: documents(t.dev), Name: "held-out packages"}}
}

// evaluate measures the finished model on all held-out text.
func evaluate(ctx context.Context, o Options, t *text) (*Result, error) {
	c := pretrain.Defaults()
	c.Dev, c.MaxSeqLength, c.Seed, c.EvalExamples, c.Threads = []string{run.Dir(o.Output).Data("dev")}, maxSeqLength, o.Seed, 0, o.Threads
	f, err := pretrain.Evaluate(ctx, o.Output, "", c)
	if err != nil {
		return nil, stopped(ctx, err)
	}
	m, err := formats.Open(o.Output)
	if err != nil {
		return nil, err
	}
	num := func(name string) float64 {
		if f.Get(name) == nil { // there was nothing to measure
			return 0
		}
		return f.Number(name)
	}
	r := &Result{MLMLoss: num("mlm_loss"), MLMAccuracy: num("mlm_accuracy"), MLMAccuracyMasked: num("mlm_accuracy_masked"),
		MLMBaselineMasked: num("mlm_baseline_masked"), MLMMaskedCount: int(num("mlm_masked_count")), SOPLoss: num("sop_loss"),
		SOPAccuracy: num("sop_accuracy"), SOPCount: int(num("sop_count")), VocabSize: m.Config.VocabSize, Parameters: m.Params.Size(),
		Steps: o.Steps, TrainDocuments: len(t.train), DevDocuments: len(t.dev), TrainWords: t.words, WeightsSHA256: m.Hash()}
	r.MLMStandardError = standardError(r.MLMAccuracyMasked, r.MLMMaskedCount)
	r.SOPStandardError = standardError(r.SOPAccuracy, r.SOPCount)
	return r, nil
}

// standardError of a share among n.
func standardError(p float64, n int) float64 { return math.Sqrt(p * (1 - p) / float64(max(1, n))) }

// show prints what pretraining has learned, and fills five masks in held-out sentences.
func show(ctx context.Context, o Options, r *Result) error {
	w := o.Out
	fmt.Fprintf(w, "Held out: %d packages, the model has not seen them.\n\n", r.DevDocuments)
	fmt.Fprintf(w, "%-34s %9s %12s %10s\n", "", "accuracy", "std. error", "baseline")
	fmt.Fprintf(w, "%-34s %8.1f%% %11.1f%% %9.1f%%   %.1f times the likeliest piece\n", "masked pieces (seen as [MASK])", 100*r.MLMAccuracyMasked, 100*r.MLMStandardError,
		100*r.MLMBaselineMasked, r.MLMAccuracyMasked/r.MLMBaselineMasked)
	fmt.Fprintf(w, "%-34s %8.1f%% %11.1f%% %9.1f%%   %.1f standard errors above chance\n", "order of two segments", 100*r.SOPAccuracy, 100*r.SOPStandardError, 50.0,
		(r.SOPAccuracy-0.5)/standardError(0.5, r.SOPCount))
	return fillFive(ctx, o)
}

// next says what to type next.
func next(o Options, r *Result) {
	fmt.Fprintf(o.Out, `
The pretrained model is in %[1]s, %[3]d parameters, the fine-tuned one in %[2]s. What to type next:

  %[4]s fill %[1]s "Close closes the [MASK]."
  %[4]s embed %[1]s "Package zip reads and writes archives."
  %[4]s inspect %[1]s
  %[4]s pretrain --help        your own text
  %[4]s finetune --help        your own labels
  %[4]s predict %[2]s "The handler writes the response header."
`, run.Dir(o.Output).Model(), filepath.Join(o.Output, "finetune"), r.Parameters, cmp.Or(o.Command, "albert"))
}

// fillFive masks a word in five held-out sentences, chosen at random.
func fillFive(ctx context.Context, o Options) error {
	m, err := infer.Open(o.Output, infer.Options{Threads: o.Threads})
	if err != nil {
		return err
	}
	defer m.Close()
	dev, err := corpus.OpenShards(run.Dir(o.Output).Data("dev"))
	if err != nil {
		return err
	}
	defer dev.Close()
	tok := m.Tokenizer
	lot := numeric.NewStream(o.Seed, numeric.PurposeSample, 0, 0, 0)
	fmt.Fprintf(o.Out, "\nFive masks in held-out sentences, chosen at random:\n")
	for found, tries := 0, 0; found < 5 && tries < 10_000; tries++ {
		doc := lot.Intn(dev.Documents())
		ends := dev.Ends(doc, nil)
		s := lot.Intn(len(ends))
		ids := dev.Pieces(doc, int(append([]int32{0}, ends...)[s]), int(ends[s]), nil)
		if len(ids) < 10 || len(ids) > maxSeqLength-2 {
			continue
		}
		at := 1 + lot.Intn(len(ids)-2)
		// A whole word of letters that is one piece.
		word := strings.TrimPrefix(tok.Piece(ids[at]), "\u2581")
		if !tok.IsStart(ids[at]) || !tok.IsStart(ids[at+1]) || len(word) < 3 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
			continue
		}
		found++
		in := tokenizer.Encoding{IDs: append(append([]int32{tok.CLS}, ids...), tok.SEP), Types: make([]int32, len(ids)+2)}
		in.IDs[at+1] = tok.MASK
		answers, err := m.Fill(ctx, slices.Values([]*infer.Question{{Pieces: []tokenizer.Encoding{in}}}), infer.FillOptions{TopK: 3})
		if err != nil {
			return err
		}
		var guesses []string
		for a, err := range answers {
			if err != nil {
				return err
			}
			for _, f := range a.Masks[0] {
				guesses = append(guesses, fmt.Sprintf("%s %.0f%%", strings.TrimSpace(f.TokenStr), 100*f.Score))
			}
		}
		fmt.Fprintf(o.Out, "\n  %s [MASK]%s\n  was: %s; the model: %s\n", tok.Decode(ids[:at]), after(tok.Decode(ids[at+1:])), word,
			strings.Join(guesses, ", "))
	}
	return nil
}

// after puts a space before words, none before signs.
func after(s string) string {
	if s == "" || strings.ContainsRune(".,;:)!?", rune(s[0])) {
		return s
	}
	return " " + s
}
