package infer

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/model"
)

const sentenceWidth = 8

// sentences is a directory of sentence-transformers with a random BERT; files are written beside it, by name.
func sentences(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
		"intermediate_size": 12, "max_position_embeddings": 16, "initializer_range": 0.5}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := model.NewWith(c, model.Heads{Pooler: true}, 5).Save(dir); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nq\n:\n##a\nB\n", "1_Pooling/config.json": "{}",
		"modules.json": `[{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]`}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// modules is modules.json with further modules, by their kinds, each in a directory of its kind's name.
func modules(kinds ...string) string {
	list := `[{"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
		{"path": "1_Pooling", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"}`
	for _, k := range kinds {
		list += `, {"path": "` + k + `", "type": "sentence_transformers.models.` + k + `"}`
	}
	return list + "]"
}

// embed gives a text's vectors.
func embed(t *testing.T, dir, text string, o EmbedOptions) ([][]float32, bool) {
	t.Helper()
	m, err := Open(dir, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	answers, err := m.Embed(context.Background(), slices.Values([]*Question{{Text: text}}), o)
	if err != nil {
		t.Fatal(err)
	}
	for a, err := range answers {
		if err != nil {
			t.Fatal(err)
		}
		if n := len(a.Vectors[0]); n != m.Dimensions(o) && o.Pooling != PoolNone {
			t.Errorf("%d values, Dimensions says %d", n, m.Dimensions(o))
		}
		return a.Vectors, a.Truncated
	}
	return nil, false
}

func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d < 1e-6) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// pooled makes one value of each column of rows.
func pooled(rows [][]float32, f func(column []float64) float64) []float32 {
	out := make([]float32, sentenceWidth)
	for i := range out {
		var column []float64
		for _, r := range rows {
			column = append(column, float64(r[i]))
		}
		out[i] = float32(f(column))
	}
	return out
}

func sum(c []float64) (s float64) {
	for _, x := range c {
		s += x
	}
	return s
}

func weighted(first int) func([]float64) float64 {
	return func(c []float64) float64 {
		var s, n float64
		for i, x := range c {
			s, n = s+x*float64(first+i), n+float64(first+i)
		}
		return s / n
	}
}

var poolings = map[string]func([]float64) float64{
	"cls": func(c []float64) float64 { return c[0] }, "max": slices.Max[[]float64], "mean": func(c []float64) float64 { return sum(c) / float64(len(c)) },
	"mean_sqrt_len_tokens": func(c []float64) float64 { return sum(c) / math.Sqrt(float64(len(c))) },
	"weightedmean":         weighted(1), "lasttoken": func(c []float64) float64 { return c[len(c)-1] },
}

// Every pooling of a directory is obeyed, by its old key and by its new name, and several give their vectors one after another.
func TestSentencePoolings(t *testing.T) {
	keys := map[string]string{"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
		"weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}
	for name, f := range poolings {
		for _, text := range []string{`{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": false, "pooling_mode_` + keys[name] + `": true}`,
			`{"embedding_dimension": 8, "pooling_mode": "` + name + `", "include_prompt": true}`} {
			dir := sentences(t, map[string]string{"1_Pooling/config.json": text})
			rows, _ := embed(t, dir, "a b ca", EmbedOptions{Layer: -1, Pooling: PoolNone})
			got, _ := embed(t, dir, "a b ca", EmbedOptions{Layer: -1})
			if strings.Contains(text, `tokens": false, "pooling_mode_mean_tokens`) { // the key is there twice: the last counts
				continue
			}
			near(t, text, got[0], pooled(rows, f))
		}
	}
	dir := sentences(t, map[string]string{"1_Pooling/config.json": `{"pooling_mode": ["max", "cls"]}`})
	rows, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1, Pooling: PoolNone})
	got, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1})
	near(t, "two", got[0], append(pooled(rows, poolings["max"]), pooled(rows, poolings["cls"])...))
	got, _ = embed(t, dir, "a b", EmbedOptions{Layer: -1, Pooling: PoolMean})
	near(t, "a pooling of one's own", got[0], pooled(rows, poolings["mean"]))
}

