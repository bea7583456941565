package pretrain

import (
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/model"
	"albert/tokenizer"
)

// A BERT in Google's files is pretrained further, with each objective: what comes out is a BERT with the same tokenizer and other weights.
func TestGoesOnFromGooglesBERT(t *testing.T) {
	dir := t.TempDir()
	c, err := model.ParseConfig([]byte(`{"model_type": "bert", "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
		"intermediate_size": 20, "max_position_embeddings": 32, "hidden_act": "gelu_new"}`))
	if err != nil {
		t.Fatal(err)
	}
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + strings.Join(strings.Fields("the a reader writer opens closes file network each packet counts . server sends value ##s"), "\n") + "\n"
	tok, err := tokenizer.NewWordPiece([]byte(vocab), tokenizer.Options{Lower: true})
	if err != nil {
		t.Fatal(err)
	}
	from := &formats.Model{Model: model.NewWith(c, model.PretrainingHeads, 3), Tokenizer: tok, Path: "made"}
	init := filepath.Join(dir, "google", "bert_model.ckpt")
	if _, _, err := formats.Write(t.Context(), init, from, formats.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, objective := range []string{"sop", "nsp", "none"} {
		c := tiny(t, dir)
		c.Config, c.Tokenizer, c.Init, c.Objective, c.Output = "", "", init, objective, filepath.Join(dir, objective)
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", objective, err)
		}
		m, err := formats.Open(c.Output)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Config.IsBERT() || m.Config.HiddenAct != "gelu_new" || m.Hash() == from.Hash() || m.Tokenizer.SHA256() != tok.SHA256() {
			t.Errorf("%s: %+v, weights %s", objective, m.Config, m.Hash())
		}
	}
}
