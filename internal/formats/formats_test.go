package formats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"albert/internal/model"
	"albert/tokenizer"
)

const small = `{"model_type": "albert", "vocab_size": 500, "embedding_size": 8, "hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 20,
"num_hidden_layers": 4, "max_position_embeddings": 32, "hidden_act": "gelu_new", "id2label": {"0": "größer", "1": "n"},
"problem_type": "single_label_classification", "our_own": {"big": 9007199254740993}`

// make makes a random model with a tokenizer; more is added to its configuration.
func makeModel(t *testing.T, class, more string) *Model {
	t.Helper()
	c, err := model.ParseConfig([]byte(small + `, "architectures": ["` + class + `"]` + more + "}"))
	if err != nil {
		t.Fatal(err)
	}
	heads := map[string]model.Heads{model.Bare: {Pooler: true}, model.PreTraining: model.PretrainingHeads, model.MaskedLM: {MLM: true},
		model.SequenceClassification: {Pooler: true, Labels: 2}, model.TokenClassification: {Labels: 2},
		model.QuestionAnswering: {Spans: true}, model.MultipleChoice: {Pooler: true, Labels: 1}}
	m := &Model{Model: model.NewWith(c, heads[class], 3), Path: "made"}
	if m.Tokenizer, err = tokenizer.Open("../../tokenizer/testdata/albert.model"); err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = m.Tokenizer.With(tokenizer.DefaultOptions)
	return m
}