// Prompts are put before the text; their pieces are pooled unless include_prompt says otherwise.
func TestSentencePrompts(t *testing.T) {
	prompts := `{"prompts": {"query": "q: ", "none": ""}, "default_prompt_name": "query"}`
	for name, f := range poolings {
		dir := sentences(t, map[string]string{"config_sentence_transformers.json": prompts,
			"1_Pooling/config.json": `{"pooling_mode": "` + name + `", "include_prompt": false}`})
		rows, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1, Pooling: PoolNone, PromptName: "query"})
		if len(rows) != 6 { // [CLS] q : a b [SEP]
			t.Fatalf("%d rows", len(rows))
		}
		if name == "weightedmean" {
			f = weighted(4)
		}
		for what, o := range map[string]EmbedOptions{"default": {}, "name": {PromptName: "query"}, "text": {Prompt: new("q:")}} {
			o.Layer = -1
			got, _ := embed(t, dir, "a b", o)
			near(t, name+" by "+what, got[0], pooled(rows[3:], f))
		}
	}
	dir := sentences(t, map[string]string{"config_sentence_transformers.json": prompts})
	with, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1})
	without, _ := embed(t, dir, "q: a b", EmbedOptions{Layer: -1, PromptName: "none"})
	near(t, "prompt", with[0], without[0])
}

// Dense, Normalize, max_seq_length, do_lower_case and truncate_dim are obeyed, and flags override.
func TestSentenceModules(t *testing.T) {
	files := map[string]string{"modules.json": modules("Dense", "Normalize"), "sentence_bert_config.json": `{"max_seq_length": 4, "do_lower_case": true}`,
		"tokenizer_config.json": `{"do_lower_case": false}`,
		"Dense/config.json":     `{"in_features": 8, "out_features": 3, "bias": true, "activation_function": "torch.nn.modules.activation.ReLU"}`}
	dir := sentences(t, files)
	weight, bias := make([]float32, 24), []float32{0.25, 0.5, -9}
	for i := range weight {
		weight[i] = float32(i%5) / 8
	}
	if err := safetensors.Write(filepath.Join(dir, "Dense", "model.safetensors"), []safetensors.Tensor{safetensors.Float32Tensor("linear.weight", []int{3, 8}, weight),
		safetensors.Float32Tensor("linear.bias", []int{3}, bias)}, nil); err != nil {
		t.Fatal(err)
	}
	all, cut := embed(t, dir, "a B c", EmbedOptions{Layer: -1, Pooling: PoolNone})
	lower, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1, Pooling: PoolNone})
	if len(all) != 4 || !cut || !slices.Equal(all[2], lower[2]) {
		t.Errorf("%d pieces, cut %v", len(all), cut)
	}
	if rows, _ := embed(t, dir, "a B c", EmbedOptions{Layer: -1, Pooling: PoolNone, MaxSeqLength: 16}); len(rows) != 5 {
		t.Errorf("%d pieces with another length", len(rows))
	}
	mean := pooled(all, poolings["mean"])
	dense := make([]float32, 3)
	for o := range dense {
		s := float64(bias[o])
		for i, x := range mean {
			s += float64(weight[o*8+i]) * float64(x)
		}
		dense[o] = float32(max(0, s))
	}
	unit := func(v []float32) []float32 {
		var n float64
		for _, x := range v {
			n += float64(x) * float64(x)
		}
		out := slices.Clone(v)
		for i := range out {
			out[i] /= float32(math.Sqrt(n))
		}
		return out
	}
	for what, c := range map[string]struct {
		o    EmbedOptions
		want []float32
	}{"all": {EmbedOptions{}, unit(dense)}, "no-normalize": {EmbedOptions{Normalize: new(false)}, dense}, "dimensions": {EmbedOptions{Dimensions: 2}, unit(dense[:2])}} {
		c.o.Layer = -1
		got, _ := embed(t, dir, "a B c", c.o)
		near(t, what, got[0], c.want)
	}
	kept := sentences(t, map[string]string{"config_sentence_transformers.json": `{"truncate_dim": 5}`})
	if got, _ := embed(t, kept, "a", EmbedOptions{Layer: -1}); len(got[0]) != 5 {
		t.Errorf("truncate_dim: %d values", len(got[0]))
	}
}

