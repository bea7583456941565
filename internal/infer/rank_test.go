package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"albert/internal/model"
	"albert/tokenizer"
)

// scorer is a random BERT that classifies pairs, with further fields of config.json, and files beside it by name.
func scorer(t *testing.T, outputs int, fields map[string]any, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
		"intermediate_size": 12, "max_position_embeddings": 16, "initializer_range": 0.9, "architectures": ["BertForSequenceClassification"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range fields {
		if err := c.SetExtra(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := model.NewWith(c, model.Heads{Pooler: true, Labels: outputs}, 5).Save(dir); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nq\n:\n##a\nB\n"}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func opened(t *testing.T, dir string, o Options) *Model {
	t.Helper()
	o.Threads = 2
	m, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// all gathers answers, or the errors in their places.
func all[A any](t *testing.T, answers iter.Seq2[A, error], err error) (list []A, errs []error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for a, err := range answers {
		list, errs = append(list, a), append(errs, err)
	}
	return list, errs
}

var sigmoidKey = map[string]any{"sentence_transformers": map[string]any{"activation_fn": "torch.nn.modules.activation.Sigmoid"}}

// Each text has the score of its pair, bit for bit, whatever else is asked; the best come first, equal ones in their order; a question at fault fails
// alone.
func TestRank(t *testing.T) {
	m := opened(t, scorer(t, 1, sigmoidKey, nil), Options{})
	texts := []string{"a b", "", "c", "a b", "b b b c c c a a a a a a b b b b"}
	var questions []*Question
	for i, text := range texts {
		questions = append(questions, &Question{Text: "a q", Pair: &texts[i]}, &Question{Text: text, Texts: texts})
	}
	questions = append(questions, &Question{Text: "a", Texts: []string{}}, &Question{Text: "a"}, &Question{Text: "a q", Texts: texts}, &Question{Err: errors.New("unread")},
		&Question{Text: "a", Texts: texts, Whole: true})
	answers, err := m.Rank(context.Background(), slices.Values(questions))
	list, errs := all(t, answers, err)
	if len(list) != len(questions) {
		t.Fatalf("%d answers", len(list))
	}
	for i := range questions {
		want := map[int]string{10: "no texts to rank", 11: `want {"query"`, 13: "unread", 14: "longer than the model takes"}[i]
		if (errs[i] == nil) != (want == "") || want != "" && !strings.Contains(errs[i].Error(), want) {
			t.Errorf("question %d: %v, want %q", i, errs[i], want)
		}
	}
	r := list[12]
	if len(r.Ranked) != len(texts) || !r.Truncated || list[0].Truncated {
		t.Fatalf("%+v", r)
	}
	for i, x := range r.Ranked {
		one := list[2*x.Index]
		if x.Score != one.Ranked[0].Score || math.Abs(float64(x.Score)-1/(1+math.Exp(-float64(one.Logits[0])))) > 1e-6 || r.Logits[x.Index] != one.Logits[0] {
			t.Errorf("text %d: %v, alone %+v", x.Index, x.Score, one)
		}
		if i > 0 && (x.Score > r.Ranked[i-1].Score || x.Score == r.Ranked[i-1].Score && x.Index < r.Ranked[i-1].Index) {
			t.Errorf("not best first: %+v", r.Ranked)
		}
	}
}

// A query has any number of texts in the memory of a few batches: were all laid out at once, these would take 128 MB.
func TestTextsAreLaidOutOneByOne(t *testing.T) {
	m := opened(t, scorer(t, 1, sigmoidKey, nil), Options{})
	const texts = 2000
	heap := func() int {
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		return int(now.HeapAlloc)
	}
	before, most := heap(), 0
	answers, err := eachPaired(context.Background(), m, slices.Values([]*Question{{}}), nil, func(p *paired) {
		p.n, p.encode = texts, func(i int) (tokenizer.Encoding, error) {
			if i%200 == 199 {
				most = max(most, heap()-before)
			}
			return tokenizer.Encoding{IDs: make([]int32, 16, 1<<14), Types: make([]int32, 16)}, nil
		}
	}, func(p *paired) int { return len(p.logits) })
	list, errs := all(t, answers, err)
	if len(list) != 1 || errs[0] != nil || list[0] != texts {
		t.Fatal(list, errs)
	}
	if most > 64<<20 {
		t.Errorf("%d MB for %d texts", most>>20, texts)
	}
}

// A caller that ends early ends the work, and gets the reason.
func TestRankStops(t *testing.T) {
	m := opened(t, scorer(t, 1, sigmoidKey, nil), Options{})
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	because := errors.New("enough")
	answers, err := m.Rank(ctx, func(yield func(*Question) bool) {
		for yield(&Question{Text: "a", Texts: []string{"b", "c"}}) {
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	n, last := 0, error(nil)
	for _, last = range answers {
		if n++; n == 5 {
			cancel(because)
		}
	}
	if n < 5 || !errors.Is(last, because) {
		t.Errorf("%d answers, the last error %v", n, last)
	}
}

// What CrossEncoder reads is read: the activation by every key, the length of pairs; what it has and we have not is refused in one line.
func TestCrossEncoderDirectories(t *testing.T) {
	identity := "torch.nn.modules.linear.Identity"
	saved := func(more string) map[string]string {
		return map[string]string{"modules.json": `[{"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}` + more + `]`,
			"config_sentence_transformers.json": `{"model_type": "CrossEncoder", "activation_fn": "` + identity + `", "prompts": {}, "default_prompt_name": null}`,
			"tokenizer_config.json":             `{"model_max_length": 7}`}
	}
	prompted := saved("")
	prompted["config_sentence_transformers.json"] = `{"model_type": "CrossEncoder", "default_prompt_name": "query", "prompts": {"query": "q: "}}`
	long := "a a a a a a a a a a a a"
	for name, c := range map[string]struct {
		fields   map[string]any
		files    map[string]string
		identity bool
		pieces   int
		wrong    string
	}{
		"sigmoid":    {sigmoidKey, nil, false, 16, ""},
		"no name":    {map[string]any{"sentence_transformers": map[string]any{"version": "4.0.1"}}, nil, false, 16, ""},
		"identity":   {map[string]any{"sentence_transformers": map[string]any{"activation_fn": identity}}, map[string]string{"tokenizer_config.json": `{"model_max_length": 1e30}`}, true, 16, ""},
		"older":      {map[string]any{"sbert_ce_default_activation_function": identity}, nil, true, 16, ""},
		"saved":      {nil, saved(""), true, 7, ""},
		"activation": {map[string]any{"sentence_transformers": map[string]any{"activation_fn": "torch.nn.Tanh"}}, nil, false, 0, `"torch.nn.Tanh", only Sigmoid and Identity`},
		"modules":    {nil, saved(`, {"path": "1_Dense", "type": "sentence_transformers.base.modules.dense.Dense"}`), false, 0, "Transformer alone"},
		"prompts":    {nil, prompted, false, 0, `default_prompt_name is "query"`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Open(scorer(t, 1, c.fields, c.files), Options{Threads: 1})
			var answers iter.Seq2[Ranking, error]
			if err == nil {
				defer m.Close()
				if m.Kind != model.Rank {
					t.Fatalf("kind %q", m.Kind)
				}
				answers, err = m.Rank(context.Background(), slices.Values([]*Question{{Text: "a", Texts: []string{long, "b"}}}))
			}
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.wrong)
				}
				return
			}
			list, errs := all(t, answers, err)
			if errs[0] != nil || m.pairPieces() != c.pieces {
				t.Fatalf("%d pieces, %v", m.pairPieces(), errs)
			}
			for _, x := range list[0].Ranked {
				want := float64(list[0].Logits[x.Index])
				if !c.identity {
					want = 1 / (1 + math.Exp(-want))
				}
				if math.Abs(float64(x.Score)-want) > 1e-6 {
					t.Errorf("score %v, want %v", x.Score, want)
				}
			}
		})
	}
	if m := opened(t, scorer(t, 3, sigmoidKey, nil), Options{}); m.Kind != model.Classify {
		t.Errorf("three outputs: kind %q", m.Kind)
	}
	if m := opened(t, scorer(t, 1, nil, nil), Options{}); m.Kind != model.Regress {
		t.Errorf("one output of nobody's: kind %q", m.Kind)
	} else if _, err := m.Rank(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "cannot rank") {
		t.Error(err)
	}
}

// Scores are those of transformers' pipeline: the softmax of entailment over labels, or against what it takes for contradiction; equal ones come last
// first; which output is entailment says the first label that begins so, in any case.
func TestZeroShot(t *testing.T) {
	for _, names := range [][]string{{"contradiction", "neutral", "entailment"}, {"ENTAILMENT", "neutral", "contradiction"}, {"no", "Entails", "other"}, {"entailment", "not_entailment"}} {
		t.Run(strings.Join(names, "-"), func(t *testing.T) {
			id2label, label2id := map[string]string{}, map[string]int{}
			for i, n := range names {
				id2label[fmt.Sprint(i)], label2id[n] = n, i
			}
			entailment := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(strings.ToLower(n), "entail") })
			against := 0
			if entailment == 0 {
				against = len(names) - 1
			}
			for _, fields := range []map[string]any{{"id2label": id2label, "label2id": label2id}, {"id2label": id2label}} {
				m := opened(t, scorer(t, len(names), fields, nil), Options{})
				labels := []string{"a", "c", "b", "a"}
				var pairs []*Question
				for _, l := range labels {
					hypothesis := "q " + l + " :"
					pairs = append(pairs, &Question{Text: "b a c", Pair: &hypothesis})
				}
				answers, err := m.Classify(context.Background(), slices.Values(pairs), false)
				logits, _ := all(t, answers, err)
				for _, o := range []ZeroShotOptions{{Labels: labels}, {Labels: labels, MultiLabel: true}, {Labels: labels[:1]}} {
					o.Template = "q {} :"
					answers, err := m.ZeroShot(context.Background(), slices.Values([]*Question{{Text: "b a c"}}), o)
					list, errs := all(t, answers, err)
					if errs[0] != nil {
						t.Fatal(errs)
					}
					sum := 0.0
					for i := range o.Labels {
						sum += math.Exp(float64(logits[i].Logits[entailment]))
					}
					want := map[string]float64{}
					for i, l := range o.Labels {
						e := math.Exp(float64(logits[i].Logits[entailment]))
						if want[l] = e / sum; o.MultiLabel || len(o.Labels) == 1 {
							want[l] = e / (e + math.Exp(float64(logits[i].Logits[against])))
						}
					}
					for i, x := range list[0].Labels {
						if math.Abs(float64(x.Score)-want[x.Label]) > 1e-6 || i > 0 && x.Score > list[0].Labels[i-1].Score {
							t.Errorf("%+v, want %v", list[0].Labels, want)
						}
					}
				}
			}
		})
	}

	m := opened(t, scorer(t, 3, map[string]any{"id2label": map[string]string{"0": "contradiction", "1": "neutral", "2": "entailment"}}, nil), Options{})
	pair, long := "b", strings.Repeat("a ", 40)
	answers, err := m.ZeroShot(context.Background(), slices.Values([]*Question{{Text: long}, {Text: "a", Pair: &pair}, {Text: "a", Texts: []string{"b"}}, {Text: long, Whole: true}}),
		ZeroShotOptions{Labels: []string{"a", "b"}, Template: "{}"})
	list, errs := all(t, answers, err)
	if errs[0] != nil || !list[0].Truncated {
		t.Errorf("a long text: %+v, %v", list[0], errs[0])
	}
	for i, want := range []string{"one text", "one text", "longer than the model takes"} {
		if errs[i+1] == nil || !strings.Contains(errs[i+1].Error(), want) {
			t.Errorf("question %d: %v, want %q", i+1, errs[i+1], want)
		}
	}
	answers, err = m.ZeroShot(context.Background(), slices.Values([]*Question{{Text: "a"}}), ZeroShotOptions{Labels: []string{long}})
	if _, errs := all(t, answers, err); errs[0] == nil || !strings.Contains(errs[0].Error(), "label") {
		t.Errorf("a label longer than the model takes: %v", errs)
	}
	for _, c := range []struct {
		m    *Model
		o    ZeroShotOptions
		want string
	}{
		{m, ZeroShotOptions{}, "no labels"},
		{m, ZeroShotOptions{Labels: []string{"a"}, Template: "this"}, "want {} once"},
		{m, ZeroShotOptions{Labels: []string{"a"}, Template: "{} and {}"}, "want {} once"},
		{m, ZeroShotOptions{Labels: []string{"a"}, Template: "{0}"}, "want {} once"},
		{opened(t, scorer(t, 3, nil, nil), Options{}), ZeroShotOptions{Labels: []string{"a"}}, `none of its labels (LABEL_0, LABEL_1, LABEL_2) begins with "entail"`},
		{opened(t, scorer(t, 1, sigmoidKey, nil), Options{}), ZeroShotOptions{Labels: []string{"a"}}, "entailment"},
	} {
		if _, err := c.m.ZeroShot(context.Background(), nil, c.o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}