// write writes a model below a directory of the test, and gives the path.
func write(t *testing.T, m *Model, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), to)
	if _, _, err := Write(t.Context(), path, m, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func openModel(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGuess(t *testing.T) {
	for name, want := range map[string]Format{"a/model.safetensors": SafeTensors, "pytorch_model.bin": PyTorch, "x.PT": PyTorch, "a.pth": PyTorch,
		"m.onnx": ONNX, "base.tar.gz": Tar, "base.tgz": Tar, "a/model.ckpt-best": TensorFlow, "model.ckpt-1.index": TensorFlow, "albert-base-v2": HuggingFace} {
		if f := Guess(name); f != want {
			t.Errorf("%s: %s, want %s", name, f, want)
		}
	}
}

// Added tokens are in every format again, and rows without a piece are said.
func TestAddedTokens(t *testing.T) {
	m := makeModel(t, model.MaskedLM, "")
	dir := t.TempDir()
	if err := m.Tokenizer.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	n := m.Tokenizer.VocabSize()
	config := fmt.Sprintf(`{"added_tokens_decoder": {"%d": {"content": "<e1>", "rstrip": true, "special": true}}}`, n)
	if err := os.WriteFile(filepath.Join(dir, tokenizer.ConfigFile), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.Tokenizer, err = tokenizer.Open(dir); err != nil {
		t.Fatal(err)
	}
	text := "a <e1> b"
	want := m.Tokenizer.Encode(text)
	if !slices.Contains(want, int32(n)) {
		t.Fatal(want)
	}
	for _, rows := range []int{n + 1, n + 9} {
		m.Config.VocabSize = rows
		m.Model = model.NewWith(m.Config, model.Heads{MLM: true}, 3)
		for _, to := range []string{"hf", "model.safetensors", "pytorch_model.bin", "m.onnx", "ckpt/model.ckpt-1", "a.tar.gz"} {
			got := openModel(t, write(t, m, to))
			if ids := got.Tokenizer.Encode(text); !slices.Equal(ids, want) {
				t.Errorf("%s: %v, want %v", to, ids, want)
			}
			if said := strings.Contains(strings.Join(got.Notes, "\n"), "pieces, the model "); said != (rows > n+1) {
				t.Errorf("%s: %d rows for %d pieces: %q", to, rows, n+1, got.Notes)
			}
		}
	}
}

// Weights, configuration and tokenizer are the same in every format.
func TestChain(t *testing.T) {
	for class, more := range map[string]string{model.Bare: `, "num_hidden_groups": 2`, model.PreTraining: `, "hidden_act": "gelu"`,
		model.MaskedLM: `, "inner_group_num": 2`, model.SequenceClassification: `, "sharing": "ffn", "inner_group_num": 2`,
		model.TokenClassification: `, "sharing": "none"`, model.QuestionAnswering: `, "sharing": "attention"`,
		model.MultipleChoice: `, "embedding_size": 12, "embedding_projection": false`} {
		t.Run(class, func(t *testing.T) {
			m := makeModel(t, class, more)
			const text = "Größe “A” 1,000 the"
			hash, ids := m.Hash(), m.Tokenizer.Encode(text)
			config, err := m.Config.JSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"hf", "a/pytorch_model.bin", "a/model.ckpt-best", "a.tar.gz", "a/model.onnx", "a/model.safetensors", "b/x.pt", "hf"} {
				path := write(t, m, to)
				if m = openModel(t, path); m.Format != Guess(to) {
					t.Errorf("%s: format %s", to, m.Format)
				}
				if m.Hash() != hash {
					t.Errorf("%s: other weights", to)
				}
				if text, _ := m.Config.JSON(); string(text) != string(config) {
					t.Errorf("%s: configuration\n%s\nwas\n%s", to, text, config)
				}
				if m.Class() != class || !slices.Equal(m.Tokenizer.Encode(text), ids) {
					t.Errorf("%s: class %s, pieces %v, want %v", to, m.Class(), m.Tokenizer.Encode(text), ids)
				}
				c, err := ReadConfig(path)
				if err != nil || c.HiddenSize != 12 {
					t.Errorf("%s: ReadConfig: %v", to, err)
				}
				if tok, err := OpenTokenizer(path); err != nil || !slices.Equal(tok.Encode(text), ids) {
					t.Errorf("%s: OpenTokenizer: %v", to, err)
				}
			}
		})
	}
}

// A clean-up that is not Google's goes through Google's files.
func TestCleanupSurvives(t *testing.T) {
	m := makeModel(t, model.PreTraining, "")
	m.Tokenizer = m.Tokenizer.With(tokenizer.Options{Cleanup: tokenizer.CleanupAlbert, KeepAccents: true})
	want := m.Tokenizer.Options
	for _, to := range []string{"a.tar.gz", "model.ckpt", "hf", "model.onnx"} {
		path := filepath.Join(t.TempDir(), to)
		_, notes, err := Write(t.Context(), path, m, WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := openModel(t, path).Tokenizer.Options; got != want {
			t.Errorf("%s: %+v", to, got)
		}
		if google := strings.Contains(to, "tar") || strings.Contains(to, "ckpt"); google != strings.Contains(strings.Join(notes, " "), "clean-up") {
			t.Errorf("%s: notes %q", to, notes)
		}
	}
}

func TestOpenFS(t *testing.T) {
	m := makeModel(t, model.SequenceClassification, "")
	dir := write(t, m, "deep/hf")
	for _, at := range []string{"hf", "."} {
		root := filepath.Dir(dir)
		if at == "." {
			root = dir
		}
		got, err := OpenFS(os.DirFS(root), at)
		if err != nil || got.Hash() != m.Hash() || got.Tokenizer == nil {
			t.Errorf("%s: %v", at, err)
		}
	}
	bare := fstest.MapFS{}
	for _, name := range []string{model.ConfigFile, model.WeightsFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		bare["m/"+name] = &fstest.MapFile{Data: data}
	}
	if got, err := OpenFS(bare, "m"); err != nil || got.Tokenizer != nil {
		t.Errorf("without a tokenizer: %v", err)
	}
	bare["m/"+model.WeightsFile].Data = bare["m/"+model.WeightsFile].Data[:100]
	if _, err := OpenFS(bare, "m"); err == nil || !strings.HasPrefix(err.Error(), "m/model.safetensors: ") {
		t.Errorf("truncated: %v", err)
	}
	delete(bare, "m/"+model.ConfigFile)
	if _, err := OpenFS(bare, "m"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a configuration: %v", err)
	}
}

// A file put beside the configuration that the model was read with leaves what stands there alone.
func TestBesideItsOwnConfig(t *testing.T) {
	dir := write(t, makeModel(t, model.PreTraining, ""), "hf")
	config := filepath.Join(dir, model.ConfigFile)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "\n\n"...)
	if err := os.WriteFile(config, text, 0o666); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, dir)
	for _, name := range []string{"model.onnx", "pytorch_model.bin"} {
		if _, _, err := Write(t.Context(), filepath.Join(dir, name), m, WriteOptions{}); err != nil {
			t.Error(err)
		}
	}
	if now, _ := os.ReadFile(config); string(now) != string(text) {
		t.Error("config.json was written anew")
	}
}

// tree lists the files below a directory with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var everyName = []string{"hf", "a/model.safetensors", "a/pytorch_model.bin", "a/model.onnx", "a/model.ckpt-best", "a.tar.gz"}

// A model that is there stays, unless forced; forced onto itself it is the same.
func TestNothingIsReplaced(t *testing.T) {
	one, other := makeModel(t, model.PreTraining, ""), makeModel(t, model.PreTraining, `, "hidden_size": 16`)
	for _, to := range everyName {
		path := write(t, one, to)
		before := tree(t, filepath.Dir(path))
		if _, _, err := Write(t.Context(), path, other, WriteOptions{}); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", to, err)
		}
		if !maps.Equal(before, tree(t, filepath.Dir(path))) {
			t.Errorf("%s: changed", to)
		}
		m := openModel(t, path)
		if _, _, err := Write(t.Context(), path, m, WriteOptions{Force: true}); err != nil {
			t.Errorf("%s onto itself: %v", to, err)
		}
		if openModel(t, path).Hash() != one.Hash() {
			t.Errorf("%s onto itself: other weights", to)
		}
		if _, _, err := Write(t.Context(), path, other, WriteOptions{Force: true}); err != nil {
			t.Errorf("%s by force: %v", to, err)
		}
		if m := openModel(t, path); m.Hash() != other.Hash() || m.Config.HiddenSize != 16 {
			t.Errorf("%s by force: not the new model", to)
		}
	}
}

