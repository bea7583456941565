package model_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// goldenInt8 guards the bits of int8: two layers of base's width on eight sequences, the encoder's output and three pieces' logits.
const goldenInt8 = "5258257084e7f27039237f23081559b30acf73e85ce5a103afc9c09eb02b1cb3"

// lengthsBatch is sequences of these lengths.
func lengthsBatch(lengths []int, vocab int) *ops.Batch {
	b := &ops.Batch{Offsets: []int32{0}}
	for s, n := range lengths {
		for i := range n {
			b.IDs = append(b.IDs, int32((97*i+31*s*s+5)%vocab))
			b.Types = append(b.Types, int32(2*i/n))
		}
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
	}
	return b
}

// outputs are the encoder's outputs for every piece and the logits of the first three.
func outputs(m *model.Model, dev ops.Device, b *ops.Batch) (hidden, logits []float32) {
	t := ops.NewTape(dev, nil)
	defer t.Reset()
	x := m.Encode(t, b, model.NoDropout)
	for r := range x.Rows {
		hidden = append(hidden, x.Row(r)...)
	}
	y := m.MLMLogits(t, x, []int32{0, 1, 2})
	for r := range y.Rows {
		logits = append(logits, y.Row(r)...)
	}
	return hidden, logits
}

// hashOf is the SHA-256 of outputs.
func hashOf(hidden, logits []float32) string {
	h := sha256.New()
	h.Write(safetensors.Bytes(hidden))
	h.Write(safetensors.Bytes(logits))
	return hex.EncodeToString(h.Sum(nil))
}

// sameAlone holds each sequence of a batch, run alone, to the bits of the encoder's outputs for the batch.
func sameAlone(t *testing.T, what string, m *model.Model, dev ops.Device, b *ops.Batch, hidden []float32) {
	t.Helper()
	for s, width := 0, m.Config.HiddenSize; s < b.Len(); s++ {
		from, to := b.Offsets[s], b.Offsets[s+1]
		tape := ops.NewTape(dev, nil)
		x := m.Encode(tape, &ops.Batch{IDs: b.IDs[from:to], Types: b.Types[from:to], Offsets: []int32{0, to - from}}, model.NoDropout)
		for r := range x.Rows {
			at := (int(from) + r) * width
			if !slices.Equal(x.Row(r), hidden[at:at+width]) {
				t.Fatalf("%s: sequence %d, piece %d: other bits alone than in the batch", what, s, r)
			}
		}
		tape.Reset()
	}
}

func cosine(x, y []float32) float64 {
	var xy, xx, yy float64
	for i := range x {
		xy += float64(x[i]) * float64(y[i])
		xx += float64(x[i]) * float64(x[i])
		yy += float64(y[i]) * float64(y[i])
	}
	return xy / math.Sqrt(xx*yy)
}

// Every kernel gives the same bits on any number of threads, and a sequence the same alone as among others.
func TestInt8Bits(t *testing.T) {
	c, _ := model.NamedConfig("base")
	c.NumHiddenLayers, c.VocabSize, c.InitializerRange = 2, 100, 0.05
	m := model.New(c, 1)
	b := lengthsBatch([]int{6, 1, 9, 3, 2, 5, 4, 3}, c.VocabSize)
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 2, 7} {
			if set == "generic" && threads != 2 {
				continue // it takes seconds
			}
			dev := device(t, set, threads)
			if err := dev.Quantize(m.Params, m.Products()); err != nil {
				t.Fatal(err)
			}
			hidden, logits := outputs(m, dev.Int8(), b)
			if got := hashOf(hidden, logits); got != goldenInt8 {
				t.Errorf("%s, %d threads: %s, recorded %s", set, threads, got, goldenInt8)
			}
			if set == "generic" {
				continue
			}
			sameAlone(t, set, m, dev.Int8(), b, hidden)
		}
	}
}

// Int8 is close to fp32: the mean of the outputs' cosines is what the choice of bits was for.
func TestInt8IsClose(t *testing.T) {
	c := tinyConfig()
	m := model.New(c, 1)
	dev := device(t, "", 1)
	b := lengthsBatch([]int{9, 4}, c.VocabSize)
	want, _ := outputs(m, dev, b)
	if err := dev.Quantize(m.Params, m.Products()); err != nil {
		t.Fatal(err)
	}
	got, _ := outputs(m, dev.Int8(), b)
	if cos := cosine(want, got); cos < 0.999 {
		t.Errorf("cosine %v", cos)
	}
}

