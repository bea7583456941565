package tensorflow_test

import (
	"os"
	"path/filepath"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
)

// Google's configuration of the case plain.
const config = `{"attention_probs_dropout_prob": 0, "hidden_act": "gelu", "hidden_dropout_prob": 0, "embedding_size": 4, "hidden_size": 6,
	"initializer_range": 0.02, "intermediate_size": 10, "max_position_embeddings": 9, "num_attention_heads": 2, "num_hidden_layers": 3,
	"num_hidden_groups": 1, "net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0, "inner_group_num": 1, "down_scale_factor": 1,
	"type_vocab_size": 2, "vocab_size": 23}`

// A checkpoint with Google's configuration is a model, and that model written again is the checkpoint.
func TestModelLoads(t *testing.T) {
	c, err := model.ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	f, err := tensorflow.Open("testdata/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	named, unused, err := tensorflow.Model(f)
	if err != nil || len(unused) != 0 {
		t.Fatal(unused, err)
	}
	m, unused, err := model.FromFile(c, named)
	if err != nil || len(unused) != 0 {
		t.Fatal(unused, err)
	}
	tensors, err := tensorflow.FromHuggingFace(m.Tensors())
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(t.TempDir(), "model.ckpt-best")
	if err := tensorflow.Write(prefix, tensors); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".index", ".data-00000-of-00001"} {
		got, _ := os.ReadFile(prefix + suffix)
		want, _ := os.ReadFile("testdata/plain" + suffix)
		if string(got) != string(want) {
			t.Errorf("%s differs", suffix)
		}
	}
}

// BenchmarkBase reads every tensor of a checkpoint of base's size, as a conversion does.
func BenchmarkBase(b *testing.B) {
	c, ok := model.NamedConfig("base")
	if !ok {
		b.Fatal("no base")
	}
	tensors, err := tensorflow.FromHuggingFace(model.New(c, 1).Tensors())
	if err != nil {
		b.Fatal(err)
	}
	prefix := filepath.Join(b.TempDir(), "x")
	if err := tensorflow.Write(prefix, tensors); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := tensorflow.Open(prefix)
		if err != nil {
			b.Fatal(err)
		}
		var m safetensors.Reader
		if m, _, err = tensorflow.Model(f); err != nil {
			b.Fatal(err)
		}
		bytes := 0
		for _, n := range m.Names() {
			values, _, err := m.Float32(n)
			if err != nil {
				b.Fatal(err)
			}
			bytes += 4 * len(values)
		}
		b.SetBytes(int64(bytes))
		m.Close()
	}
}
