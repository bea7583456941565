package formats

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// makeBERT makes a random BERT of a class.
func makeBERT(t *testing.T, class string) *Model {
	t.Helper()
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
		"max_position_embeddings": 16, "gradient_checkpointing": false, "architectures": ["` + class + `"]}`))
	if err != nil {
		t.Fatal(err)
	}
	heads := map[string]model.Heads{"BertModel": {Pooler: true}, "BertForPreTraining": model.PretrainingHeads, "BertForMaskedLM": {MLM: true},
		"BertForNextSentencePrediction": {Pooler: true, SOP: true}, "BertForSequenceClassification": {Pooler: true, Labels: 3},
		"BertForTokenClassification": {Labels: 3}, "BertForQuestionAnswering": {Spans: true}, "BertForMultipleChoice": {Pooler: true, Labels: 1}}
	return &Model{Model: model.NewWith(c, heads[class], 3), Path: "made"}
}

// A BERT of every class comes back as what it was, from files of both kinds, with its names as they are, without "bert.", with the names
// that normalisations had before transformers, and behind those of training code.
func TestBERTComesBack(t *testing.T) {
	for class, kind := range map[string]model.Kind{"BertModel": model.None, "BertForPreTraining": model.Order, "BertForMaskedLM": model.None,
		"BertForNextSentencePrediction": model.Order, "BertForSequenceClassification": model.Classify, "BertForTokenClassification": model.Tag,
		"BertForQuestionAnswering": model.Answer, "BertForMultipleChoice": model.Choice} {
		m := makeBERT(t, class)
		for _, name := range []func(string) string{
			func(n string) string { return n },
			func(n string) string { return strings.TrimPrefix(n, "bert.") },
			func(n string) string { return "module." + n },
			strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace,
		} {
			for _, file := range []string{"model.safetensors", "pytorch_model.bin"} {
				dir := write(t, m, "hf")
				if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
					t.Fatal(err)
				}
				renameInto(t, filepath.Join(dir, file), m, name)
				got := openModel(t, dir)
				if got.Hash() != m.Hash() || got.Class() != class || got.Kind() != kind || len(got.Unused) > 0 {
					t.Errorf("%s as %s in %s: class %s, kind %q, unused %q", class, name("bert.x.LayerNorm.weight"), file, got.Class(), got.Kind(), got.Unused)
				}
				for _, n := range got.Tensors() {
					if strings.Contains(n.Name, "albert") || strings.Contains(n.Name, "mapping") {
						t.Errorf("tensor %s", n.Name)
					}
				}
			}
		}
	}
}

// A BERT's config.json has the fields of transformers' BertConfig and keeps what it had; ALBERT's own are not in it.
func TestBERTConfig(t *testing.T) {
	m := makeBERT(t, "BertForMaskedLM")
	text, err := os.ReadFile(filepath.Join(write(t, m, "hf"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"embedding_size", "num_hidden_groups", "inner_group_num", "sharing", "embedding_projection", "classifier_dropout_prob"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is %v", name, v)
		}
	}
	for name, want := range map[string]any{"model_type": "bert", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "gradient_checkpointing": false, "classifier_dropout": nil} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// A decoder of masked pieces may stand in a file beside the word table that it repeats; one of its own, which the model cannot have, is
// refused.
func TestBERTDecoderIsTheWordTable(t *testing.T) {
	m := makeBERT(t, "BertForMaskedLM")
	dir := write(t, m, "hf")
	table := slices.Clone(m.Word.Data)
	decoder := safetensors.Float32Tensor("cls.predictions.decoder.weight", m.Word.Shape, table)
	save := func() {
		if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), append(m.Tensors(), decoder), nil); err != nil {
			t.Fatal(err)
		}
	}
	save()
	if got := openModel(t, dir); got.Hash() != m.Hash() || len(got.Unused) > 0 {
		t.Errorf("with a decoder that repeats the word table: unused %q", got.Unused)
	}
	table[7]++
	save()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "cls.predictions.decoder.weight differs from the word table") {
		t.Error(err)
	}
}

// What cannot hold a BERT says so.
func TestBERTFormats(t *testing.T) {
	for _, to := range []string{"m.onnx", "model.ckpt-1", "m.tar.gz"} {
		_, _, err := Write(t.Context(), filepath.Join(t.TempDir(), to), makeBERT(t, "BertModel"), WriteOptions{})
		if !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", to, err)
		}
	}
}