// A model written in int8 has the same integers and scales when it is read back, and so the same outputs; read as fp32 it has what they
// stand for.
func TestInt8File(t *testing.T) {
	c := tinyConfig()
	c.Sharing = model.ShareAttention // tensors repeated on disk
	c.NumHiddenLayers = 2
	m := model.New(c, 3)
	dev := device(t, "", 1)
	if err := dev.Quantize(m.Params, m.Products()); err != nil {
		t.Fatal(err)
	}
	read, unused := readInt8(t, m.Tensors(), c)
	if len(unused) > 0 || read.Hash() != m.Hash() {
		t.Errorf("read back: unused %v, hash %s, want %s", unused, read.Hash(), m.Hash())
	}
	if err := dev.Quantize(read.Params, read.Products()); err != nil {
		t.Fatal(err)
	}
	b := lengthsBatch([]int{9, 4}, c.VocabSize)
	want, wantLogits := outputs(m, dev.Int8(), b)
	got, gotLogits := outputs(read, dev.Int8(), b)
	if !slices.Equal(got, want) || !slices.Equal(gotLogits, wantLogits) {
		t.Error("the model that was read back has other outputs")
	}
}

func readInt8(t *testing.T, tensors []safetensors.Tensor, c model.Config) (*model.Model, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), model.WeightsFile)
	if err := safetensors.Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, unused, err := model.FromFile(c, f)
	if err != nil {
		t.Fatal(err)
	}
	return m, unused
}

// Files that int8 cannot be read from, and weights that it cannot hold, are refused by the tensor's name.
func TestInt8Refuses(t *testing.T) {
	const query = "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"
	c := tinyConfig()
	dev := device(t, "", 1)
	for _, bad := range []struct {
		change func(list []safetensors.Tensor, i int) []safetensors.Tensor // i is the index of query's weight, its scales follow
		want   string
	}{
		{func(l []safetensors.Tensor, i int) []safetensors.Tensor { return slices.Delete(l, i+1, i+2) }, "has no scales: tensor " + query + ".scale is missing"},
		{func(l []safetensors.Tensor, i int) []safetensors.Tensor {
			l[i].Data = slices.Clone(l[i].Data)
			l[i].Data[3] = 0x80
			return l
		}, query + " has a value of -128"},
		{func(l []safetensors.Tensor, i int) []safetensors.Tensor {
			scale := make([]float32, l[i].Shape[0])
			scale[1] = float32(math.NaN())
			l[i+1] = safetensors.Float32Tensor(l[i+1].Name, l[i+1].Shape, scale)
			return l
		}, query + ".scale: scale 1 is NaN"},
		{func(l []safetensors.Tensor, i int) []safetensors.Tensor {
			l[i+1] = safetensors.Float32Tensor(l[i+1].Name, []int{1}, []float32{1})
			return l
		}, query + " has shape"},
	} {
		m := model.New(c, 1)
		if err := dev.Quantize(m.Params, m.Products()); err != nil {
			t.Fatal(err)
		}
		list := m.Tensors()
		i := slices.IndexFunc(list, func(x safetensors.Tensor) bool { return x.Name == query })
		path := filepath.Join(t.TempDir(), model.WeightsFile)
		if err := safetensors.Write(path, bad.change(list, i), nil); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = model.FromFile(c, f); err == nil || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, bad.want)
		}
		f.Close()
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, of := range []string{query, "albert.embeddings.LayerNorm.bias", "albert.embeddings.word_embeddings.weight"} {
			m := model.New(c, 1)
			p := m.Params.List[slices.IndexFunc(m.Params.List, func(p *ops.Param) bool { return p.Name == of })]
			p.Data[len(p.Data)-1] = float32(v)
			if err := dev.Quantize(m.Params, m.Products()); err == nil || !strings.Contains(err.Error(), "tensor "+of+" has values that are not finite") {
				t.Errorf("%v in %s: %v", v, of, err)
			}
		}
	}
}
