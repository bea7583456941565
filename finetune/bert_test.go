package finetune

import (
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/model"
	"albert/tokenizer"
)

// A BERT in Google's files learns to classify, and its result is one of transformers' classes of BERT.
func TestGooglesBERTLearns(t *testing.T) {
	words := append(append(append([]string{}, good...), bad...), other...)
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + strings.Join(words, "\n") + "\n"
	tok, err := tokenizer.NewWordPiece([]byte(vocab), tokenizer.Options{Lower: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
		"intermediate_size": 64, "max_position_embeddings": 64, "hidden_act": "gelu_new", "initializer_range": 0.1}`))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from := &formats.Model{Model: model.NewWith(c, model.PretrainingHeads, 1), Tokenizer: tok, Path: "made"}
	if _, _, err := formats.Write(t.Context(), filepath.Join(dir, "google", "bert_model.ckpt"), from, formats.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	data := splits{Train: []string{jsonl(t, 1, 200, classified, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 60, classified, dir, "dev.jsonl")}}
	run := config(t, "classify", filepath.Join(dir, "google"), filepath.Join(dir, "run"), data)
	run.Steps, run.EvalEvery = 150, 50
	r, err := Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	m, err := formats.Open(run.Output)
	if err != nil {
		t.Fatal(err)
	}
	if m.Class() != "BertForSequenceClassification" || m.Config.HiddenAct != "gelu_new" {
		t.Errorf("class %s, %s", m.Class(), m.Config.HiddenAct)
	}
	if v := r.Runs[0].Value; v == nil || *v < 0.9 {
		t.Errorf("%s is %s", r.Metric, r.Dev)
	}
}
