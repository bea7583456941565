package onnx_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/model"
	"albert/internal/onnx"
)

// tiny is a small configuration, changed by more of config.json.
func tiny(t testing.TB, more string) model.Config {
	t.Helper()
	c, err := model.ParseConfig([]byte(`{"model_type": "albert", "vocab_size": 61, "embedding_size": 12, "hidden_size": 24, "num_attention_heads": 3,
		"intermediate_size": 40, "num_hidden_layers": 4, "max_position_embeddings": 32, "initializer_range": 0.3` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var configs = map[string]string{
	"all":       ``,
	"attention": `, "sharing": "attention"`,
	"ffn":       `, "sharing": "ffn", "inner_group_num": 2, "hidden_act": "gelu"`,
	"none":      `, "sharing": "none", "hidden_act": "relu"`,
	"groups":    `, "num_hidden_groups": 2`,
	"three":     `, "num_hidden_groups": 3`,
	"inner":     `, "inner_group_num": 2, "hidden_act": "tanh"`,
	"no map":    `, "embedding_size": 24, "embedding_projection": false`,
}

// withHeads adds tensors of the task heads, which the model that is built has not.
func withHeads(m *model.Model, labels int) []safetensors.Tensor {
	h := m.Config.HiddenSize
	list := m.Tensors()
	for name, n := range map[string]int{"classifier": labels, "qa_outputs": 2} {
		w := make([]float32, n*h)
		for i := range w {
			w[i] = float32(i%7) - 3
		}
		list = append(list, safetensors.Float32Tensor(name+".weight", []int{n, h}, w), safetensors.Float32Tensor(name+".bias", []int{n}, w[:n]))
	}
	return list
}

func write(t testing.TB, c model.Config, tensors []safetensors.Tensor, o onnx.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.WriteTo(&b, c, tensors, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWrittenTensorsReadBackEqual(t *testing.T) {
	for name, more := range configs {
		t.Run(name, func(t *testing.T) {
			m := model.New(tiny(t, more), 1)
			for i, p := range m.Params.List {
				for j := range p.Data {
					p.Data[j] += float32(i) // no two tensors are alike
				}
			}
			path := filepath.Join(t.TempDir(), "m.onnx")
			if err := os.WriteFile(path, write(t, m.Config, m.Tensors(), onnx.Options{Head: onnx.Pretraining}), 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := onnx.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c := f.Config()
			if c == nil || f.Head() != onnx.Pretraining {
				t.Fatalf("config %v, head %q", c, f.Head())
			}
			got, unused, err := model.FromFile(*c, f)
			if err != nil || len(unused) > 0 {
				t.Fatalf("%v, unused %v", err, unused)
			}
			if got.Hash() != m.Hash() {
				t.Error("other weights came back")
			}
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if rest := int(st.Size()) - 4*m.Params.Size(); rest < 0 || rest > 60_000 {
				t.Errorf("%d bytes beside the parameters: not each weight once", rest)
			}
		})
	}
}

func TestInt8ReadsBackWithinHalfAStep(t *testing.T) {
	m := model.New(tiny(t, `, "sharing": "attention"`), 1)
	data := write(t, m.Config, withHeads(m, 3), onnx.Options{Head: onnx.MaskedLM, Int8: true})
	f, err := onnx.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names() {
		if strings.HasPrefix(name, "const") || strings.HasSuffix(name, "_scale") {
			t.Errorf("%s is no tensor of the model", name)
		}
	}
	for _, w := range m.Tensors() {
		if strings.HasPrefix(w.Name, "albert.pooler") || strings.HasPrefix(w.Name, "sop_classifier") {
			continue
		}
		got, shape, err := f.Float32(w.Name)
		if err != nil || !slices.Equal(shape, w.Shape) {
			t.Fatalf("%s: shape %v, want %v, %v", w.Name, shape, w.Shape, err)
		}
		want, err := w.Float64()
		if err != nil {
			t.Fatal(err)
		}
		n := shape[len(shape)-1]
		for i := 0; i < len(want); i += n {
			largest := 0.0
			for _, v := range want[i : i+n] {
				largest = max(largest, math.Abs(v))
			}
			for j, v := range want[i : i+n] {
				if d := math.Abs(float64(got[i+j]) - v); d > largest/254*1.0001 {
					t.Fatalf("%s[%d,%d] is %v, want %v", w.Name, i/n, j, got[i+j], v)
				}
			}
		}
	}
	if !bytes.Equal(data, write(t, m.Config, withHeads(m, 3), onnx.Options{Head: onnx.MaskedLM, Int8: true})) {
		t.Error("written again the bytes differ")
	}
}

func TestEveryHeadKeepsItsTensorsAndNoOthers(t *testing.T) {
	m := model.New(tiny(t, ""), 1)
	has := map[onnx.Head][]string{
		onnx.Base:                   {"albert.pooler.weight"},
		onnx.Pretraining:            {"albert.pooler.weight", "predictions.dense.weight", "sop_classifier.classifier.weight"},
		onnx.NextSentence:           {"albert.pooler.weight", "sop_classifier.classifier.weight"},
		onnx.MaskedLM:               {"predictions.dense.weight"},
		onnx.SequenceClassification: {"albert.pooler.weight", "classifier.weight"},
		onnx.TokenClassification:    {"classifier.weight"},
		onnx.QuestionAnswering:      {"qa_outputs.weight"},
		onnx.MultipleChoice:         {"albert.pooler.weight", "classifier.weight"},
	}
	for _, head := range onnx.Heads() {
		for _, int8 := range []bool{false, true} {
			labels := 3
			if head == onnx.MultipleChoice {
				labels = 1
			}
			f, err := onnx.Parse(write(t, m.Config, withHeads(m, labels), onnx.Options{Head: head, Int8: int8}))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"albert.pooler.weight", "predictions.dense.weight", "sop_classifier.classifier.weight", "classifier.weight", "qa_outputs.weight"} {
				if got, want := slices.Contains(f.Names(), name), slices.Contains(has[head], name); got != want {
					t.Errorf("%s: %s there: %v", head, name, got)
				}
			}
		}
	}
}

func TestBareModelIsExported(t *testing.T) {
	m := model.New(tiny(t, ""), 1)
	var bare []safetensors.Tensor
	for _, x := range m.Tensors() {
		if name, ok := strings.CutPrefix(x.Name, "albert."); ok && !strings.HasPrefix(name, "pooler") {
			x.Name = name
			bare = append(bare, x)
		}
	}
	f, err := onnx.Parse(write(t, m.Config, bare, onnx.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(f.Names(), "albert.embeddings.word_embeddings.weight") || slices.Contains(f.Names(), "albert.pooler.weight") {
		t.Error(f.Names())
	}
}

func TestWhatCannotBeWrittenIsNamed(t *testing.T) {
	m := model.New(tiny(t, ""), 1)
	change := func(name string, f func(*safetensors.Tensor)) []safetensors.Tensor {
		var list []safetensors.Tensor
		for _, x := range m.Tensors() {
			if x.Name == name {
				f(&x)
			}
			list = append(list, x)
		}
		return list
	}
	const ffn = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"
	for _, c := range []struct {
		tensors []safetensors.Tensor
		o       onnx.Options
		want    string
	}{
		{m.Tensors(), onnx.Options{Head: "lm"}, `unknown head "lm"`},
		{m.Tensors(), onnx.Options{Head: onnx.TokenClassification}, "tensor classifier.weight [labels, 24] is missing"},
		{m.Tensors(), onnx.Options{Head: onnx.QuestionAnswering}, "tensor qa_outputs"},
		{withHeads(m, 3), onnx.Options{Head: onnx.MultipleChoice}, "has shape [3], want [1]"},
		{change(ffn, func(x *safetensors.Tensor) { x.Name = "x" }), onnx.Options{}, ffn + " is missing"},
		{change(ffn, func(x *safetensors.Tensor) { x.Shape = []int{24, 40} }), onnx.Options{Int8: true}, "want [40 24]"},
		{change(ffn, func(x *safetensors.Tensor) { x.DType = "I32" }), onnx.Options{}, "is I32, want F32"},
		{change(ffn, func(x *safetensors.Tensor) {
			v := make([]float32, 24*40)
			v[25] = float32(math.NaN())
			*x = safetensors.Float32Tensor(x.Name, x.Shape, v)
		}), onnx.Options{Int8: true}, "at [1, 1] is not finite"},
	} {
		err := onnx.WriteTo(new(bytes.Buffer), m.Config, c.tensors, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want ... %s ...", err, c.want)
		}
	}
	if err := onnx.WriteTo(new(bytes.Buffer), m.Config, m.Tensors(), onnx.Options{Head: onnx.TokenClassification}); err == nil {
		t.Error("a head that the model does not have: no error")
	}
}

func ExampleWriteTo() {
	c, _ := model.ParseConfig([]byte(`{"model_type": "albert", "vocab_size": 8, "embedding_size": 2, "hidden_size": 4, "num_attention_heads": 2,
		"intermediate_size": 4, "num_hidden_layers": 2, "max_position_embeddings": 4}`))
	m := model.New(c, 1)
	var b bytes.Buffer
	if err := onnx.WriteTo(&b, m.Config, m.Tensors(), onnx.Options{Head: onnx.MaskedLM, Int8: true}); err != nil {
		fmt.Println(err)
		return
	}
	f, err := onnx.Parse(b.Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, shape, _ := f.Float32("albert.embeddings.word_embeddings.weight")
	fmt.Println(f.Head(), shape)
	// Output: masked-lm [8 2]
}
