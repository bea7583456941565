package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/learn/train"
	"albert/internal/text/dataset"
)

// paired is two texts with the same telling word, and one with another.
func paired(r *rand.Rand) any {
	list := append(append([]string{}, good...), bad...)
	with := func(word string) string {
		words, at := sentence(r, other)
		words[at] = word
		return strings.Join(words, " ")
	}
	i := r.IntN(len(list))
	return map[string]any{"anchor": with(list[i]), "positive": with(list[i]), "negative": with(list[(i+1)%len(list)])}
}

// scored is two texts, and whether they have the same word.
func scored(r *rand.Rand) any {
	p := paired(r).(map[string]any)
	if r.IntN(2) == 0 {
		return map[string]any{"sentence1": p["anchor"], "sentence2": p["positive"], "score": 5}
	}
	return map[string]any{"sentence1": p["anchor"], "sentence2": p["negative"], "score": 0.5}
}

// targeted is a text and a vector that tells its word.
func targeted(r *rand.Rand) any {
	target := make([]float64, 32)
	list, at := good, 0
	if r.IntN(2) == 0 {
		list, at = bad, 16
	}
	for i := range 16 {
		target[at+i] = 1
	}
	words, _ := sentence(r, list)
	return map[string]any{"text": strings.Join(words, " "), "target": target}
}

// beir writes a collection in BEIR's form: a query is a word, the texts that have it answer it.
func beir(t *testing.T, dir string) string {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	var corpus, queries []string
	qrels := []string{"query-id\tcorpus-id\tscore"}
	line := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for q, word := range append(append([]string{}, good...), bad...) {
		queries = append(queries, line(map[string]any{"_id": fmt.Sprint("q", q), "text": "the " + word}))
		for range 40 {
			words, at := sentence(r, other)
			words[at] = word
			id := fmt.Sprint("d", len(corpus))
			corpus = append(corpus, line(map[string]any{"_id": id, "title": "", "text": strings.Join(words, " ")}))
			qrels = append(qrels, fmt.Sprintf("q%d\t%s\t%d", q, id, 1))
		}
	}
	write(t, corpus, dir, "corpus.jsonl")
	write(t, queries, dir, "queries.jsonl")
	write(t, qrels, dir, "qrels", "dev.tsv")
	return dir
}

