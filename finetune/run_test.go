package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

var good, bad, other = strings.Fields("good fine nice bright"), strings.Fields("bad poor sad dull"), strings.Fields("the film was a an it and of day house")

// pretrained writes a tiny random model whose tokenizer knows the words.
func pretrained(t *testing.T) string { return pretrainedAs(t, 1) }

func pretrainedAs(t *testing.T, seed uint64) string {
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
	if err := errors.Join(model.New(config, seed).Save(dir), tok.WriteDir(dir)); err != nil {
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

func config(t *testing.T, name, m, out string, d splits) Config {
	t.Helper()
	warmup := 20
	c := Defaults()
	c.Model, c.Output, c.Task, c.LearningRate, c.BatchSize, c.Steps, c.WarmupSteps, c.EvalEvery = m, out, name, 0.003, 16, 300, &warmup, 50
	c.Train, c.Dev, c.Test, c.Seed, c.Threads, c.Quiet = d.Train, d.Dev, d.Test, 3, 2, true
	if d.Dir != "" {
		c.Data = []string{d.Dir}
	}
	return c
}

// kinds make examples of tasks with a head.
var kinds = map[string]struct {
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
	"rerank": {func(r *rand.Rand) any {
		list, label := good, 1
		if r.IntN(2) == 0 {
			list, label = bad, 0
		}
		words, _ := sentence(r, list)
		return map[string]any{"query": "was it a day", "document": strings.Join(words, " "), "label": label}
	}, 0.95},
}

// Every kind of head learns what a word tells, and its model opens and answers as well as it did on the dev set.
func TestEveryKindLearns(t *testing.T) {
	m := pretrained(t)
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := splits{Train: []string{jsonl(t, 1, 800, k.one, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 100, k.one, dir, "dev.jsonl")}}
			d.Test = d.Dev
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
			out := filepath.Join(dir, "out")
			scores, err := Evaluate(context.Background(), Evaluation{Model: c.Output, Task: named(t, c.Task), Data: d.Dev, Split: dataset.Dev,
				Settings: Settings{MaxSeqLength: 64}, Threads: 1, Output: out})
			if err != nil {
				t.Fatal(err)
			}
			if v, err := scores.Scores.Get(r.Metric); err != nil || v != *r.Runs[0].Value {
				t.Errorf("the model reaches %v (%v), the run %v", v, err, *r.Runs[0].Value)
			}
			// The predictions in a file score the same.
			file := filepath.Join(out, "predictions.json")
			if name == "classify" || name == "regress" || name == "rerank" {
				file = filepath.Join(out, "predictions.tsv")
			}
			again, err := ScoreFile(named(t, c.Task), d.Dev, dataset.Dev, dataset.Options{}, file, "", 3)
			if err != nil || !reflect.DeepEqual(again.Scores, scores.Scores) {
				t.Errorf("the file scores %v (%v), the model %v", again, err, scores.Scores)
			}
			a, errA := os.ReadFile(file)
			b, errB := os.ReadFile(filepath.Join(c.Output, filepath.Base(file))) // of --test
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("finetune and eval write different predictions: %v, %v", errA, errB)
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
	for _, head := range []string{"", HeadSimple, HeadBeam} {
		name := "squad2"
		if head == "" {
			name = "squad1"
		}
		dir := t.TempDir()
		d := splits{Train: []string{squad(t, 1, 600, name == "squad2", dir, "train.json")}, Dev: []string{squad(t, 2, 100, name == "squad2", dir, "dev.json")}}
		d.Test = d.Dev
		c := config(t, name, m, filepath.Join(dir, "run"), d)
		c.Head = head
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.Runs[0].Value; v == nil || *v < 90 {
			t.Errorf("%s %s: %s", name, head, r.Dev)
		}
		x, err := formats.Open(c.Output)
		if err != nil {
			t.Fatal(err)
		}
		if beam := x.Beam.Start.W != nil; beam != (head == HeadBeam) || beam == (x.Spans.W != nil) || beam != (string(x.Config.Extra(model.HeadKey)) == `"beam"`) {
			t.Errorf("%s %s: beam head %v, the other %v, config %s", name, head, beam, x.Spans.W != nil, x.Config.Extra(model.HeadKey))
		}
		scored, err := Evaluate(context.Background(), Evaluation{Model: c.Output, Task: named(t, c.Task), Data: d.Dev, Split: dataset.Dev,
			Settings: Settings{MaxSeqLength: 64, SpanOptions: task.DefaultSpanOptions}, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := scored.Scores.Get("f1"); err != nil || v != *r.Runs[0].Value {
			t.Errorf("%s %s: the model reaches %v (%v), the run %v", name, head, v, err, *r.Runs[0].Value)
		}
		scores, err := ScoreFile(named(t, c.Task), d.Dev, dataset.Dev, dataset.Options{}, filepath.Join(c.Output, "predictions.json"), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := scores.Scores.Get("f1"); err != nil || v != *r.Runs[0].Value {
			t.Errorf("%s: the file of predictions scores %v (%v), the run %v", name, v, err, *r.Runs[0].Value)
		}

		// The model with itself answers the same, and writes the same answers.
		again := evaluate(t, Evaluation{Model: c.Output, With: []string{c.Output}, Task: named(t, c.Task), Data: d.Dev, Worst: 3, Output: dir,
			Settings: Settings{MaxSeqLength: 64, SpanOptions: task.DefaultSpanOptions}})
		if v, err := again.Scores.Get("f1"); err != nil || v != *r.Runs[0].Value || len(again.Worst) != 3 || again.Worst[0].Score > again.Worst[2].Score {
			t.Errorf("%s: twice the model gives %v (%v), the run %v; %+v", name, v, err, *r.Runs[0].Value, again.Worst)
		}
		for _, file := range []string{"predictions.json", "nbest_predictions.json"} {
			a, errA := os.ReadFile(filepath.Join(c.Output, file))
			b, errB := os.ReadFile(filepath.Join(dir, file))
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("%s: %s differs: %v, %v", name, file, errA, errB)
			}
		}
	}
}

// A head that a task has no use for is refused.
func TestHeadsThatDoNotFit(t *testing.T) {
	for task, heads := range map[string][]string{"squad1": {HeadBeam}, "sst2": {HeadBeam, HeadSimple}, "squad2": {"other"}} {
		for _, head := range heads {
			c := config(t, task, "m", "out", splits{})
			c.Head = head
			if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "Head") {
				t.Errorf("%s %s: %v", task, head, err)
			}
		}
	}
}

// Lists of labels make classify learn any number of them; a model's later task leaves nothing of the earlier one's head in its config.
func TestTheTaskIsTheData(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	several := func(r *rand.Rand) any {
		words, _ := sentence(r, good)
		return map[string]any{"text": strings.Join(words, " "), "labels": [][]string{{}, {"x"}, {"x", "y"}}[r.IntN(3)]}
	}
	file := jsonl(t, 1, 60, several, dir, "several.jsonl")
	c := config(t, "classify", m, filepath.Join(dir, "several"), splits{Train: []string{file}, Dev: []string{file}})
	c.Steps, c.EvalEvery = 4, 2
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Task != "multilabel" || r.Metric != "f1_micro" || r.Runs[0].Value == nil {
		t.Errorf("%+v", r)
	}
	questions := write(t, []string{`{"question": "it was", "context": "a good day", "answers": {"text": ["good"], "answer_start": [2]}, "id": "1"}`}, dir, "q.jsonl")
	c = config(t, "squad1", c.Output, filepath.Join(dir, "answers"), splits{Train: []string{questions}, Dev: []string{questions}})
	c.Steps, c.EvalEvery = 2, 1
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	x, err := formats.Open(c.Output)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id2label", "label2id", "problem_type", "null_threshold", model.HeadKey} {
		if v := x.Config.Extra(name); v != nil {
			t.Errorf("config.json of a model for answers has %s: %s", name, v)
		}
	}
}

// One file as the data is what is learned, and said to be what is measured, too; the rate that makes every step's gradient overflow ends the run.
func TestOneFileAndNoStep(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	file := jsonl(t, 1, 60, classified, dir, "all.jsonl")
	c := config(t, "classify", m, filepath.Join(dir, "one"), splits{Dir: file})
	var said strings.Builder
	c.Steps, c.EvalEvery, c.Messages, c.Quiet = 2, 1, &said, false
	if _, err := Run(context.Background(), c); err != nil || !strings.Contains(said.String(), "without `Dev`") {
		t.Errorf("%v; %s", err, said.String())
	}
	far := write(t, []string{`{"text": "a", "score": 1e30}`, `{"text": "b", "score": -1e30}`}, dir, "far.jsonl")
	c = config(t, "regress", m, filepath.Join(dir, "far"), splits{Train: []string{far}, Dev: []string{far}})
	c.Steps, c.EvalEvery = 3, 3
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "steps 1 to 3 had no finite loss") {
		t.Errorf("%v", err)
	}
}

// A run that was stopped and goes on ends with the same bits; more runs give a median, and the best one's model.
func TestStoppedRunGoesOnWithTheSameBits(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 200, classified, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 60, classified, dir, "dev.jsonl")}}
	hash := func(path string) string {
		x, err := formats.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return x.Hash()
	}
	whole := config(t, "classify", m, filepath.Join(dir, "whole"), d)
	whole.Steps, whole.EvalEvery, whole.Runs = 40, 8, 3
	r, err := Run(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 3 || r.Runs[0].Seed == r.Runs[1].Seed || hash(filepath.Join(dir, "whole")) == "" {
		t.Errorf("%+v", r)
	}
	parts := whole
	parts.Output, parts.Threads, parts.MicroBatchSize = filepath.Join(dir, "parts"), 1, 3
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		parts.Messages = &canceller{after: 5 + 2*i, cancel: cancel}
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
	for _, name := range []string{"run-1", "run-2", "run-3", ""} {
		if a, b := hash(filepath.Join(dir, "whole", name)), hash(filepath.Join(parts.Output, name)); a != b {
			t.Errorf("%s: %s after interruptions, %s without", name, b, a)
		}
	}
	for _, name := range []string{"report.json", "confusion.svg"} {
		a, errA := os.ReadFile(filepath.Join(dir, "whole", name))
		b, errB := os.ReadFile(filepath.Join(parts.Output, name))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s: %v, %v", name, errA, errB)
		}
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
	c := config(t, "rte", m, filepath.Join(root, "run"), splits{Dir: root})
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
	// The zip stands beside it; eval keeps one of a test set's predictions, not of a dev set's.
	if _, err := os.Stat(filepath.Join(c.Output, "submission.zip")); err != nil {
		t.Error(err)
	}
	for _, split := range []dataset.Split{dataset.Dev, dataset.Test} {
		out := t.TempDir()
		measured, err := Evaluate(context.Background(), Evaluation{Model: c.Output, Task: named(t, c.Task), Data: []string{root}, Split: split,
			Settings: Settings{MaxSeqLength: 64}, Threads: 1, Output: out})
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(out, "submission.zip"))
		said := len(measured.Notes) == 1 && strings.Contains(measured.Notes[0], "1 of 11 files; missing: CoLA.tsv, ")
		if test := split == dataset.Test; test != (err == nil) || test != said {
			t.Errorf("%s: %v, %q", split, err, measured.Notes)
		}
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
	yes, no := `{"text": "a good day", "label": "yes"}`, `{"text": "a bad day", "label": "no"}`
	fine := []string{yes, no}
	for name, c := range map[string]struct {
		task       string // classify
		train, dev []string
		want       string
	}{
		"missing column":        {"", []string{`{"sentences": "a", "label": "yes"}`}, fine, "sentences"},
		"missing label column":  {"", []string{`{"text": "a", "colour": "yes"}`}, fine, "colour"},
		"label not in train":    {"", fine, []string{yes, `{"text": "a", "label": "perhaps"}`}, `:2: column "label": label "perhaps" is not one of the known ones: "no", "yes"`},
		"broken JSON":           {"", []string{yes, `{"text" "a"}`}, fine, ":2"},
		"no examples":           {"", []string{}, fine, "train"},
		"no dev examples":       {"", fine, []string{}, "dev"},
		"a long field":          {"", []string{yes, `{"text": "` + strings.Repeat("a", 10<<20+1) + `", "label": "no"}`}, fine, ":2: a text of 10.0 MB; the limit is 10 MB"},
		"no labels":             {"", []string{`{"text": "a"}`}, fine, "label"},
		"one label":             {"", []string{yes, yes}, []string{yes}, `every example has the label "yes"`},
		"classes for numbers":   {"regress", fine, fine, `"yes" is not a number`},
		"classes for questions": {"squad1", fine, fine, "question"},
		"classes for tags":      {"tag", fine, fine, "words"},
		"classes for choices":   {"choice", fine, fine, "choices"},
		"JSON for GLUE":         {"rte", fine, fine, "for other files of the same data use the task classify"},
		"a score beyond":        {"regress", []string{`{"text": "a", "score": 1}`, `{"text": "b", "score": 1e999}`}, fine, ":2"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.task == "" {
				c.task = "classify"
			}
			name := strings.ReplaceAll(name, " ", "-")
			path, dev := write(t, c.train, dir, name+"-train.jsonl"), write(t, c.dev, dir, name+"-dev.jsonl")
			_, err := Run(context.Background(), config(t, c.task, m, filepath.Join(dir, "none"), splits{Train: []string{path}, Dev: []string{dev}}))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
				t.Errorf("%v, want %q in one line", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "none", "checkpoints")); err == nil {
				t.Error("a run directory was begun")
			}
		})
	}
	train := write(t, fine, dir, "train.jsonl")
	run := func(c Config) (string, error) {
		var said strings.Builder
		c.Messages, c.Quiet = &said, false
		_, err := Run(context.Background(), c)
		return said.String(), err
	}
	for name, d := range map[string]splits{"dev": {Train: []string{train}, Dev: []string{filepath.Join(dir, "gone")}},
		"test": {Train: []string{train}, Dev: []string{train}, Test: []string{filepath.Join(dir, "gone")}}, "no dev": {Train: []string{train}}} {
		_, err := run(config(t, "classify", m, filepath.Join(dir, "none"), d))
		if err == nil || !strings.Contains(err.Error(), "gone") && !strings.Contains(err.Error(), "`Dev`") {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := splits{Train: []string{train}, Dev: []string{train}}
	short := func(name, m, out string, d splits) Config {
		c := config(t, name, m, filepath.Join(dir, out), d)
		c.Steps, c.EvalEvery = 2, 1
		return c
	}

	// A model without a tokenizer, and one without a pooler, which gets a new one.
	bare := t.TempDir()
	for _, name := range []string{model.ConfigFile, "model.safetensors"} {
		text, err := os.ReadFile(filepath.Join(m, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(bare, name), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(short("classify", bare, "none", d)); err == nil || !strings.Contains(err.Error(), "no tokenizer") {
		t.Errorf("without a tokenizer: %v", err)
	}
	from, err := formats.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	headless := t.TempDir()
	if err := errors.Join(model.NewWith(from.Config, model.Heads{MLM: true}, 1).Save(headless), from.Tokenizer.WriteDir(headless)); err != nil {
		t.Fatal(err)
	}
	if said, err := run(short("classify", headless, "headless", d)); err != nil || !strings.Contains(said, "has no albert.pooler") {
		t.Errorf("without a pooler: %v, %s", err, said)
	}
	if _, err := Evaluate(context.Background(), Evaluation{Model: headless, Task: named(t, "classify"), Data: d.Dev, Split: dataset.Dev,
		Settings: Settings{MaxSeqLength: 64}}); err == nil || !strings.Contains(err.Error(), "fine-tune it first") {
		t.Errorf("eval without a head: %v", err)
	}

	// What is allowed, and said.
	long := short("classify", m, "long", d)
	long.MaxSeqLength = 100
	if said, err := run(long); err != nil || !strings.Contains(said, "`MaxSeqLength` 100: the model has 64 positions") {
		t.Errorf("too long: %v, %s", err, said)
	}
	empty := write(t, []string{yes, no, `{"text": "", "label": "no"}`}, dir, "empty.jsonl")
	if said, err := run(short("classify", m, "empty", splits{Train: []string{empty}, Dev: []string{empty}})); err != nil || !strings.Contains(said, "1 of 3 examples have an empty text") {
		t.Errorf("an empty text: %v, %s", err, said)
	}
	one := write(t, []string{yes, yes}, dir, "one.jsonl")
	oneClass := short("classify", m, "one", splits{Train: []string{train}, Dev: []string{one}})
	if said, err := run(oneClass); err != nil || !strings.Contains(said, `the dev set has no example of "no"`) {
		t.Errorf("a label that is not in dev: %v, %s", err, said)
	}
	noNaN(t, oneClass.Output)
	same := write(t, []string{`{"text": "a", "score": 1}`, `{"text": "b", "score": 1}`}, dir, "same.jsonl")
	numbers := write(t, []string{`{"text": "a", "score": 1}`, `{"text": "b", "score": 2}`}, dir, "numbers.jsonl")
	undefined := short("regress", m, "same", splits{Train: []string{numbers}, Dev: []string{same}})
	r, err := Run(context.Background(), undefined)
	if err != nil || r.Runs[0].Value != nil || !strings.Contains(r.Undefined, "pearson") || !strings.Contains(string(r.Dev), `"pearson":null`) {
		t.Errorf("an undefined metric: %v, %+v", err, r)
	}
	noNaN(t, undefined.Output)
	asked := func(start int) splits {
		path := write(t, []string{fmt.Sprintf(`{"data": [{"title": "t", "paragraphs": [{"context": "a good day", "qas": [
		{"id": "1", "question": "what?", "answers": [{"text": "good", "answer_start": 2}]},
		{"id": "2", "question": "what?", "answers": [{"text": "good", "answer_start": %d}]}]}]}]}`, start)}, dir, "asked.json")
		return splits{Train: []string{path}, Dev: []string{path}}
	}
	if said, err := run(short("squad1", m, "asked", asked(3))); err != nil || !strings.Contains(said, "1 answers are not what stands at their answer_start") {
		t.Errorf("an answer at the wrong place: %v, %s", err, said)
	}
	if _, err := run(short("squad1", m, "none", asked(200))); err == nil || !strings.Contains(err.Error(), `question "2": answer 1, "good" at answer_start 200, lies outside`) {
		t.Errorf("an answer outside its text: %v", err)
	}
}

// noNaN holds that every JSON file of a run can be read.
func noNaN(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"result.json", "report.json", "model/eval.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !json.Valid(text) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// The columns that are named hold for the dev and the test file as for the training file.
func TestNamedColumnsHoldForEverySplit(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) []string { // "text" and "label" are there, too, and mean nothing
		lines := []string{"text,body,label,kind"}
		for i := range 40 {
			lines = append(lines, fmt.Sprintf("x,%s,same,%s", []string{"the reader opens", "a writer closes"}[i%2], []string{"in", "out"}[i%2]))
		}
		return []string{write(t, lines, dir, name)}
	}
	c := config(t, "classify", pretrained(t), filepath.Join(dir, "run"), splits{Train: file("train.csv"), Dev: file("dev.csv"), Test: file("test.csv")})
	c.TextColumn, c.LabelColumn = "body", "kind"
	c.Steps = 2
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	report, err := os.ReadFile(filepath.Join(c.Output, "report.json"))
	if err != nil || !strings.Contains(string(report), `"out"`) || strings.Contains(string(report), `"same"`) {
		t.Errorf("%s %v", report, err)
	}
}
