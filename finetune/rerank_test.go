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

	"albert/internal/formats"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// asked is a query, and a text that has its telling word or another; a share says that it is not known which.
func asked(r *rand.Rand) any {
	list := append(append([]string{}, good...), bad...)
	i := r.IntN(len(list))
	word, label := list[i], 1.0
	if r.IntN(2) == 0 {
		word, label = list[(i+1+r.IntN(len(list)-1))%len(list)], 0
	}
	words, at := sentence(r, other)
	words[at] = word
	return map[string]any{"query": "was it " + list[i], "document": strings.Join(words, " "), "label": label}
}

// A result is a directory that CrossEncoder reads: its activation in config.json, the length of pairs with the tokenizer, no key of what the model was
// before; what another task learns from it has no such key.
func TestResultIsACrossEncoder(t *testing.T) {
	dir := t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 60, asked, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 20, asked, dir, "dev.jsonl")}}
	c := config(t, "rerank", pretrained(t), filepath.Join(dir, "run"), d)
	c.Steps, c.MaxSeqLength = 4, 40
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	read := func(name string) (v map[string]any) {
		text, err := os.ReadFile(filepath.Join(c.Output, "model", name))
		if err := errors.Join(err, json.Unmarshal(text, &v)); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if key := fmt.Sprint(read("config.json")["sentence_transformers"]); key != "map[activation_fn:torch.nn.modules.activation.Sigmoid]" {
		t.Error(key)
	}
	if tok := read("tokenizer_config.json"); tok["model_max_length"] != 40.0 || fmt.Sprint(tok["model_input_names"]) != "[input_ids token_type_ids attention_mask]" {
		t.Error(tok)
	}
	m, err := formats.Open(c.Output)
	if err != nil || m.Kind() != model.Rank || m.MaxLength != 40 {
		t.Fatalf("kind %q, %d pieces, %v", m.Kind(), m.MaxLength, err)
	}
	numbers := jsonl(t, 1, 20, func(r *rand.Rand) any { return map[string]any{"text": "a", "score": r.Float64()} }, dir, "numbers.jsonl")
	after := config(t, "regress", c.Output, filepath.Join(dir, "after"), splits{Train: []string{numbers}, Dev: []string{numbers}})
	after.Steps = 1
	if _, err := Run(context.Background(), after); err != nil {
		t.Fatal(err)
	}
	if m, err := formats.Open(after.Output); err != nil || m.Kind() != model.Regress || m.Config.IsCrossEncoder() {
		t.Errorf("a reranker that learned numbers: kind %q, %v", m.Kind(), err)
	}
}

// Any micro-batch, any number of threads and any interruption give the same bits.
func TestRerankerHasTheSameBitsHoweverItIsCut(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 200, asked, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 40, asked, dir, "dev.jsonl")}}
	run := func(ctx context.Context, name string, micro, threads int, messages *canceller) (string, error) {
		c := config(t, "rerank", m, filepath.Join(dir, name), d)
		drop := float32(0.1)
		c.Steps, c.EvalEvery, c.BatchSize, c.MicroBatchSize, c.Threads, c.Dropout = 8, 2, 150, micro, threads, &drop
		if messages != nil {
			c.Messages, c.Quiet = messages, false
		}
		if _, err := Run(ctx, c); err != nil {
			return "", err
		}
		x, err := formats.Open(c.Output)
		if err != nil {
			return "", err
		}
		return x.Hash(), nil
	}
	want, err := run(context.Background(), "whole", 0, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]int{{1, 1}, {8, 2}, {100, 7}} {
		if got, err := run(context.Background(), fmt.Sprint(c), c[0], c[1], nil); err != nil || got != want {
			t.Errorf("micro-batches of %d on %d threads: %s (%v), want %s", c[0], c[1], got, err, want)
		}
	}
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		got, err := run(ctx, "parts", 0, 2, &canceller{after: 3 + 2*i, cancel: cancel})
		cancel()
		if err == nil {
			if i == 0 || got != want {
				t.Errorf("after %d interruptions %s, want %s", i, got, want)
			}
			return
		}
		if !errors.Is(err, train.ErrStopped) || i > 100 {
			t.Fatal(err)
		}
	}
}

// Bad rows for reranking are one line that says what is wrong and where.
func TestBadPairsAreSaid(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	row := `{"query": "good", "document": "fine", "label": 1}`
	for i, c := range []struct {
		rows []string
		want []string
	}{
		{[]string{row, `{"query": "good", "label": 1}`}, []string{":2: ", "without document", `"label", "query"`}},
		{[]string{row, `{"document": "good", "label": 1}`}, []string{":2: ", "without query"}},
		{[]string{row, `{"query": "good", "document": null, "label": 1}`}, []string{":2: ", "without document", "null"}},
		{[]string{row, `{"query": "good", "document": 7, "label": 1}`}, []string{":2: ", `"document" is not a string`}},
		{[]string{row, `{"query": "good", "document": "fine"}`}, []string{":2: ", "no column for the label"}},
		{[]string{row, `{"query": "good", "document": "fine", "label": "yes"}`}, []string{":2: ", "yes", "not a number"}},
		{[]string{row, `{"query": "good", "document": "fine", "label": [1]}`}, []string{":2: ", "not a number"}},
		{[]string{row, `{"query": "good", "document": "bad", "label": -2}`, `{"query": "a", "document": "b", "label": 3}`}, []string{":2: ", "the label is -2", "from -2 to 3", "0 (not relevant) to 1"}},
		{[]string{row, row}, []string{"every example has the label 1", "nothing to learn"}},
	} {
		path := write(t, c.rows, dir, fmt.Sprint(i, ".jsonl"))
		_, err := Run(context.Background(), config(t, "rerank", m, filepath.Join(dir, "none"), splits{Train: []string{path}, Dev: []string{path}}))
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v, want %q in one line", c.rows, err, w)
			}
		}
	}
	truths := write(t, []string{`{"query": "good", "passage": "fine", "relevance": true}`, `{"query": "good", "passage": "bad", "relevance": false}`}, dir, "truths.jsonl")
	c := config(t, "rerank", m, filepath.Join(dir, "truths"), splits{Train: []string{truths}, Dev: []string{truths}})
	c.Steps = 1
	if _, err := Run(context.Background(), c); err != nil {
		t.Errorf("truth values as labels: %v", err)
	}
}
