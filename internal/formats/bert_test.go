package formats

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
	"albert/tokenizer"
)

// makeBERT makes a random BERT of a class; more is added to its configuration.
func makeBERT(t *testing.T, class string, more ...string) *Model {
	t.Helper()
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
		"max_position_embeddings": 16, "gradient_checkpointing": false, "architectures": ["` + class + `"]` + strings.Join(more, "") + `}`))
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

// Weights, configuration and tokenizer of a BERT of every class are the same in every format, one after another.
func TestBERTChain(t *testing.T) {
	for class, more := range map[string]string{"BertModel": "", "BertForPreTraining": `, "hidden_act": "gelu_new", "type_vocab_size": 3`, "BertForMaskedLM": `, "hidden_act": "relu"`,
		"BertForNextSentencePrediction": `, "layer_norm_eps": 1e-5`, "BertForSequenceClassification": `, "classifier_dropout": 0.3, "problem_type": "multi_label_classification"`,
		"BertForTokenClassification": `, "hidden_act": "gelu_new", "our_own": {"big": 9007199254740993}`, "BertForQuestionAnswering": "", "BertForMultipleChoice": `, "hidden_act": "gelu_new"`} {
		t.Run(class, func(t *testing.T) {
			m := makeBERT(t, class, more)
			for _, p := range m.Params.List { // biases and norms of a new model are alike
				for i := range p.Data {
					p.Data[i] += float32(i%5) / 8
				}
			}
			m.Params.Touch()
			m.Tokenizer = wordPieces(t, class)
			const text = "The Größe A, b"
			hash, ids := m.Hash(), m.Tokenizer.Encode(text)
			config, err := m.Config.JSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"hf", "a/pytorch_model.bin", "a/bert_model.ckpt", "a.tar.gz", "a/model.onnx", "a/model.safetensors", "b/x.pt", "hf"} {
				path := write(t, m, to)
				if m = openModel(t, path); m.Format != Guess(to) {
					t.Errorf("%s: format %s", to, m.Format)
				}
				if m.Hash() != hash || len(m.Unused) > 0 {
					t.Errorf("%s: other weights; unused %q", to, m.Unused)
				}
				if text, _ := m.Config.JSON(); string(text) != string(config) {
					t.Errorf("%s: configuration\n%s\nwas\n%s", to, text, config)
				}
				if m.Class() != class || !slices.Equal(m.Tokenizer.Encode(text), ids) {
					t.Errorf("%s: class %s, pieces %v, want %v", to, m.Class(), m.Tokenizer.Encode(text), ids)
				}
			}
		})
	}
}

// wordPieces is a small WordPiece, cased for some classes.
func wordPieces(t *testing.T, class string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.NewWordPiece([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nThe\na\nA\n,\nb\ngro\nGr\n##ö\n##ße\n"), tokenizer.Options{Lower: len(class)%2 == 0, KeepAccents: true})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// googleBERT writes Google's files of a BERT, and gives the directory and the text of bert_config.json.
func googleBERT(t *testing.T) (dir, config string) {
	t.Helper()
	m := makeBERT(t, "BertForPreTraining", `, "hidden_act": "gelu_new"`)
	m.Tokenizer = wordPieces(t, "even")
	m.Tokenizer = m.Tokenizer.With(tokenizer.Options{Lower: true})
	dir = filepath.Dir(write(t, m, "google/bert_model.ckpt"))
	text, err := os.ReadFile(filepath.Join(dir, "bert_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(text)
}

// Google's files of a BERT are opened by checkpoint and by directory: gelu is by tanh unless model_type says that it is transformers', and text is
// lowered, which a note says where the vocabulary has capitals.
func TestGooglesBERT(t *testing.T) {
	dir, text := googleBERT(t)
	for _, has := range []string{`"hidden_act": "gelu"`, `"intermediate_size": 20`} {
		if !strings.Contains(text, has) {
			t.Errorf("no %s in %s", has, text)
		}
	}
	for _, not := range []string{"model_type", "embedding_size", "sharing"} {
		if strings.Contains(text, `"`+not+`"`) {
			t.Errorf("%s in %s", not, text)
		}
	}
	archive, err := os.Create(filepath.Join(dir, "cased_L-2_H-12_A-3.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(archive)
	for _, name := range []string{"bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "vocab.txt"} {
		w, err := z.Create("cased_L-2_H-12_A-3/" + name)
		data, e := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil || e != nil {
			t.Fatal(err, e)
		}
	}
	if err := errors.Join(z.Close(), archive.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "bert_model.ckpt", "bert_model.ckpt.index", "cased_L-2_H-12_A-3.zip"} {
		m := openModel(t, filepath.Join(dir, name))
		notes := strings.Join(m.Notes, "\n")
		if m.Config.HiddenAct != "gelu_new" || !m.Config.IsBERT() || !m.Tokenizer.Lower || !strings.Contains(notes, "by tanh") || !strings.Contains(notes, "capital letters") {
			t.Errorf("%s: %+v, %q", name, m.Config, m.Notes)
		}
	}
	if tok, err := OpenTokenizer(filepath.Join(dir, "cased_L-2_H-12_A-3.zip")); err != nil || tok.Type() != "wordpiece" {
		t.Errorf("the archive's tokenizer: %v", err)
	}
	// The file alone is a configuration of a BERT; so is one of an older release of transformers, whose gelu is by erf.
	c, err := model.ReadConfig(filepath.Join(dir, "bert_config.json"))
	if err != nil || !c.IsBERT() || c.HiddenAct != "gelu_new" {
		t.Errorf("bert_config.json: %+v, %v", c, err)
	}
	old := write(t, openModel(t, dir), "hf")
	plain := strings.Replace(text, `"architectures": [`, `"were": [`, 1)
	if err := os.WriteFile(filepath.Join(old, "config.json"), []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := openModel(t, old); !m.Config.IsBERT() || m.Config.HiddenAct != "gelu" {
		t.Errorf("without model_type: %+v", m.Config)
	}
	typed := strings.Replace(text, "{", `{"model_type": "bert",`, 1)
	if err := os.WriteFile(filepath.Join(dir, "bert_config.json"), []byte(typed), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := openModel(t, dir); m.Config.HiddenAct != "gelu" {
		t.Errorf("with model_type: %+v", m.Config)
	}
}

// Models of other families are refused by their name, in one line that names the file: by model_type, by architectures, by their tensors' names.
func TestOtherFamiliesAreRefusedByName(t *testing.T) {
	m := makeBERT(t, "BertForMaskedLM")
	dir := write(t, m, "hf")
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"roberta", "distilbert", "deberta-v2", "deberta", "xlm-roberta", "electra", "mpnet", "modernbert"} {
		text := strings.Replace(string(config), `"model_type": "bert"`, `"model_type": "`+kind+`"`, 1)
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, `model_type is "`+kind+`"`, "config.json")
	}
	text := strings.Replace(strings.Replace(string(config), `"model_type": "bert",`, "", 1), "BertForMaskedLM", "RobertaForMaskedLM", 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "RobertaForMaskedLM", "config.json")
	for family, change := range map[string]*strings.Replacer{"RoBERTa": strings.NewReplacer("bert.", "roberta."),
		"DistilBERT": strings.NewReplacer("bert.encoder.layer.", "distilbert.transformer.layer.", "bert.", "distilbert."),
		"DeBERTa":    strings.NewReplacer("bert.", "deberta."), "ELECTRA": strings.NewReplacer("bert.", "electra.")} {
		for _, name := range []string{"pytorch_model.bin", "model.safetensors", "bert_model.ckpt"} {
			beside := map[string][]string{"bert_model.ckpt": {"bert_config.json"}}[name]
			if beside == nil {
				beside = []string{"config.json", ""}
			}
			for _, file := range beside {
				to := filepath.Join(t.TempDir(), name)
				if file != "" {
					if err := os.WriteFile(filepath.Join(filepath.Dir(to), file), config, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if name == "bert_model.ckpt" {
					writeVariables(t, to, m, change.Replace)
				} else {
					renameInto(t, to, m, change.Replace)
				}
				refused(t, to, "names of a "+family, name)
			}
		}
	}
}

// writeVariables writes the tensors of a model as a checkpoint of TensorFlow, under other names.
func writeVariables(t *testing.T, prefix string, m *Model, name func(string) string) {
	t.Helper()
	var list []safetensors.Tensor
	for _, x := range m.Tensors() {
		x.Name = strings.ReplaceAll(name(x.Name), ".", "/")
		list = append(list, x)
	}
	if err := tensorflow.Write(prefix, list); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a path cannot be opened, for a reason of one line that has these words in it.
func refused(t *testing.T, path string, words ...string) {
	t.Helper()
	_, err := Open(path)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v", path, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v, want %s", path, err, w)
		}
	}
}
