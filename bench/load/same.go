package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	crowd     = 200 // other texts
	longOnes  = 20  // of them, the rest short; none in fp32, where they would take minutes
	crowders  = 16
	sameTexts = 3 // that are asked over each route: a short, a middling, a long one
)

// question is a way to ask a served model about texts.
type question struct {
	path string
	body func(texts []string) []byte
	// pick is the part of an answer that is of text i.
	pick func(answer []byte, i int) (json.RawMessage, error)
}

// heads are models with another configuration and the same tensors as one of those that are made: name, of which, what changes.
var heads = []struct {
	name, of string
	change   map[string]any
}{
	{"tag", "classify", map[string]any{"architectures": []string{"AlbertForTokenClassification"}, "id2label": map[string]string{"0": "B-x", "1": "I-x"}}},
	{"rank", "choose", map[string]any{"architectures": []string{"AlbertForSequenceClassification"}, "id2label": map[string]string{"0": "LABEL_0"},
		"sentence_transformers": map[string]any{"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.1.0"}}},
}

// same compares the bits of answers, alone and among others, over each route.
func same(o *options, r *report) error {
	var models []string
	for _, name := range []string{"base", "classify", "answer", "choose", "fill"} {
		models = append(models, name+"="+filepath.Join(o.models, name))
	}
	for _, h := range heads {
		to := filepath.Join(o.tmp, h.name)
		if err := withConfig(filepath.Join(o.models, h.of), to, h.change); err != nil {
			return err
		}
		models = append(models, h.name+"="+to)
	}
	t := table{Title: "Bits of an answer, alone and among 200 others:", Columns: []string{"precision", "route", "answers", "different"}}
	for _, precision := range o.precision {
		long := longOnes
		if precision == "fp32" {
			long = 0
		}
		texts, err := o.crowdTexts(long)
		if err != nil {
			return err
		}
		for _, first := range []string{"base", "classify", "rank"} { // which answers where a route names none
			list := append([]string{}, models...)
			for i, m := range list {
				if strings.HasPrefix(m, first+"=") {
					list[0], list[i] = list[i], list[0]
				}
			}
			s, err := o.albertServe(strings.Join(list, ","), precision, "--quiet")
			if err != nil {
				return err
			}
			err = o.sameOn(r, &t, s, questions()[first], texts, precision)
			s.stop()
			if err != nil {
				return err
			}
		}
	}
	r.Tables = append(r.Tables, t)
	return nil
}

// crowdTexts are the texts to compare, of all lengths, and then the others, so many of them long; in fp32, where none is, the shortest there are.
func (o *options) crowdTexts(long int) ([]string, error) {
	short, err := o.texts("short")
	if err != nil {
		return nil, err
	}
	mixed, err := o.texts("mixed")
	if err != nil {
		return nil, err
	}
	list := append([]string{}, short[0])
	for class := 1; class < sameTexts; class++ {
		for _, text := range mixed {
			if classOf(text) == class {
				list = append(list, text)
				break
			}
		}
	}
	rest := short[1:]
	if long == 0 {
		slices.SortStableFunc(rest, func(a, b string) int { return len(a) - len(b) })
	}
	return append(list, append(rest[:crowd-long], mixed[len(mixed)-long:]...)...), nil
}

func (o *options) sameOn(r *report, t *table, s *server, list []question, texts []string, precision string) error {
	c, others := client(), texts[sameTexts:]
	alone := make([][]json.RawMessage, len(list))
	for i, q := range list {
		for _, text := range texts[:sameTexts] {
			a := post(c, s.url+q.path, q.body([]string{text}))
			x, err := q.pick(a.body, 0)
			if a.status != 200 || err != nil || bytes.Contains(x, []byte(`{"error"`)) {
				return fmt.Errorf("%s: %d %v %v %.300s", q.path, a.status, a.err, err, a.body)
			}
			alone[i] = append(alone[i], x)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	var load sync.WaitGroup
	load.Go(func() {
		ask(ctx, s.url+"/models/base/pipeline/feature-extraction", inputs(others), crowders, func(answer) {})
	})
	defer load.Wait()
	defer cancel()
	for i, q := range list {
		n, different := 0, 0
		compare := func(k int, x json.RawMessage) {
			if n++; !bytes.Equal(alone[i][k], x) {
				different++
				fmt.Fprintf(os.Stderr, "%s, text %d: %.100s, alone %.100s\n", q.path, k, x, alone[i][k])
			}
		}
		answered := func(texts []string, at func(k int) int, which ...int) error {
			a := post(c, s.url+q.path, q.body(texts))
			for _, k := range which {
				x, err := q.pick(a.body, at(k))
				if a.status != 200 || err != nil {
					return fmt.Errorf("%s: %d %v %v %.300s", q.path, a.status, a.err, err, a.body)
				}
				compare(k, x)
			}
			return nil
		}
		for k, text := range texts[:sameTexts] { // alone in its request, while others ask
			if err := answered([]string{text}, func(int) int { return 0 }, k); err != nil {
				return err
			}
		}
		crowded := append([]string{}, others...)
		for k, text := range texts[:sameTexts] {
			crowded = slices.Insert(crowded, 50*(k+1), text)
		}
		if err := answered(crowded, func(k int) int { return 50 * (k + 1) }, 0, 1, 2); err != nil {
			return err
		}
		t.Rows = append(t.Rows, []string{precision, q.path, fmt.Sprint(n), fmt.Sprint(different)})
		r.must(different == 0, precision+" "+q.path+": other bits", fmt.Sprint(different, " of ", n), "0")
	}
	return nil
}

// inputs are a body for each text.
func inputs(texts []string) (list [][]byte) {
	for _, text := range texts {
		list = append(list, object("inputs", text))
	}
	return list
}

// each is a value for each text.
func each(texts []string, of func(text string) any) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = of(text)
	}
	return list
}

