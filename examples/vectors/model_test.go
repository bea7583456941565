package vectors

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

// tinyModel writes a model of random weights: a stand-in for one of your own.
func tinyModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	vocabulary, err := os.ReadFile("../../tokenizer/testdata/albert.model")
	if err != nil {
		t.Fatal(err)
	}
	config := `{"model_type":"albert","architectures":["AlbertModel"],"vocab_size":500,"embedding_size":8,"hidden_size":16,"num_hidden_layers":2,
 "num_attention_heads":2,"intermediate_size":32,"max_position_embeddings":64,"hidden_act":"gelu_new"}`
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, data := map[string]entry{}, []byte{}
	r := rand.New(rand.NewSource(1))
	add := func(name string, shape ...int) {
		n := 1
		for _, k := range shape {
			n *= k
		}
		from := len(data)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(r.NormFloat64()/2)))
		}
		header[name] = entry{"F32", shape, [2]int{from, len(data)}}
	}
	affine := func(name string, out, in int) { add(name+".weight", out, in); add(name+".bias", out) }
	norm := func(name string, n int) { add(name+".weight", n); add(name+".bias", n) }
	add("embeddings.word_embeddings.weight", 500, 8)
	add("embeddings.position_embeddings.weight", 64, 8)
	add("embeddings.token_type_embeddings.weight", 2, 8)
	norm("embeddings.LayerNorm", 8)
	affine("encoder.embedding_hidden_mapping_in", 16, 8)
	const layer = "encoder.albert_layer_groups.0.albert_layers.0."
	for _, name := range []string{"query", "key", "value", "dense"} {
		affine(layer+"attention."+name, 16, 16)
	}
	norm(layer+"attention.LayerNorm", 16)
	affine(layer+"ffn", 32, 16)
	affine(layer+"ffn_output", 16, 32)
	norm(layer+"full_layer_layer_norm", 16)
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	weights := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
	for name, content := range map[string][]byte{"config.json": []byte(config), "model.safetensors": weights, "spiece.model": vocabulary} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
