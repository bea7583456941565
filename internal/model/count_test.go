package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Counts "exact" of SPEC 1.2, and the paper's sizes of Tables 1, 3 and 4 in millions.
func TestParameterCounts(t *testing.T) {
	for _, c := range []struct {
		name           string
		encoder, total int
	}{
		{"base", 11_683_584, 11_813_810},
		{"large", 17_683_968, 17_847_474},
		{"xlarge", 58_724_864, 59_021_490},
		{"xxlarge", 222_595_584, 223_158_450},
		{"base-v1", 11_683_584, 11_813_810},
		{"bert-base", 109_081_344, 0},
		{"bert-large", 334_607_360, 0},
	} {
		config, ok := NamedConfig(c.name)
		if !ok {
			t.Fatalf("no configuration %s", c.name)
		}
		if err := config.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		encoder, total := config.ParameterCount()
		if encoder != c.encoder || c.total != 0 && total != c.total {
			t.Errorf("%s: %d in the encoder, %d in all; want %d, %d", c.name, encoder, total, c.encoder, c.total)
		}
	}
	for _, c := range []struct {
		sharing  Sharing
		e        int
		millions int
	}{{ShareAll, 128, 12}, {ShareAttention, 128, 64}, {ShareFFN, 128, 38}, {ShareNone, 128, 89}, {ShareAttention, 768, 83}, {ShareFFN, 768, 57}, {ShareNone, 768, 108}} {
		config, _ := NamedConfig("base")
		config.Sharing, config.EmbeddingSize = c.sharing, c.e
		if c.e == config.HiddenSize {
			no := false
			config.EmbeddingProjection = &no
		}
		// The paper truncates or rounds: within one million.
		if encoder, _ := config.ParameterCount(); encoder < c.millions*1e6-5e5 || encoder > (c.millions+1)*1e6+1e5 {
			t.Errorf("sharing %s, E %d: %d parameters, the paper has %d M", c.sharing, c.e, encoder, c.millions)
		}
	}
}

// The count by formula is that of the parameters made, for every way of sharing.
func TestParameterCountMatchesModel(t *testing.T) {
	for _, sharing := range []Sharing{ShareAll, ShareAttention, ShareFFN, ShareNone} {
		for _, inner := range []int{1, 2} {
			c := tiny()
			c.Sharing, c.InnerGroupNum = sharing, inner
			if sharing == ShareAll {
				c.NumHiddenGroups = 2
			}
			m := New(c, 1)
			if _, total := c.ParameterCount(); total != m.Params.Size() {
				t.Errorf("sharing %s, inner groups %d: formula %d, model %d", sharing, inner, total, m.Params.Size())
			}
			if got := len(m.Layers); got != c.NumHiddenLayers*inner {
				t.Errorf("%d layers", got)
			}
		}
	}
}

func tiny() Config {
	c, _ := NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize = 50, 8, 12, 20
	c.NumHiddenLayers, c.NumAttentionHeads, c.MaxPositionEmbeddings = 4, 3, 16
	return c
}

func TestFlopsForward(t *testing.T) {
	c, _ := NamedConfig("base")
	if got := c.FlopsForward(128); got < 22.3715e9 || got > 22.3725e9 {
		t.Errorf("base, 128 pieces: %.0f, want 22.372 GFLOP", got)
	}
}

func TestConfigKeepsUnknownFields(t *testing.T) {
	in := `{"model_type":"albert","hidden_size":64,"num_attention_heads":4,"embedding_size":16,"intermediate_size":100,
		"num_hidden_layers":2,"vocab_size":77,"hidden_act":"gelu","id2label":{"0":"a"},"gap_size":0}`
	c, err := ParseConfig([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseConfig(out)
	if err != nil {
		t.Fatal(err)
	}
	if string(d.Extra("id2label")) == "" || string(d.Extra("gap_size")) != "0" || d.HiddenAct != "gelu" {
		t.Errorf("lost fields: %s", out)
	}
	d.extra, c.extra = nil, nil
	if diff := cmp.Diff(c, d, cmp.AllowUnexported(Config{})); diff != "" {
		t.Error(diff)
	}
}

// A config without model_type is Google's, whose gelu is the tanh approximation.
func TestGoogleConfig(t *testing.T) {
	c, err := ParseConfig([]byte(`{"hidden_size":64,"num_attention_heads":4,"hidden_act":"gelu","net_structure_type":0}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.HiddenAct != "gelu_new" {
		t.Errorf("hidden_act %q", c.HiddenAct)
	}
}

func TestConfigErrors(t *testing.T) {
	for in, want := range map[string]string{
		`{"hidden_size":10,"num_attention_heads":3}`:    "config: hidden_size 10 is not divisible by num_attention_heads 3",
		`{"hidden_size":-1}`:                            "config: hidden_size is -1, want 1 to 16777216",
		`{"hidden_size":"big"}`:                         "field hidden_size: a string where a int is needed",
		`{"position_embedding_type":"relative_key"}`:    `config: position_embedding_type "relative_key" is not supported, only "absolute"`,
		`{"hidden_act":"swish"}`:                        `config: hidden_act "swish" is not supported (gelu, gelu_new, relu, tanh, linear)`,
		`{"hidden_dropout_prob":1}`:                     "config: hidden_dropout_prob is 1, want 0 <= p < 1",
		`{"model_type":"roberta","vocab_size":"x"}`:     `config: model_type is "roberta": only models of the types "albert" and "bert" are read`,
		`{"model_type":"bert","is_decoder":true}`:       "config: is_decoder is true: only encoders are read",
		`{"model_type":"bert","hidden_size":10}`:        "config: hidden_size 10 is not divisible by num_attention_heads 12",
		`{"model_type":7}`:                              "field model_type: a string is needed",
		`{"sharing":"some"}`:                            `config: sharing is "some", want all, attention, ffn or none`,
		`{"embedding_projection":false}`:                "config: embedding_projection is false, but embedding_size 128 differs from hidden_size 4096",
		`{"num_hidden_groups":3,"num_hidden_layers":2}`: "config: num_hidden_groups 3 is more than num_hidden_layers 2",
		`{"num_hidden_groups":9e99}`:                    "field num_hidden_groups: a number 9e99 where a int is needed",
	} {
		_, err := ParseConfig([]byte(in))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", in, err, want)
		}
	}
}

// Layers' groups are computed in integers; transformers divides in floating point.
func TestGroup(t *testing.T) {
	c := tiny()
	c.NumHiddenLayers, c.NumHiddenGroups = 12, 3
	for i := range 12 {
		if c.Group(i) != i/4 {
			t.Errorf("layer %d: group %d", i, c.Group(i))
		}
	}
	if l := c.GroupsDifferInTransformers(); l != -1 {
		t.Errorf("layer %d differs", l)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"albert","hidden_size":64,"num_attention_heads":4}`))
	f.Add([]byte(`{"sharing":"ffn","embedding_projection":true,"x":[1,{"y":null}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		out, err := c.JSON()
		if err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		if _, err := ParseConfig(out); err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, out)
		}
	})
}
