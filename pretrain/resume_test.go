package pretrain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/mpi"
	"albert/internal/formats"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
)

const tinyConfig = `{"model_type":"albert","vocab_size":%s,"embedding_size":8,"hidden_size":12,"num_hidden_layers":1,"num_attention_heads":2,
"intermediate_size":16,"max_position_embeddings":32,"hidden_dropout_prob":0.1,"attention_probs_dropout_prob":0.1}`

// tiny is a run of two steps over some text, with its files in dir.
func tiny(t *testing.T, dir string) Config {
	t.Helper()
	text := strings.Repeat("The reader opens a file. A writer closes the network. Each packet counts. The server sends values.\n\n", 20)
	so := spmtrain.DefaultOptions()
	so.VocabSize = 40
	m, _, err := spmtrain.Train(t.Context(), func(yield func(string, error) bool) {
		for range 20 {
			if !yield(tokenizer.DefaultOptions.Clean(text[:98]), nil) {
				return
			}
		}
	}, so)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"tok.model": string(m.Marshal()), "train.txt": text, "train2.txt": text + "More of it. And more.\n", "dev.txt": text[:400],
		"config.json": strings.Replace(tinyConfig, "%s", "50", 1), "config2.json": strings.Replace(tinyConfig, "%s", "60", 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := Defaults()
	c.Output, c.Config, c.Tokenizer = filepath.Join(dir, "run"), filepath.Join(dir, "config.json"), filepath.Join(dir, "tok.model")
	c.Train, c.Dev = []string{filepath.Join(dir, "train.txt")}, []string{filepath.Join(dir, "dev.txt")}
	c.MaxSeqLength, c.BatchSize, c.Steps, c.WarmupSteps, c.Threads, c.Quiet = 32, 4, 2, 0, 1, true
	return c
}

// Every field of a Config is refused by its name when a resume changes it, unless it reaches no bit of the result.
func TestResumeWithOtherSettings(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	first, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Run(context.Background(), c); err != nil || *again != *first || first.Hash == "" || first.Model != filepath.Join(c.Output, "model") {
		t.Errorf("again %+v, %v; first %+v", again, err, first)
	}
	p := float32(0.3)
	in := func(name string) []string { return []string{filepath.Join(dir, name)} }
	cases := map[string]struct {
		change func(c *Config)
		names  string // of what is refused; "": nothing; with -- before it by the shards that were made of the text
	}{
		"Output":            {func(c *Config) { c.Output += "2" }, ""},
		"Config":            {func(c *Config) { c.Config = in("config2.json")[0] }, "config"},
		"Init":              {func(c *Config) { c.Config, c.Init = "", first.Model }, "init"},
		"Tokenizer":         {func(c *Config) { c.Tokenizer = first.Model; c.Cased = true }, "--the clean-up"},
		"Train":             {func(c *Config) { c.Train = in("train2.txt") }, "--the inputs"},
		"Dev":               {func(c *Config) { c.Dev = nil }, "dev"},
		"Sentences":         {func(c *Config) { c.Sentences = "lines" }, "----sentences"},
		"TextColumn":        {func(c *Config) { c.TextColumn = "x" }, "----text-column"},
		"GoDoc":             {func(c *Config) { c.GoDoc = true }, "----go-doc"},
		"Cleanup":           {func(c *Config) { c.Cleanup = "none" }, "--the clean-up"},
		"Cased":             {func(c *Config) { c.Cased = true }, "--the clean-up"},
		"KeepAccents":       {func(c *Config) { c.KeepAccents = true }, "--the clean-up"},
		"Objective":         {func(c *Config) { c.Objective = "nsp" }, "objective"},
		"Sharing":           {func(c *Config) { c.Sharing = "none" }, "config"},
		"MaxSeqLength":      {func(c *Config) { c.MaxSeqLength = 20 }, "max-seq-length"},
		"ShortSeqProb":      {func(c *Config) { c.ShortSeqProb = 0.2 }, "short-seq-prob"},
		"MaskRate":          {func(c *Config) { c.MaskRate = 0.2 }, "mask-rate"},
		"MaxPredictions":    {func(c *Config) { c.MaxPredictions = 2 }, "max-predictions"},
		"NGram":             {func(c *Config) { c.NGram = 1 }, "ngram"},
		"FavorShorterNGram": {func(c *Config) { c.FavorShorterNGram = false }, "favor-shorter-ngram"},
		"UpstreamQuirks":    {func(c *Config) { c.UpstreamQuirks = true }, "upstream-quirks"},
		"LearningRate":      {func(c *Config) { c.LearningRate = 0.1 }, "learning-rate"},
		"BatchSize":         {func(c *Config) { c.BatchSize = 3 }, "batch-size"},
		"Steps":             {func(c *Config) { c.Steps = 3 }, "steps"},
		"WarmupSteps":       {func(c *Config) { c.WarmupSteps = 1 }, "warmup-steps"},
		"Dropout":           {func(c *Config) { c.Dropout = &p }, "dropout"},
		"AttentionDropout":  {func(c *Config) { c.AttentionDropout = &p }, "attention-dropout"},
		"EvalEvery":         {func(c *Config) { c.EvalEvery = 1 }, "eval-every"},
		"EvalExamples":      {func(c *Config) { c.EvalExamples = 1 }, "eval-examples"},
		"SaveEvery":         {func(c *Config) { c.SaveEvery = 1 }, ""},
		"Optimizer":         {func(c *Config) { c.Optimizer = "adamw" }, "optimizer"},
		"MicroBatchSize":    {func(c *Config) { c.MicroBatchSize = 1 }, ""},
		"WeightDecay":       {func(c *Config) { c.WeightDecay = 0.5 }, "weight-decay"},
		"Precision":         {func(c *Config) { c.Precision = "bf16-dot" }, "precision"},
		"Clip":              {func(c *Config) { c.Clip = 2 }, "clip"},
		"Patience":          {func(c *Config) { c.Patience = 1 }, "patience"},
		"Keep":              {func(c *Config) { c.Keep = 2 }, ""},
		"MaxTime":           {func(c *Config) { c.MaxTime = 1e12 }, ""},
		"Seed":              {func(c *Config) { c.Seed++ }, "seed"},
		"Threads":           {func(c *Config) { c.Threads = 2 }, ""},
		"Quiet":             {func(c *Config) { c.Quiet = false }, ""},
		"DryRun":            {func(c *Config) { c.DryRun = true }, ""},
		"Ranks":             {func(c *Config) { c.DryRun, c.Ranks = true, 2 }, ""},
		"Bandwidth":         {func(c *Config) { c.DryRun, c.Ranks, c.Bandwidth = true, 2, 1 }, ""},
		"Latency":           {func(c *Config) { c.DryRun, c.Ranks, c.Latency = true, 2, 1 }, ""},
		"World":             {func(c *Config) { c.World = mpi.Loopback(1)[0] }, ""},
		"Messages":          {func(c *Config) { c.Messages = t.Output() }, ""},
	}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Anonymous {
				walk(f.Type)
			} else if _, ok := cases[f.Name]; !ok && f.Name != "OverfitOneBatch" { // a check and no run
				t.Errorf("what a resume with another %s does is not tested", f.Name)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	for name, x := range cases {
		other := c
		x.change(&other)
		_, err := Run(context.Background(), other)
		var changed *run.Changed
		var text *corpus.Mismatch
		in, ofText := strings.CutPrefix(x.names, "--")
		switch {
		case x.names == "" && err == nil:
		case ofText && errors.As(err, &text) && strings.Contains(text.MadeWith, in):
		case !ofText && errors.As(err, &changed) && slices.ContainsFunc(changed.Changes, func(c run.Change) bool { return c.Name == x.names }):
		default:
			t.Errorf("another %s: %v, want %q to be refused", name, err, x.names)
		}
	}
}

// A field that cannot be is named as it is in Go.
func TestFieldErrors(t *testing.T) {
	dir := t.TempDir()
	good := tiny(t, dir)
	for want, change := range map[string]func(c *Config){
		"MaxSeqLength 600: the model has 32 positions": func(c *Config) { c.MaxSeqLength = 600 },
		"BatchSize 0: want at least 1":                 func(c *Config) { c.BatchSize = 0 },
		"Patience 1: nothing is evaluated before":      func(c *Config) { c.Patience, c.Dev = 1, nil },
		"WarmupSteps -1: want at least 0":              func(c *Config) { c.WarmupSteps = -1 },
		"Output: no run directory given":               func(c *Config) { c.Output = "" },
		"Config: neither a configuration":              func(c *Config) { c.Config = "" },
		"Optimizer sgd: want one of lamb, adamw":       func(c *Config) { c.Optimizer = "sgd" },
		"NGram 0: want 1 to 16":                        func(c *Config) { c.NGram = 0 },
		"Ranks 2: is for a dry run":                    func(c *Config) { c.Ranks = 2 },
		"Ranks 65: want 0 to 64":                       func(c *Config) { c.DryRun, c.Ranks = true, 65 },
		"Bandwidth 1: is for a dry run":                func(c *Config) { c.DryRun, c.Bandwidth = true, 1 },
		"Latency 1: is for a dry run":                  func(c *Config) { c.DryRun, c.Latency = true, 1 },
	} {
		c := good
		change(&c)
		_, err := Run(context.Background(), c)
		var field *run.FieldError
		if !errors.As(err, &field) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Pieces that are cut off are told of once, at the start of a run.
func TestCutOffPiecesAreToldOf(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	text := strings.Repeat("word after word after word after word after word after word after word after word. ", 6) + "\n\n"
	if err := os.WriteFile(c.Train[0], []byte(strings.Repeat(text, 5)), 0o666); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c.Messages, c.Steps = &said, 3
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), "pieces are cut off, because two sentences are often longer than an example"); n != 1 {
		t.Errorf("told %d times:\n%s", n, said.String())
	}
}

// A run in bf16 keeps the rule that it was begun with on a CPU that is faster at the other one, says so, and gets the same bits. The rule
// stands in its manifest and plan.
func TestResumeKeepsRule(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	c.Precision = "bf16-dot"
	want, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Output += "2"
	c.DryRun = true
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "plan.json"} {
		if text, err := os.ReadFile(filepath.Join(c.Output, name)); err != nil || !strings.Contains(string(text), `"precision": "bf16-dot"`) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	c.DryRun = false
	c.Precision = "bf16-tile"
	var changed *run.Changed
	if _, err := Run(context.Background(), c); !errors.As(err, &changed) || changed.Changes[0].Name != "precision" {
		t.Errorf("another rule: %v", err)
	}
	t.Setenv("ALBERT_CPU", "generic") // which is no faster at one of them: bf16 is tile
	var said strings.Builder
	c.Precision, c.Messages = "bf16", &said
	got, err := Run(context.Background(), c)
	if err != nil || got.Hash != want.Hash {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if !strings.Contains(said.String(), "was begun in bf16-dot and keeps it") || !strings.Contains(said.String(), "would be in bf16-tile") {
		t.Errorf("it says %q", said.String())
	}
	c.Output, c.Precision = c.Output+"3", "int8"
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "Precision int8: is for inference") {
		t.Errorf("int8: %v", err)
	}
}

// Weights that bf16 rounds to infinity end a run with the step, and no weight becomes NaN.
func TestInfiniteInBF16(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	first, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := formats.Open(first.Model)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.MLMDense.W.Data {
		m.MLMDense.W.Data[i] = 3.4e38
	}
	if err := m.Save(first.Model); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"bf16-tile", "bf16-dot"} {
		c.Output, c.Init, c.Config, c.Precision = filepath.Join(dir, p), first.Model, "", p
		if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "steps 1 to 2 had no finite loss or gradient") {
			t.Errorf("%s: %v", p, err)
		}
		if m, err := formats.Open(c.Output); err == nil {
			if err := cpu.CheckBF16(m.Params); err == nil || !strings.Contains(err.Error(), "3.4e+38") {
				t.Errorf("%s: the weights that were kept: %v", p, err)
			}
		}
	}
}