// Vectors learn by every loss what texts have in common; the result remembers how they are pooled, and measures as well as in the run.
func TestVectorsAreLearned(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	sts := jsonl(t, 2, 100, scored, dir, "dev.jsonl")
	for _, k := range []struct {
		name, pooling, dev, metric string
		one                        func(r *rand.Rand) any
		loss                       string
		dimensions                 []int
		least                      float64
	}{
		{"mnr", "", sts, "spearman_cosine", paired, "", nil, 0.8},
		{"matryoshka", "max", beir(t, filepath.Join(dir, "beir")), "ndcg@10", paired, "mnr", []int{32, 8}, 0.9},
		{"cosent", "cls", sts, "spearman_cosine", scored, "", nil, 0.8},
		{"cosine", "mean", sts, "spearman_cosine", scored, "cosine", nil, 0.8},
		{"mse", "mean", sts, "spearman_cosine", targeted, "", nil, -1},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := config(t, "embed", m, filepath.Join(dir, "run", k.name), splits{Train: []string{jsonl(t, 1, 800, k.one, dir, k.name+".jsonl")}, Dev: []string{k.dev}})
			c.Loss, c.Pooling, c.Dimensions, c.Steps = k.loss, k.pooling, k.dimensions, 150
			r, err := Run(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if v := r.Runs[0].Value; r.Metric != k.metric || v == nil || *v < k.least {
				t.Fatalf("%s: %s, want %s of at least %v", r.Metric, r.Dev, k.metric, k.least)
			}
			if begin, end := lossesOf(t, c.Output); end > begin/2 {
				t.Errorf("loss %v at the beginning, %v at the end", begin, end)
			}
			again, err := EvaluateVectors(context.Background(), VectorEvaluation{Model: c.Output, Data: []string{k.dev}, Split: dataset.Dev, MaxSeqLength: 64, Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			if v, err := again.Scores.Get(k.metric); err != nil || v != *r.Runs[0].Value {
				t.Errorf("the model reaches %v (%v), the run %v", v, err, *r.Runs[0].Value)
			}
			f, err := formats.Open(c.Output)
			if err != nil {
				t.Fatal(err)
			}
			if p := f.Sentence.Pooling; len(p) != 1 || k.pooling != "" && p[0] != formats.Pooling(k.pooling) || f.Sentence.MaxSeqLength != 64 {
				t.Errorf("pooling %q of %d pieces, want %q of 64", p, f.Sentence.MaxSeqLength, k.pooling)
			}
			var modules []map[string]any
			text, err := os.ReadFile(filepath.Join(c.Output, "model", "modules.json"))
			if err := errors.Join(err, json.Unmarshal(text, &modules)); err != nil || len(modules) != 2 || modules[1]["path"] != "1_Pooling" {
				t.Errorf("modules.json: %s, %v", text, err)
			}
		})
	}
}

// A run in bf16 measures what it learns as albert eval does in bf16: documents are compared in fp32.
func TestRunsInBF16SearchInFP32(t *testing.T) {
	dir := t.TempDir()
	data := beir(t, filepath.Join(dir, "beir"))
	c := config(t, "embed", pretrained(t), filepath.Join(dir, "run"), splits{Train: []string{jsonl(t, 1, 100, paired, dir, "pairs.jsonl")}, Dev: []string{data}})
	c.Steps, c.Precision = 3, "bf16-tile"
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EvaluateVectors(context.Background(),
		VectorEvaluation{Model: c.Output, Data: []string{data}, Split: dataset.Dev, MaxSeqLength: 64, Threads: 1, Precision: "bf16-tile"})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Scores.Get(r.Metric); err != nil || v != *r.Runs[0].Value {
		t.Errorf("%s %v in the run, %v (%v) afterwards", r.Metric, *r.Runs[0].Value, v, err)
	}
}

// lossesOf gives the loss of a run's first step and of its last.
func lossesOf(t *testing.T, output string) (begin, end float64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(output, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var row struct {
			Step  int     `json:"step"`
			Split string  `json:"split"`
			Loss  float64 `json:"loss"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Split == "" {
			if end = row.Loss; row.Step == 1 {
				begin = end
			}
		}
	}
	return begin, end
}

// Batch negatives are those of the whole batch: any micro-batch, any number of threads and any interruption give the same bits.
func TestVectorsHaveTheSameBitsHoweverTheyAreCut(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 400, paired, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 40, scored, dir, "dev.jsonl")}}
	run := func(name string, micro, threads int, change func(*Config)) (string, error) {
		c := config(t, "embed", m, filepath.Join(dir, name), d)
		drop := float32(0.1)
		c.Steps, c.EvalEvery, c.BatchSize, c.MicroBatchSize, c.Threads, c.Dropout, c.BiasCorrection = 8, 2, 300, micro, threads, &drop, true
		if change != nil {
			change(&c)
		}
		if _, err := Run(context.Background(), c); err != nil {
			return "", err
		}
		x, err := formats.Open(c.Output)
		if err != nil {
			return "", err
		}
		return x.Hash(), nil
	}
	want, err := run("whole", 0, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]int{{1, 1}, {8, 2}, {100, 7}, {0, 1}, {0, 7}} {
		if got, err := run(fmt.Sprint(c), c[0], c[1], nil); err != nil || got != want {
			t.Errorf("micro-batches of %d on %d threads: %s (%v), want %s", c[0], c[1], got, err, want)
		}
	}
	c := config(t, "embed", m, filepath.Join(dir, "parts"), d)
	drop := float32(0.1)
	c.Steps, c.EvalEvery, c.BatchSize, c.Dropout, c.BiasCorrection, c.Quiet = 8, 2, 300, &drop, true, false
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		c.Messages = &canceller{after: 3 + 2*i, cancel: cancel}
		_, err := Run(ctx, c)
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
	if got, err := formats.Open(c.Output); err != nil || got.Hash() != want {
		t.Errorf("after interruptions other bits: %v", err)
	}
	c.BiasCorrection = false
	_, err = Run(context.Background(), c)
	mustRefuse(t, "without bias correction", err, "bias-correction")
	c.BiasCorrection, c.Optimizer, c.Output = true, "lamb", filepath.Join(dir, "lamb")
	if _, err = Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "BiasCorrection: lamb has none") {
		t.Errorf("LAMB with bias correction: %v", err)
	}
}

// Bad input for vectors is one line that says what is wrong and where.
func TestBadVectorsAreSaid(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	sts := jsonl(t, 2, 10, scored, dir, "dev.jsonl")
	pair := `{"anchor": "good", "positive": "fine"}`
	long := `{"text": "a", "target": [` + strings.TrimSuffix(strings.Repeat("1,", 32), ",") + `]}`
	for i, c := range []struct {
		rows   []string
		change func(c *Config)
		want   []string
	}{
		{[]string{pair, `{"anchor": "good"}`}, nil, []string{":2: ", "without positive"}},
		{[]string{pair, `{"anchor": "good", "positive": null}`}, nil, []string{":2: ", "without positive"}},
		{[]string{pair, `{"anchor": "good", "positive": ""}`}, nil, []string{":2: ", "without positive"}},
		{[]string{pair, `{"sentence1": "a", "sentence2": "b", "score": 1}`}, nil, []string{":2: ", "scored", "pairs"}},
		{[]string{`{"sentence1": "a", "sentence2": "b", "score": -1}`, `{"sentence1": "a", "sentence2": "b", "score": 7}`}, func(c *Config) { c.Loss = "cosine" }, []string{"-1 to 7", "0 to 1"}},
		{[]string{`{"sentence1": "a", "sentence2": "b", "score": "high"}`}, nil, []string{":1: ", "score", "high"}},
		{[]string{long, `{"text": "a", "target": [1, 2]}`}, nil, []string{":2: ", "2 numbers", "32"}},
		{[]string{`{"text": "a", "target": [1, 2]}`}, nil, []string{":1: ", "2 numbers", "32"}},
		{[]string{`{"text": "a", "target": [1, "x"]}`}, nil, []string{":1: ", "target", "value 2"}},
		{[]string{pair}, func(c *Config) { c.Loss = "cosent" }, []string{"Loss", "score", ":1"}},
		{[]string{pair}, func(c *Config) { c.Dimensions = []int{32, 33} }, []string{"Dimensions 33", "32 values"}},
		{[]string{pair}, func(c *Config) { c.BatchSize = 1 }, []string{"BatchSize 1", "at least 2"}},
		{[]string{pair}, func(c *Config) { c.Dev = c.Train }, []string{":1: ", "score", "corpus.jsonl"}},
		{[]string{pair}, func(c *Config) { c.Dev = nil }, []string{"no dev data"}},
		{[]string{pair}, func(c *Config) { c.Task, c.Loss = "classify", "mnr" }, []string{"Loss", "embed"}},
	} {
		train := write(t, c.rows, dir, fmt.Sprint(i, ".jsonl"))
		conf := config(t, "embed", m, filepath.Join(dir, fmt.Sprint("run", i)), splits{Train: []string{train}, Dev: []string{sts}})
		conf.Steps = 1
		if c.change != nil {
			c.change(&conf)
		}
		_, err := Run(context.Background(), conf)
		if err == nil {
			t.Errorf("%v: no error", c.rows)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v, want %q", c.rows, err, w)
			}
		}
	}
}

// A collection that is broken is refused with the place.
func TestBadCollectionsAreSaid(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       []string
	}{
		{"corpus.jsonl", "", []string{"corpus.jsonl", "empty"}},
		{"corpus.jsonl", `{"_id": "d1", "text": "a"}` + "\n" + `{"_id": "d1", "text": "b"}`, []string{"corpus.jsonl:2: ", `document "d1"`, "line 1"}},
		{"corpus.jsonl", `{"text": "a"}`, []string{"corpus.jsonl:1: ", "without _id"}},
		{"queries.jsonl", `{"_id": "q1", "text": "a"}` + "\n" + `{"_id": "q1", "text": "a"}`, []string{"queries.jsonl:2: ", `query "q1"`}},
		{"qrels/dev.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t1\nq0\tnone\t1\n", []string{"dev.tsv:3: ", `document "none"`}},
		{"qrels/dev.tsv", "none\td0\t1\n", []string{"dev.tsv:1: ", `query "none"`}},
		{"qrels/dev.tsv", "q0\td0\tx\n", []string{"dev.tsv:1: ", `"x"`}},
		{"qrels/dev.tsv", "query-id\tcorpus-id\tscore\n", []string{"dev.tsv", "no judgements"}},
	} {
		dir := beir(t, t.TempDir())
		write(t, []string{c.text}, dir, c.file)
		_, err := loadBenchmark([]string{dir}, dataset.Dev, dataset.Options{})
		if err == nil {
			t.Errorf("%s %q: no error", c.file, c.text)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s %q: %v, want %q", c.file, c.text, err, w)
			}
		}
	}
}

// What a directory of sentence-transformers says of its vectors holds where they are measured; flags say otherwise.
func TestMeasuredVectorsAreThoseOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	sentences := filepath.Join(dir, "sentences")
	plain := pretrained(t)
	if err := os.CopyFS(sentences, os.DirFS(plain)); err != nil {
		t.Fatal(err)
	}
	m, err := formats.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := formats.WriteSentence(sentences, formats.PoolCLS, true, m.Config.HiddenSize, 8); err != nil {
		t.Fatal(err)
	}
	v := VectorEvaluation{Data: []string{jsonl(t, 2, 60, scored, dir, "dev.jsonl")}, Split: dataset.Dev, Threads: 1}
	measure := func(model, pooling string, most int) (float64, string) {
		v.Model, v.Pooling, v.MaxSeqLength = model, pooling, most
		r, err := EvaluateVectors(context.Background(), v)
		if err != nil {
			t.Fatal(err)
		}
		x, err := r.Scores.Get("pearson_cosine")
		if err != nil {
			t.Fatal(err)
		}
		return x, strings.Join(r.Notes, "; ")
	}
	said, notes := measure(sentences, "", 0)
	if want, _ := measure(plain, "cls", 8); math.Abs(said-want) > 1e-6 || !strings.Contains(notes, "texts are cut") {
		t.Errorf("%v, want %v; %q", said, want, notes)
	}
	for name, other := range map[string]struct {
		pooling string
		most    int
	}{"pooling": {"mean", 8}, "length": {"cls", 64}} {
		if x, _ := measure(sentences, other.pooling, other.most); math.Abs(x-said) < 1e-6 {
			t.Errorf("another %s changes nothing", name)
		}
	}
}
