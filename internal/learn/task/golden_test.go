package task

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/formats"
	"albert/internal/model"
	"albert/tokenizer"
)

// Logits, loss and gradients of every head against transformers in float64 (parity/golden/heads.py).
func TestHeadsAgreeWithTransformers(t *testing.T) {
	dirs, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(dirs) != 14 {
		t.Fatal(len(dirs), err)
	}
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, dir := range dirs {
		kind := model.Kind(strings.TrimPrefix(filepath.Base(dir), "bert-"))
		t.Run(filepath.Base(dir), func(t *testing.T) {
			opened, err := formats.Open(dir)
			if err != nil || len(opened.Unused) > 0 {
				t.Fatal(err, opened)
			}
			m := opened.Model
			if want := m.Config.ClassName(kind.Class()); m.Class() != want || m.Config.IsBERT() != strings.HasPrefix(filepath.Base(dir), "bert-") {
				t.Errorf("class %s, want %s", m.Class(), want)
			}
			f, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			examples := goldenExamples(t, kind, f)
			o := &Objective{Kind: kind, Model: m, Device: dev}
			g := ops.NewGrads(m.Params)
			b := o.NewStep(1, examples)
			if err := b.Leaf(g, 0, len(examples)); err != nil {
				t.Fatal(err)
			}
			var logits []float32
			for _, out := range o.Run(ops.NewGrads(m.Params), examples, 1, b.count) {
				rows := out.Logits
				if kind == model.Answer { // the golden file has a row for each piece
					rows = nil
					for r := range out.Logits[0] {
						rows = append(rows, []float32{out.Logits[0][r], out.Logits[1][r]})
					}
				}
				logits = append(logits, slices.Concat(rows...)...)
			}
			for i, want := range float64s(t, f, "logits") {
				if d := math.Abs(float64(logits[i]) - want); !(d <= 2e-5) {
					t.Errorf("logit %d is off by %.2g", i, d)
				}
			}
			loss, want := b.Report().Get("loss").(float64), float64s(t, f, "loss")[0]
			if !(math.Abs(loss-want) <= 1e-5*want) {
				t.Errorf("loss %v, want %v", loss, want)
			}
			for _, p := range m.Params.List {
				want := float64s(t, f, "grad."+p.Name)
				d, n := distance(g.Of(p), want)
				zero := kind == model.Answer && (p.Name == "qa_outputs.bias" || p.Name == "bert.encoder.layer.1.output.LayerNorm.bias") || kind == model.Choice && p.Name == "classifier.bias" ||
					strings.HasSuffix(p.Name, "attention.key.bias") || strings.HasSuffix(p.Name, "attention.self.key.bias") // in exact arithmetic: softmax does not see them
				if zero {
					_, n = distance(nil, float64s(t, f, "grad."+strings.TrimSuffix(p.Name, "bias")+"weight"))
				}
				if !(d <= 1e-5*n) {
					t.Errorf("gradient of %s is off by %.2g of %.2g", p.Name, d, n)
				}
			}
		})
	}
}

func goldenExamples(t *testing.T, kind model.Kind, f *safetensors.File) []Example {
	t.Helper()
	ids, types, offsets := int32s(t, f, "input_ids"), int32s(t, f, "token_type_ids"), int32s(t, f, "offsets")
	var inputs []tokenizer.Encoding
	for i, end := range offsets[1:] {
		inputs = append(inputs, tokenizer.Encoding{IDs: ids[offsets[i]:end], Types: types[offsets[i]:end]})
	}
	var list []Example
	add := func(e Example) { e.Index = uint64(len(list)); list = append(list, e) }
	switch kind {
	case model.MultiLabel, model.Regress, model.Rank:
		labels := float64s(t, f, "labels")
		n := len(labels) / len(inputs)
		for i, in := range inputs {
			e := Example{Inputs: []tokenizer.Encoding{in}}
			for _, v := range labels[i*n : (i+1)*n] {
				e.Values = append(e.Values, float32(v))
			}
			add(e)
		}
		return list
	}
	labels := int32s(t, f, "labels")
	switch kind {
	case model.Choice:
		n := len(inputs) / len(labels)
		for i, l := range labels {
			add(Example{Inputs: inputs[i*n : (i+1)*n], Label: l})
		}
	case model.Tag:
		for i, in := range inputs {
			add(Example{Inputs: []tokenizer.Encoding{in}, Tags: labels[offsets[i]:offsets[i+1]]})
		}
	case model.Answer:
		for i, in := range inputs {
			add(Example{Inputs: []tokenizer.Encoding{in}, Start: labels[2*i], End: labels[2*i+1]})
		}
	default:
		for i, in := range inputs {
			add(Example{Inputs: []tokenizer.Encoding{in}, Label: labels[i]})
		}
	}
	return list
}

func float64s(t *testing.T, f *safetensors.File, name string) []float64 {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Float64()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func int32s(t *testing.T, f *safetensors.File, name string) []int32 {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Int64()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i := range v {
		out[i] = int32(v[i])
	}
	return out
}

// distance is the norm of got - want and of want; got nil counts as zeros.
func distance(got []float32, want []float64) (d, norm float64) {
	for i, w := range want {
		x := -w
		if got != nil {
			x += float64(got[i])
		}
		d += x * x
		norm += w * w
	}
	return math.Sqrt(d), math.Sqrt(norm)
}
