package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/dataset"
	"albert/formats"
	"albert/model"
	"albert/optim"
	"albert/tokenizer"
	"albert/train"
)

var good, bad, other = strings.Fields("good fine nice bright"), strings.Fields("bad poor sad dull"), strings.Fields("the film was a an it and of day house")

// pretrained writes a tiny random model whose tokenizer knows the words.
func pretrained(t *testing.T) string {
	t.Helper()
	m := &tokenizer.Model{Normalizer: tokenizer.Normalizer{Name: "identity", AddDummyPrefix: true, RemoveExtraWhitespaces: true, EscapeWhitespaces: true}}
	add := func(text string, typ tokenizer.PieceType, score float32) {
		m.Pieces = append(m.Pieces, tokenizer.Piece{Text: text, Score: score, Type: typ})
	}
	add("<pad>", tokenizer.Control, 0)
	add("<unk>", tokenizer.Unknown, 0)
	for _, c := range []string{"[CLS]", "[SEP]", "[MASK]"} {
		add(c, tokenizer.Control, 0)
	}
	for _, list := range [][]string{good, bad, other} {
		for _, w := range list {
			if len(w) > 1 {
				add("▁"+w, tokenizer.Normal, -2)
			}
		}
	}
	for c := 'a'; c <= 'z'; c++ {
		add(string(c), tokenizer.Normal, -6)
	}
	for _, c := range "▁.?0123456789" {
		add(string(c), tokenizer.Normal, -6)
	}
	tok, err := tokenizer.New(m.Marshal(), tokenizer.DefaultOptions)
	if err != nil {
		t.Fatal(err)
	}
	config, err := model.ParseConfig(fmt.Appendf(nil, `{"model_type": "albert", "vocab_size": %d, "embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 1,
		"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64, "initializer_range": 0.1, "classifier_dropout_prob": 0.1}`, len(m.Pieces)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(model.New(config, 1).Save(dir), tok.WriteDir(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write writes a file of lines.
func write(t *testing.T, lines []string, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// sentence is some words with one of the given list among them, and which word that is.
func sentence(r *rand.Rand, list []string) (words []string, at int) {
	n := 2 + r.IntN(6)
	at = r.IntN(n)
	for i := range n {
		if i == at {
			words = append(words, pick(r, list))
		} else {
			words = append(words, pick(r, other))
		}
	}
	return words, at
}

// jsonl writes n examples as JSON lines.
func jsonl(t *testing.T, seed uint64, n int, one func(r *rand.Rand) any, path ...string) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var lines []string
	for range n {
		text, err := json.Marshal(one(r))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	return write(t, lines, path...)
}

func classified(r *rand.Rand) any {
	list, label := good, "yes"
	if r.IntN(2) == 0 {
		list, label = bad, "no"
	}
	words, _ := sentence(r, list)
	return map[string]any{"text": strings.Join(words, " "), "label": label}
}

func config(t *testing.T, name, m, out string, d Data) Config {
	t.Helper()
	task, err := dataset.TaskNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	zero := 20
	return Config{Model: m, Output: out, Task: task, Data: d, LearningRate: 0.003, BatchSize: 16, Steps: 300, Warmup: &zero, EvalEvery: 50,
		Optimizer: optim.Config{Kind: optim.AdamW, WeightDecay: 0.01, Clip: 1}, Seed: 3, Threads: 2, Quiet: true}
}

// Every kind of head learns what a word tells, and its model opens and answers as well as it did on the dev set.
func TestEveryKindLearns(t *testing.T) {
	m := pretrained(t)
	kinds := map[string]struct {
		one   func(r *rand.Rand) any
		least float64
	}{
		"classify": {classified, 0.95},
		"regress": {func(r *rand.Rand) any {
			list, score := good, 1.5
			if r.IntN(2) == 0 {
				list, score = bad, -0.5
			}
			words, _ := sentence(r, list)
			return map[string]any{"text": strings.Join(words, " "), "score": score}
		}, 0.95},
		"multilabel": {func(r *rand.Rand) any {
			labels := []string{}
			words, _ := sentence(r, other)
			if r.IntN(2) == 0 {
				words, labels = append(words, pick(r, good)), append(labels, "good")
			}
			if r.IntN(2) == 0 {
				words, labels = append(words, pick(r, bad)), append(labels, "bad")
			}
			return map[string]any{"text": strings.Join(words, " "), "labels": labels}
		}, 0.95},
		"tag": {func(r *rand.Rand) any {
			words, at := sentence(r, good)
			tags := make([]string, len(words))
			for i := range tags {
				tags[i] = "O"
			}
			tags[at] = "B-X"
			return map[string]any{"words": words, "tags": tags}
		}, 0.95},
		"choice": {func(r *rand.Rand) any {
			words, _ := sentence(r, other)
			choices := []string{pick(r, bad), pick(r, bad), pick(r, bad)}
			right := r.IntN(3)
			choices[right] = pick(r, good)
			return map[string]any{"context": strings.Join(words, " "), "question": "it was", "choices": choices, "label": right}
		}, 0.95},
	}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := Data{Train: []string{jsonl(t, 1, 800, k.one, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 100, k.one, dir, "dev.jsonl")}}
			c := config(t, name, m, filepath.Join(dir, "run"), d)
			if name == "multilabel" { // at the others' rate it stays where one label is learned and the other is not
				c.LearningRate, c.Steps, c.Seed = 0.001, 500, 4
			}
			r, err := Run(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if v := r.Runs[0].Value; v == nil || *v < k.least {
				t.Fatalf("%s: %s is %s, want at least %v", name, r.Metric, r.Dev, k.least)
			}
			scores, err := Evaluate(context.Background(), Evaluation{Model: c.Output, Task: c.Task, Data: d.Dev, Split: dataset.Dev,
				Settings: Settings{MaxSeqLength: 64}, Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			if v, err := scores.Scores.Get(r.Metric); err != nil || v != *r.Runs[0].Value {
				t.Errorf("the model reaches %v (%v), the run %v", v, err, *r.Runs[0].Value)
			}
		})
	}
}

// squad is a file of questions whose answer is the good word of the context, or none.
func squad(t *testing.T, seed uint64, n int, impossible bool, path ...string) string {
	r := rand.New(rand.NewPCG(seed, 2))
	var paragraphs []any
	for i := range n {
		list := good
		none := impossible && r.IntN(2) == 0
		if none {
			list = other
		}
		words, at := sentence(r, list)
		start := len(strings.Join(words[:at], " "))
		if at > 0 {
			start++
		}
		q := map[string]any{"id": fmt.Sprint("q", seed, "-", i), "question": "what was it?", "answers": []any{map[string]any{"text": words[at], "answer_start": start}}}
		if impossible {
			q["is_impossible"] = none
			if none {
				q["answers"] = []any{}
			}
		}
		paragraphs = append(paragraphs, map[string]any{"context": strings.Join(words, " "), "qas": []any{q}})
	}
	text, err := json.Marshal(map[string]any{"version": "x", "data": []any{map[string]any{"title": "t", "paragraphs": paragraphs}}})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, []string{string(text)}, path...)
}

func TestQuestionsAreAnswered(t *testing.T) {
	m := pretrained(t)
	for _, name := range []string{"squad1", "squad2"} {
		dir := t.TempDir()
		d := Data{Train: []string{squad(t, 1, 600, name == "squad2", dir, "train.json")}, Dev: []string{squad(t, 2, 100, name == "squad2", dir, "dev.json")}}
		d.Test = d.Dev
		c := config(t, name, m, filepath.Join(dir, "run"), d)
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.Runs[0].Value; v == nil || *v < 90 {
			t.Errorf("%s: %s", name, r.Dev)
		}
		scores, err := ScoreFile(c.Task, d.Dev, dataset.Dev, dataset.Options{}, filepath.Join(c.Output, "predictions.json"), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := scores.Scores.Get("f1"); err != nil || v != *r.Runs[0].Value {
			t.Errorf("%s: the file of predictions scores %v (%v), the run %v", name, v, err, *r.Runs[0].Value)
		}
	}
}

// A run that was stopped and goes on ends with the same bits; more runs give a median, and the best one's model.
func TestStoppedRunGoesOnWithTheSameBits(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	d := Data{Train: []string{jsonl(t, 1, 200, classified, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 60, classified, dir, "dev.jsonl")}}
	hash := func(path string) string {
		x, err := formats.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return x.Hash()
	}
	whole := config(t, "classify", m, filepath.Join(dir, "whole"), d)
	whole.Steps, whole.EvalEvery, whole.Runs = 40, 8, 2
	r, err := Run(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 2 || r.Runs[0].Seed == r.Runs[1].Seed || hash(filepath.Join(dir, "whole")) == "" {
		t.Errorf("%+v", r)
	}
	parts := whole
	parts.Output, parts.Runs, parts.Threads, parts.MicroBatchSize = filepath.Join(dir, "parts"), 1, 1, 3
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		parts.Messages = &canceller{after: 5, cancel: cancel}
		parts.Quiet = false
		_, err := Run(ctx, parts)
		cancel()
		if err == nil {
			if i == 0 {
				t.Error("never stopped")
			}
			break
		}
		if !errors.Is(err, train.ErrStopped) || i > 100 {
			t.Fatal(err)
		}
	}
	if a, b := hash(filepath.Join(dir, "whole", "run-1")), hash(parts.Output); a != b {
		t.Errorf("%s after interruptions, %s without", b, a)
	}
}

// canceller cancels after so many writes of progress.
type canceller struct {
	after  int
	cancel func()
}

func (c *canceller) Write(b []byte) (int, error) {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return len(b), nil
}

// GLUE's folders as distributed: the submission is written for the test set.
func TestGLUEWritesItsSubmission(t *testing.T) {
	m := pretrained(t)
	root := t.TempDir()
	r := rand.New(rand.NewPCG(5, 5))
	lines := func(n int, test bool) []string {
		out := []string{"index\tsentence1\tsentence2\tlabel"}
		if test {
			out[0] = "index\tsentence1\tsentence2"
		}
		for i := range n {
			list, label := good, "entailment"
			if r.IntN(2) == 0 {
				list, label = bad, "not_entailment"
			}
			words, _ := sentence(r, list)
			line := fmt.Sprintf("%d\t%s\tit was %s", i, strings.Join(words, " "), pick(r, good))
			if !test {
				line += "\t" + label
			}
			out = append(out, line)
		}
		return out
	}
	write(t, lines(100, false), root, "RTE", "train.tsv")
	write(t, lines(40, false), root, "RTE", "dev.tsv")
	write(t, lines(30, true), root, "RTE", "test.tsv")
	c := config(t, "rte", m, filepath.Join(root, "run"), Data{Dir: root})
	c.Steps, c.EvalEvery = 20, 10
	res, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.Output, "RTE.tsv"))
	if err != nil || len(res.Submissions) != 1 {
		t.Fatal(err, res.Submissions)
	}
	if got := strings.Split(strings.TrimSpace(string(text)), "\n"); len(got) != 31 || got[0] != "index\tprediction" ||
		!strings.HasSuffix(got[1], "entailment") {
		t.Errorf("%d lines: %q", len(got), got[:2])
	}
	x, err := formats.Open(c.Output)
	if err != nil {
		t.Fatal(err)
	}
	if x.Class() != model.SequenceClassification || string(x.Config.Extra("id2label")) == "" {
		t.Errorf("%s, labels %s", x.Class(), x.Config.Extra("id2label"))
	}
}

func TestPresetsAreThePapers(t *testing.T) {
	if p := PresetOf("rte", 2490, false); p != (Preset{3e-5, 32, 0.1, 800, 200, 512}) {
		t.Errorf("%+v", p)
	}
	if p := PresetOf("race", 1, true); p.LearningRate != 1e-5 || p.Dropout != 0 {
		t.Errorf("RACE on v2: %+v", p)
	}
	if p := PresetOf("classify", 3200, true); p.Steps != 300 || p.Warmup != 30 {
		t.Errorf("own data: %+v", p)
	}
}

// What cannot be learned from is said in a line that names file and line, and nothing is left in the run directory.
func TestBadDataIsSaid(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	dev := jsonl(t, 2, 10, classified, dir, "dev.jsonl")
	for name, c := range map[string]struct {
		train, dev []string
		want       string
	}{
		"missing column": {[]string{`{"sentences": "a", "label": "yes"}`}, nil, "sentences"},
		"unknown label":  {[]string{`{"text": "a", "label": "yes"}`, `{"text": "a", "label": "perhaps"}`}, nil, "no"},
		"broken JSON":    {[]string{`{"text": "a", "label": "yes"}`, `{"text" "a"}`}, nil, ":2"},
		"no examples":    {[]string{}, nil, "train"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.train, dir, strings.ReplaceAll(name, " ", "-")+"-train.jsonl")
			_, err := Run(context.Background(), config(t, "classify", m, filepath.Join(dir, "none"), Data{Train: []string{path}, Dev: []string{dev}}))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q in one line", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "none", "checkpoints")); err == nil {
				t.Error("a run directory was begun")
			}
		})
	}
}
