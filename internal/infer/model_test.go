package infer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/model"
)

// TestOpenedModelKeepsItsWeights: a model that answers questions has its weights once, packed, in every precision; it gives what it gave before
// they were, and does not need the file any more.
func TestOpenedModelKeepsItsWeights(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 20, "num_attention_heads": 2,
		"intermediate_size": 36, "num_hidden_layers": 2, "max_position_embeddings": 32, "hidden_act": "gelu_new"}`))
	if err != nil {
		t.Fatal(err)
	}
	outputs := func(m *model.Model, dev *cpu.Device) (list []float32) {
		tape := ops.NewTape(dev, nil)
		defer tape.Reset()
		x := m.Encode(tape, &ops.Batch{IDs: []int32{2, 7, 30, 3}, Types: []int32{0, 0, 1, 1}, Offsets: []int32{0, 4}}, model.NoDropout)
		for _, y := range []*ops.Tensor{x, m.MLMLogits(tape, x, []int32{1, 2})} {
			for r := range y.Rows {
				list = append(list, y.Row(r)...)
			}
		}
		return list
	}
	for _, precision := range []Precision{"", cpu.BF16Tile, cpu.BF16Dot, Int8} {
		dir := t.TempDir()
		made := model.NewWith(c, model.PretrainingHeads, 3)
		if err := made.Save(dir); err != nil {
			t.Fatal(err)
		}
		size := made.EncoderSize()
		m, err := Open(dir, Options{Threads: 2, Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := os.Truncate(filepath.Join(dir, model.WeightsFile), 0); err != nil { // whoever still reads it dies of it
			t.Fatal(err)
		}
		for _, p := range m.LinearWeights() {
			if p.Data != nil || p.Int8 != nil {
				t.Errorf("%q: %s is there twice", precision, p.Name)
			}
		}
		if got := m.EncoderSize(); got != size {
			t.Errorf("%q: %d values, want %d", precision, got, size)
		}
		dev, err := Prepare(&formats.Model{Model: made}, precision, m.dev)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(outputs(m.Model.Model, m.engine.dev), outputs(made, dev)) {
			t.Errorf("%q: other outputs than of the model as it was made", precision)
		}
	}
}