// Weights that would be read in place of the new ones are not left beside them; of the same model they may be.
func TestOtherWeightsBeside(t *testing.T) {
	one, other := makeModel(t, model.PreTraining, ""), makeModel(t, model.PreTraining, "")
	other.MLMBias.Data[0] = 1
	dir := write(t, one, "hf")
	for _, force := range []bool{false, true} {
		_, _, err := Write(t.Context(), filepath.Join(dir, "pytorch_model.bin"), other, WriteOptions{Force: force})
		if err == nil || !strings.Contains(err.Error(), "another model's weights") || exists(dir, "pytorch_model.bin") {
			t.Errorf("force %v: %v", force, err)
		}
	}
	if _, _, err := Write(t.Context(), filepath.Join(dir, "pytorch_model.bin"), one, WriteOptions{}); err != nil {
		t.Error(err)
	}
}

// A model without a tokenizer does not get the one that an older model left in its directory.
func TestStaleTokenizer(t *testing.T) {
	m := makeModel(t, model.PreTraining, "")
	for _, to := range []string{"hf", "a/model.onnx"} {
		path := write(t, m, to)
		bare := makeModel(t, model.MaskedLM, "")
		bare.Tokenizer = nil
		if _, _, err := Write(t.Context(), path, bare, WriteOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		if got := openModel(t, path); got.Tokenizer != nil || got.Hash() != bare.Hash() {
			t.Errorf("%s: the old tokenizer is still there", to)
		}
	}
}

func TestRefusedNames(t *testing.T) {
	m := makeModel(t, model.PreTraining, "")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]WriteOptions{"m.h5": {}, "m.zip": {}, "m.tar": {}, "m.safetensor": {}, "file": {}, "hf": {Int8: true},
		"x": {Format: ONNX}, "y.bin": {Format: SafeTensors}, "z": {Format: Tar}} {
		if _, _, err := Write(t.Context(), filepath.Join(dir, name), m, o); !errors.Is(err, ErrTarget) {
			t.Errorf("%s %+v: %v", name, o, err)
		}
	}
	if list := tree(t, dir); len(list) != 1 {
		t.Errorf("left behind: %v", slices.Collect(maps.Keys(list)))
	}
}

// Where a part cannot be written, the others are taken back.
func TestNothingIsLeftBehind(t *testing.T) {
	m := makeModel(t, model.PreTraining, `, "embedding_size": 12`) // a map where E = H: not to be said in Google's names
	for _, to := range []string{"deep/er/model.ckpt", "deep/a.tar.gz"} {
		dir := t.TempDir()
		_, _, err := Write(t.Context(), filepath.Join(dir, to), m, WriteOptions{})
		if err == nil || !strings.Contains(err.Error(), "Google's code has no map where E = H") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", to, err)
		}
		if exists(dir, "deep") {
			t.Errorf("%s: a directory was left", to)
		}
	}
	dir := t.TempDir()
	parts := append(files(filepath.Join(dir, "deep", "er"), map[string][]byte{"a": {1}, "b": {2}}),
		part{path: filepath.Join(dir, "deep", "er", "c"), write: func(string) error { return errors.New("no space") }})
	if err := writeParts(t.Context(), filepath.Join(dir, "deep", "er"), parts, false); err == nil || exists(dir, "deep") {
		t.Errorf("%v; left: %v", err, tree(t, dir))
	}
}

// Two models with one configuration differ in their architectures alone.
func TestArchitecturesAreSaid(t *testing.T) {
	m := makeModel(t, model.QuestionAnswering, "")
	if err := m.Config.SetExtra("architectures", nil); err != nil {
		t.Fatal(err)
	}
	got := openModel(t, write(t, m, "hf"))
	var list []string
	if err := json.Unmarshal(got.Config.Extra("architectures"), &list); err != nil || !slices.Equal(list, []string{model.QuestionAnswering}) {
		t.Errorf("%v %v", list, err)
	}
}

