package infer

import (
	"os"
	"path/filepath"
	"testing"

	"albert/internal/formats"
	"albert/internal/model"
)

// TestOpenedModelKeepsItsWeights: a model that answers questions has its weights once, packed, gives them back all the same, and does not
// need the file any more.
func TestOpenedModelKeepsItsWeights(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 20, "num_attention_heads": 2,
		"intermediate_size": 36, "num_hidden_layers": 2, "max_position_embeddings": 32, "hidden_act": "gelu_new"}`))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	made := model.NewWith(c, model.PretrainingHeads, 3)
	if err := made.Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Truncate(filepath.Join(dir, model.WeightsFile), 0); err != nil { // whoever still reads it dies of it
		t.Fatal(err)
	}
	for _, p := range m.LinearWeights() {
		if p.Data != nil {
			t.Errorf("%s is there twice", p.Name)
		}
	}
	if got := m.Hash(); got != made.Hash() {
		t.Errorf("hash %s, want %s", got, made.Hash())
	}
	if got := m.EncoderSize(); got != made.EncoderSize() {
		t.Errorf("%d values, want %d", got, made.EncoderSize())
	}
	again := t.TempDir()
	if _, _, err := formats.Write(t.Context(), again, m.Model, formats.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if read, err := formats.Open(again); err != nil || read.Hash() != made.Hash() {
		t.Errorf("written and read: %v", err)
	}
}
