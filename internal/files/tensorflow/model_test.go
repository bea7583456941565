package tensorflow

import (
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
)

// What a checkpoint cannot be is said: another model, a variable under two names, a kernel that is no matrix.
func TestModelErrors(t *testing.T) {
	one := func(name string, shape ...int) safetensors.Tensor {
		return safetensors.Float32Tensor(name, shape, []float32{1, 2})
	}
	for want, list := range map[string][]safetensors.Tensor{
		"no variable of ALBERT's or BERT's among 1":                                 {one("v", 2)},
		"bert/pooler/dense/bias and module/bert/pooler/dense/bias are the same one": {one("bert/pooler/dense/bias", 2), one("module/bert/pooler/dense/bias", 2)},
		"bert/pooler/dense/kernel has shape [2], want two dimensions":               {one("bert/pooler/dense/kernel", 2)},
	} {
		prefix := filepath.Join(t.TempDir(), "x")
		if err := Write(prefix, list); err != nil {
			t.Fatal(err)
		}
		m, _, err := Model(open(t, prefix))
		if err == nil {
			_, _, err = m.Float32("albert.pooler.weight")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// Numbers of groups and layers are taken as they stand, names that are nearly ones of the family's are not.
func TestNames(t *testing.T) {
	for family, list := range map[*naming]map[string]string{
		albert: {
			"bert/encoder/transformer/group_11/inner_group_3/LayerNorm_1/gamma":                           "albert.encoder.albert_layer_groups.11.albert_layers.3.full_layer_layer_norm.weight",
			"bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/output/dense/kernel":       "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn_output.weight",
			"bert/encoder/transformer/group_00/inner_group_0/LayerNorm_1/gamma":                           "",
			"bert/encoder/transformer/group_0/inner_group_0/LayerNorm_2/gamma":                            "",
			"bert/encoder/transformer/group_0/inner_group_0/LayerNorm/gamma/adam_m":                       "",
			"bert/encoder/transformer/group_9999999999999999999999/inner_group_0/LayerNorm/gamma/adam_m/": "",
			"module/module/output_bias":                      "",
			"bert/encoder/layer_0/attention/self/key/kernel": "",
			"": "",
		},
		bert: {
			"bert/encoder/layer_0/attention/self/key/kernel":                   "bert.encoder.layer.0.attention.self.key.weight",
			"bert/encoder/layer_23/attention/output/LayerNorm/beta":            "bert.encoder.layer.23.attention.output.LayerNorm.bias",
			"bert/encoder/layer_3/output/dense/bias":                           "bert.encoder.layer.3.output.dense.bias",
			"bert/pooler/dense/kernel":                                         "bert.pooler.dense.weight",
			"cls/predictions/output_bias":                                      "cls.predictions.bias",
			"cls/seq_relationship/output_weights":                              "cls.seq_relationship.weight",
			"output_weights":                                                   "classifier.weight",
			"bert/encoder/layer_03/output/dense/bias":                          "",
			"bert/encoder/layer_3/output/dense/bias/adam_v":                    "",
			"bert/encoder/embedding_hidden_mapping_in/bias":                    "",
			"bert/encoder/transformer/group_0/inner_group_0/LayerNorm_1/gamma": "",
		},
	} {
		for google, hf := range list {
			n, ok := family.toHF.name(google)
			if ok != (hf != "") || ok && n.name != hf {
				t.Errorf("%s: %v", google, n)
			}
			if !ok {
				continue
			}
			if back, ok := toGoogle(hf); !ok || back.name != google || back.transpose != n.transpose {
				t.Errorf("%s: %v", hf, back)
			}
		}
	}
}

const words = "albert.embeddings.word_embeddings.weight"

// Copies, buffers and the identity are left out; copies and identities that are none are errors, and names that Google's code lacks.
func TestFromHuggingFace(t *testing.T) {
	f := safetensors.Float32Tensor
	table := f(words, []int{3, 2}, []float32{1, 2, 3, 4, 5, 6})
	identity := f(mapping+"weight", []int{2, 2}, []float32{1, 0, 0, 1})
	zero := f(mapping+"bias", []int{2}, []float32{0, 0})
	out, err := FromHuggingFace([]safetensors.Tensor{
		table, f("predictions.decoder.weight", []int{3, 2}, []float32{1, 2, 3, 4, 5, 6}), identity, zero,
		f("predictions.bias", []int{1}, []float32{7}), f("predictions.decoder.bias", []int{1}, []float32{7}),
		{Name: "albert.embeddings.position_ids", DType: "I64"}, {Name: "albert.pooler.weight", DType: "F16", Shape: []int{2, 1}, Data: []byte{1, 2, 3, 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range out {
		names = append(names, x.Name)
	}
	if got := strings.Join(names, " "); got != "bert/embeddings/word_embeddings bert/pooler/dense/kernel cls/predictions/output_bias" {
		t.Error(got)
	}
	for want, list := range map[string][]safetensors.Tensor{
		"decoder.weight: not the same as albert": {table, f("predictions.decoder.weight", []int{3, 2}, []float32{1, 2, 3, 4, 5, 7})},
		"decoder.bias: not the same":             {f("predictions.decoder.bias", []int{1}, []float32{7})},
		"mapping_in.weight: Google's code has":   {f(mapping+"weight", []int{2, 2}, []float32{1, 0, 0, 2})},
		"mapping_in.bias: Google's code has":     {identity, f(mapping+"bias", []int{2}, []float32{0, 1})},
		"x has no name in Google's code":         {f("x", []int{1}, []float32{1})},
		"given twice":                            {table, table},
		"want two dimensions":                    {f("albert.pooler.weight", []int{1}, []float32{1})},
		"do not fit F32[2 2]":                    {{Name: "albert.pooler.weight", DType: "F32", Shape: []int{2, 2}, Data: make([]byte, 4)}},
		"do not fit F32[-1 -1]":                  {{Name: "albert.pooler.weight", DType: "F32", Shape: []int{-1, -1}, Data: make([]byte, 4)}},
	} {
		if _, err := FromHuggingFace(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