// The model may lie in a directory of its own below that of modules.json.
func TestSentenceTransformerDirectory(t *testing.T) {
	dir := sentences(t, nil)
	want, _ := embed(t, dir, "a b", EmbedOptions{Layer: -1})
	moved := t.TempDir()
	if err := os.Rename(dir, filepath.Join(moved, "0_Transformer")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"modules.json", "1_Pooling"} {
		if err := os.Rename(filepath.Join(moved, "0_Transformer", name), filepath.Join(moved, name)); err != nil {
			t.Fatal(err)
		}
	}
	text := `[{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]`
	if err := os.WriteFile(filepath.Join(moved, "modules.json"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	got, _ := embed(t, moved, "a b", EmbedOptions{Layer: -1})
	near(t, "moved", got[0], want[0])
}

// What is not understood is refused, by file and name.
func TestSentenceErrors(t *testing.T) {
	for want, files := range map[string]map[string]string{
		`modules.json: module 2 is "sentence_transformers.models.LSTM": only Transformer, Pooling, Dense and Normalize are known`: {"modules.json": modules("LSTM")},
		`modules.json: module 0 is "my.Encoder": want a Transformer first`:                                                        {"modules.json": `[{"path": "", "type": "my.Encoder"}]`},
		`modules.json: no Pooling in it`:                                                               {"modules.json": `[{"path": "", "type": "sentence_transformers.models.Transformer"}]`},
		`modules.json: module 0: the path "../x" leads out of the directory`:                           {"modules.json": `[{"path": "../x", "type": "sentence_transformers.models.Transformer"}]`},
		`modules.json: invalid character`:                                                              {"modules.json": "x"},
		`1_Pooling/config.json: pooling_mode is "max", but the older keys pooling_mode_* say ["mean"]`: {"1_Pooling/config.json": `{"pooling_mode": "max", "pooling_mode_mean_tokens": true}`},
		`1_Pooling/config.json: the pooling "median" is not known`:                                     {"1_Pooling/config.json": `{"pooling_mode": "median"}`},
		`1_Pooling/config.json: pooling_mode_median is not known`:                                      {"1_Pooling/config.json": `{"pooling_mode_median": true}`},
		`1_Pooling/config.json: word_embedding_dimension is 9, the model's vectors have 8 values`:      {"1_Pooling/config.json": `{"word_embedding_dimension": 9}`},
		`Dense/config.json: in_features is 9, what comes before it gives 8 values`:                     {"modules.json": modules("Dense"), "Dense/config.json": `{"in_features": 9, "out_features": 3}`},
		`Dense/config.json: activation_function is "x.Mish": want one of GELU, Identity, ReLU, Tanh`:   {"modules.json": modules("Dense"), "Dense/config.json": `{"in_features": 8, "out_features": 3, "activation_function": "x.Mish"}`},
		`Dense/config.json: is missing, though modules.json names the module`:                          {"modules.json": modules("Dense")},
		`config_sentence_transformers.json: default_prompt_name is "q", which prompts does not have`:   {"config_sentence_transformers.json": `{"default_prompt_name": "q"}`},
		`config_sentence_transformers.json: truncate_dim is 9, the vectors have 8 values`:              {"config_sentence_transformers.json": `{"truncate_dim": 9}`},
		`sentence_bert_config.json: max_seq_length is 1: want at least 2`:                              {"sentence_bert_config.json": `{"max_seq_length": 1}`},
	} {
		if _, err := Open(sentences(t, files), Options{Threads: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	m, err := Open(sentences(t, map[string]string{"config_sentence_transformers.json": `{"prompts": {"query": "q"}}`}), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for want, o := range map[string]EmbedOptions{`prompt "x": the model has ["query"]`: {PromptName: "x"}, "dimensions 9: the vectors have 8": {Dimensions: 9},
		"a prompt and the name of one are given": {PromptName: "query", Prompt: new("a")}} {
		if _, err := m.Embed(context.Background(), nil, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