// questions are the ways to ask, by the model that answers where a route names none.
func questions() map[string][]question {
	at := func(path, field string, of func(text string) any, more ...any) question {
		return question{path, func(texts []string) []byte { return object(append([]any{field, each(texts, of)}, more...)...) }, element}
	}
	lines := func(path string, of func(text string) []byte) question {
		return question{path, func(texts []string) []byte {
			var b bytes.Buffer
			for _, text := range texts {
				b.Write(append(of(text), '\n'))
			}
			return b.Bytes()
		}, func(answer []byte, i int) (json.RawMessage, error) {
			all := bytes.Split(answer, []byte("\n"))
			if i >= len(all) {
				return nil, fmt.Errorf("%d lines", len(all))
			}
			return all[i], nil
		}}
	}
	field := func(q question, names ...string) question {
		within := q.pick
		q.pick = func(answer []byte, i int) (json.RawMessage, error) {
			for _, name := range names {
				var m map[string]json.RawMessage
				if err := json.Unmarshal(answer, &m); err != nil {
					return nil, err
				}
				answer = m[name]
			}
			return within(answer, i)
		}
		return q
	}
	plain := func(text string) any { return text }
	similar := func(path string) question {
		return question{path, func(texts []string) []byte {
			return object("inputs", map[string]any{"source_sentence": "a door", "sentences": texts})
		}, element}
	}
	tensor := func(model, output string) question {
		return question{"/v2/models/" + model + "/infer", func(texts []string) []byte {
			return object("inputs", []any{map[string]any{"name": "text", "datatype": "BYTES", "shape": []int{len(texts)}, "data": texts}}, "outputs", []any{map[string]any{"name": output}})
		}, func(answer []byte, i int) (json.RawMessage, error) {
			var a struct {
				Outputs []struct {
					Shape []int
					Data  []json.RawMessage
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil || len(a.Outputs) != 1 || len(a.Outputs[0].Shape) != 2 || i >= a.Outputs[0].Shape[0] {
				return nil, fmt.Errorf("%v: %.200s", err, answer)
			}
			width := a.Outputs[0].Shape[1]
			return json.Marshal(a.Outputs[0].Data[i*width : (i+1)*width])
		}}
	}
	ranked := func(path, texts string, more ...any) question {
		q := at(path, texts, plain, append(more, "query", "a door")...)
		q.pick = byIndex
		return q
	}
	masked := func(text string) any { return text[:min(len(text), 300)] + " [MASK]" }
	line := func(name string, more ...any) func(string) []byte {
		return func(text string) []byte { return object(append([]any{name, text}, more...)...) }
	}
	list := map[string][]question{
		"base": {
			at("/embed", "inputs", plain), at("/", "inputs", plain), at("/invocations", "inputs", plain), at("/embed_all", "inputs", plain), similar("/similarity"),
			field(at(embeddings, "input", plain, "model", "base"), "data"), field(at(embeddings, "input", plain, "model", "base", "encoding_format", "base64"), "data"),
			at("/models/base", "inputs", plain), at("/models/base/pipeline/feature-extraction", "inputs", plain), similar("/models/base/pipeline/sentence-similarity"),
			tensor("base", "embedding"), lines("/models/base/embed", line("text")),
			at("/models/fill", "inputs", masked), lines("/models/fill/fill", func(text string) []byte { return object("text", masked(text)) }),
			at("/models/tag", "inputs", plain), lines("/models/tag/tag", line("text")),
			at("/models/answer", "inputs", func(text string) any { return map[string]any{"question": "who?", "context": text} }),
			lines("/models/answer/answer", line("context", "question", "who?")),
			lines("/models/choose/choose", line("context", "question", "who?", "choices", []string{"a man", "a door"})),
		},
		"classify": {
			at("/predict", "inputs", func(text string) any { return []string{text} }), at("/models/classify", "inputs", plain),
			tensor("classify", "logits"), lines("/models/classify/classify", line("text")),
		},
		"rank": {
			ranked("/rerank", "texts"), field(ranked("/v1/rerank", "documents", "model", "rank"), "results"), field(ranked("/v2/rerank", "documents", "model", "rank"), "results"),
			lines("/models/rank/rank", func(text string) []byte { return object("query", "a door", "texts", []string{text, "b"}) }),
		},
	}
	index := list["base"] // an answer of /v1/embeddings has its index, which differs
	for i, q := range index {
		if q.path == embeddings {
			index[i].pick = func(answer []byte, k int) (json.RawMessage, error) {
				x, err := q.pick(answer, k)
				var m struct{ Embedding json.RawMessage }
				if err == nil {
					err = json.Unmarshal(x, &m)
				}
				return m.Embedding, err
			}
		}
	}
	return list
}

// element is one of a list.
func element(answer []byte, i int) (json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	if i >= len(list) {
		return nil, fmt.Errorf("%d answers", len(list))
	}
	return list[i], nil
}

// byIndex is the score of a ranked list's text.
func byIndex(answer []byte, i int) (json.RawMessage, error) {
	var list []struct {
		Index     int
		Score     json.RawMessage
		Relevance json.RawMessage `json:"relevance_score"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.Index == i {
			return append(x.Score, x.Relevance...), nil
		}
	}
	return nil, fmt.Errorf("no text %d", i)
}

// withConfig copies a model with another configuration.
func withConfig(from, to string, change map[string]any) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	path := filepath.Join(to, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	for name, x := range change {
		config[name] = x
	}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o666)
}