// typeOf is the type that all of a model's tensors have in its file.
func typeOf(m *Model) string {
	list := slices.Collect(maps.Values(m.DTypes))
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}

// Weights in 16 bits: what was read in them is written in them without a change, and config.json says what they are.
func TestWeightsIn16Bits(t *testing.T) {
	dir := t.TempDir()
	c, err := model.ParseConfig([]byte(`{"model_type":"albert","vocab_size":30,"embedding_size":8,"hidden_size":12,"num_hidden_layers":2,"num_attention_heads":2,
"intermediate_size":16,"max_position_embeddings":16,"hidden_act":"gelu_new","hidden_dropout_prob":0,"attention_probs_dropout_prob":0}`))
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "fp32")
	if err := model.NewWith(c, model.Heads{}, 4).Save(first); err != nil {
		t.Fatal(err)
	}
	write := func(from, to string, d DType) (*Model, []string) {
		t.Helper()
		m, err := Open(filepath.Join(dir, from))
		if err != nil {
			t.Fatal(err)
		}
		_, notes, err := Write(t.Context(), filepath.Join(dir, to), m, WriteOptions{DType: d})
		if err != nil {
			t.Fatal(err)
		}
		if m, err = Open(filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
		return m, notes
	}
	for d, of := range map[DType][2]string{FP16: {"F16", `"float16"`}, BF16: {"BF16", `"bfloat16"`}} {
		name := string(d)
		m, notes := write("fp32", name, d)
		if len(notes) != 1 || !strings.Contains(notes[0], "rounds the weights") {
			t.Errorf("%s: notes %q", d, notes)
		}
		if got := typeOf(m); got != of[0] {
			t.Errorf("%s: %s", d, got)
		}
		if got := string(m.Config.Extra("torch_dtype")); got != of[1] {
			t.Errorf("%s: torch_dtype %s", d, got)
		}
		for _, to := range []string{"again-" + name, name + "/pytorch_model.bin", name + "-st/model.safetensors"} {
			again, notes := write(name, to, KeepDType)
			if again.Hash() != m.Hash() || len(notes) > 0 || typeOf(again) != of[0] {
				t.Errorf("%s to %s: %s, notes %q", d, to, typeOf(again), notes)
			}
		}
		wide, notes := write(name, "wide-"+name, FP32)
		if wide.Hash() != m.Hash() || len(notes) > 0 || typeOf(wide) != "F32" || string(wide.Config.Extra("torch_dtype")) != `"float32"` {
			t.Errorf("%s as fp32: %s, torch_dtype %s", d, typeOf(wide), wide.Config.Extra("torch_dtype"))
		}
	}
	m, err := Open(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"x.onnx", "x.ckpt", "x.tar.gz"} {
		if _, _, err := Write(t.Context(), filepath.Join(dir, to), m, WriteOptions{DType: FP16}); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "written as fp32 only") {
			t.Errorf("%s: %v", to, err)
		}
	}
	values, err := m.Tensors()[0].Float32() // the model's own
	if err != nil {
		t.Fatal(err)
	}
	values[0] = 1e6
	if _, _, err := Write(t.Context(), filepath.Join(dir, "large"), m, WriteOptions{DType: FP16}); err == nil || !strings.Contains(err.Error(), "the value 1e+06 is beyond") {
		t.Error(err)
	}
}

// An interrupt leaves nothing, or what was there before.
func TestAnInterruptLeavesNothing(t *testing.T) {
	for _, to := range []string{"hf", "a/pytorch_model.bin", "b/model.safetensors", "c/model.onnx", "d/model.ckpt-best", "e.tar.gz"} {
		dir := t.TempDir()
		from := filepath.Join(dir, "from")
		c, _ := model.NamedConfig("base")
		c.NumHiddenLayers, c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads, c.VocabSize = 1, 16, 16, 2, 50
		if err := model.NewWith(c, model.Heads{}, 4).Save(from); err != nil {
			t.Fatal(err)
		}
		m, err := Open(from)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, _, err := Write(ctx, filepath.Join(dir, to), m, WriteOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", to, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
			t.Errorf("%s: left behind: %q", to, left)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
			t.Errorf("%s: left behind: %q", to, left)
		}
	}
	var b strings.Builder
	ctx, stop := context.WithCancel(t.Context())
	w := stopping{ctx, &b}
	w.Write([]byte("a"))
	stop()
	if n, err := w.Write([]byte("b")); n != 0 || !errors.Is(err, context.Canceled) || b.String() != "a" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}
