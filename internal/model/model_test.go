package model_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/formats"
	"albert/internal/model"
)

func tinyConfig() model.Config {
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize = 70, 24, 36, 50
	c.NumHiddenLayers, c.NumAttentionHeads, c.MaxPositionEmbeddings = 3, 3, 48
	c.InitializerRange = 0.2
	return c
}

func device(t testing.TB, set string, threads int) *cpu.Device {
	dev, err := cpu.New(set, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	return dev
}

// sequences of unequal lengths.
func sequences(lengths ...int) (out [][]int32) {
	for s, n := range lengths {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(5 + (i*i*7+13*s)%60)
		}
		out = append(out, ids)
	}
	return out
}

func batchOf(seqs [][]int32, order ...int) *ops.Batch {
	b := &ops.Batch{Offsets: []int32{0}}
	for _, s := range order {
		for i, id := range seqs[s] {
			b.IDs = append(b.IDs, id)
			b.Types = append(b.Types, int32(2*i/len(seqs[s])))
		}
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
		b.Examples = append(b.Examples, uint64(s))
	}
	return b
}

// A sequence's output has the same bits alone and in any batch, in any order, on any number of threads and instruction set, and
// whether or not it is recorded; its first row also where no other is wanted.
func TestOutputDependsOnTheSequenceAlone(t *testing.T) {
	c := tinyConfig()
	c.MaxPositionEmbeddings = 400 // more than go through a layer at once
	m := model.New(c, 3)
	seqs := sequences(7, 48, 1, 20, 33, 400)
	want := map[int][]float32{}
	ref := device(t, "generic", 1)
	for s := range seqs {
		tape := ops.NewTape(ref, nil)
		x := m.Encode(tape, batchOf(seqs, s), model.NoDropout)
		for r := range x.Rows {
			want[s] = append(want[s], x.Row(r)...)
		}
		tape.Reset()
	}
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 2, 5} {
			dev := device(t, set, threads)
			for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 2, 0}, {3, 3, 1}, {5}, {0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 3, 0, 4, 1, 2}} {
				for _, g := range []*ops.Grads{nil, ops.NewGrads(m.Params)} {
					tape := ops.NewTape(dev, g)
					b := batchOf(seqs, order...)
					x := m.Encode(tape, b, model.NoDropout)
					for i, s := range order {
						n := 0
						for r := b.Offsets[i]; r < b.Offsets[i+1]; r++ {
							for _, v := range x.Row(int(r)) {
								if math.Float32bits(v) != math.Float32bits(want[s][n]) {
									t.Fatalf("%s, %d threads, batch %v: sequence %d, value %d is %v, alone %v", set, threads, order, s, n, v, want[s][n])
								}
								n++
							}
						}
					}
					if g == nil {
						x = m.EncodeFirst(tape, b)
						for i, s := range order {
							if got := x.Row(int(b.Offsets[i])); !slices.Equal(got, want[s][:len(got)]) {
								t.Fatalf("%s, %d threads, batch %v: the first row alone of sequence %d is %v, in all %v", set, threads, order, s, got, want[s][:len(got)])
							}
						}
					}
					tape.Reset()
				}
			}
		}
	}
}

// A broken weight makes all values of a sequence NaN that needs it, and leaves those of others alone.
func TestBrokenWeights(t *testing.T) {
	dev := device(t, "", 2)
	encode := func(m *model.Model, seqs ...[]int32) (values []float32) {
		order := []int{0, 1}[:len(seqs)]
		tape := ops.NewTape(dev, nil)
		x := m.Encode(tape, batchOf(seqs, order...), model.NoDropout)
		for r := range x.Rows {
			values = append(values, x.Row(r)...)
		}
		return values
	}
	m := model.New(tinyConfig(), 3)
	good, bad := []int32{5, 6, 9}, []int32{8, 6, 7, 9}
	want := encode(m, good)
	m.Word.Data[7*m.Config.EmbeddingSize+11] = float32(math.NaN())
	for _, got := range [][]float32{encode(m, bad), encode(m, bad, good)} {
		for i, v := range got {
			if n := len(bad) * m.Config.HiddenSize; i < n && v == v || i >= n && v != want[i-n] {
				t.Fatalf("value %d of %d is %v", i, len(got), v)
			}
		}
	}
	for channel := range 2 { // the first alone is what tells that no further layer is needed, while the other values are numbers still
		m = model.New(tinyConfig(), 3)
		m.Layers[0].FullNorm.Beta.Data[channel] = float32(math.NaN())
		for i, v := range encode(m, good) {
			if v == v {
				t.Fatalf("channel %d: value %d is %v", channel, i, v)
			}
		}
	}
}

// The gradient has the same bits on every instruction set and number of threads, with dropout.
func TestGradientBits(t *testing.T) {
	m := model.New(tinyConfig(), 3)
	seqs := sequences(7, 48, 9, 20, 33)
	var want []float32
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 2, 7} {
			dev := device(t, set, threads)
			g := ops.NewGrads(m.Params)
			tape := ops.NewTape(dev, g)
			b := batchOf(seqs, 0, 1, 2, 3, 4)
			x := m.Encode(tape, b, model.Dropouts{Hidden: 0.1, Attention: 0.2, Key: ops.DropoutKey(1, 2)})
			tape.SoftmaxLoss(m.SOPLogits(tape, m.Pool(tape, b, x)), []int32{0, 1, 1, 0, 1}, 0.2)
			m.MLMLoss(tape, x, []int32{1, 5, 30, 77, 100}, []int32{9, 8, 7, 6, 5}, 0.2)
			tape.Backward()
			tape.Reset()
			if want == nil {
				want = g.Flat()
				continue
			}
			for i, v := range g.Flat() {
				if math.Float32bits(v) != math.Float32bits(want[i]) {
					t.Fatalf("%s, %d threads: gradient %d is %v, want %v", set, threads, i, v, want[i])
				}
			}
		}
	}
}

func TestSaveLoad(t *testing.T) {
	no := false
	for name, change := range map[string]func(*model.Config){
		"all":       func(c *model.Config) {},
		"groups":    func(c *model.Config) { c.NumHiddenGroups = 3 },
		"attention": func(c *model.Config) { c.Sharing = model.ShareAttention },
		"ffn":       func(c *model.Config) { c.Sharing = model.ShareFFN },
		"none, no map": func(c *model.Config) {
			c.Sharing, c.EmbeddingSize, c.EmbeddingProjection = model.ShareNone, c.HiddenSize, &no
		},
		"inner":         func(c *model.Config) { c.InnerGroupNum, c.Sharing = 2, model.ShareFFN },
		"E = H and map": func(c *model.Config) { c.EmbeddingSize = c.HiddenSize },
	} {
		t.Run(name, func(t *testing.T) {
			c := tinyConfig()
			change(&c)
			m := model.New(c, 11)
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			again, err := formats.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Unused) > 0 {
				t.Errorf("unused: %v", again.Unused)
			}
			if again.Hash() != m.Hash() {
				t.Error("another weights_sha256")
			}
			if again.Params.Size() != m.Params.Size() {
				t.Errorf("%d parameters became %d", m.Params.Size(), again.Params.Size())
			}
			if len(m.Tensors()) != len(model.Layout(c))+map[bool]int{true: 2}[c.EmbeddingProjection != nil] {
				t.Errorf("%d tensors on disk, layout has %d", len(m.Tensors()), len(model.Layout(c)))
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	c := tinyConfig()
	c.Sharing = model.ShareFFN
	m := model.New(c, 1)
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, model.WeightsFile)
	all := m.Tensors()
	edit := func(change func([]safetensors.Tensor) []safetensors.Tensor) error {
		if err := safetensors.Write(path, change(append([]safetensors.Tensor(nil), all...)), nil); err != nil {
			t.Fatal(err)
		}
		_, err := formats.Open(dir)
		return err
	}
	at := func(list []safetensors.Tensor, name string) int {
		for i, x := range list {
			if x.Name == name {
				return i
			}
		}
		t.Fatalf("no tensor %s", name)
		return 0
	}
	for want, change := range map[string]func([]safetensors.Tensor) []safetensors.Tensor{
		"tensor albert.pooler.bias is missing": func(l []safetensors.Tensor) []safetensors.Tensor {
			i := at(l, "albert.pooler.bias")
			return append(l[:i], l[i+1:]...)
		},
		"has shape [36], want [50]": func(l []safetensors.Tensor) []safetensors.Tensor {
			l[at(l, "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.bias")] = safetensors.Float32Tensor("albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.bias", []int{36}, make([]float32, 36))
			return l
		},
		`sharing "ffn", but tensor`: func(l []safetensors.Tensor) []safetensors.Tensor {
			l[at(l, "albert.encoder.albert_layer_groups.1.albert_layers.0.ffn.bias")] = safetensors.Float32Tensor("albert.encoder.albert_layer_groups.1.albert_layers.0.ffn.bias", []int{50}, append(make([]float32, 49), 1))
			return l
		},
	} {
		if err := edit(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, model.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := formats.Open(dir); err == nil || !strings.Contains(err.Error(), "not a model directory") {
		t.Error(err)
	}
}

// Initial values depend on the seed and the tensor's name, keep to two deviations and have about the deviation of a truncated normal.
func TestInitialisation(t *testing.T) {
	c := tinyConfig()
	m, same, other := model.New(c, 1), model.New(c, 1), model.New(c, 2)
	if m.Hash() != same.Hash() || m.Hash() == other.Hash() {
		t.Error("the seed does not decide the weights")
	}
	sum, n := 0.0, 0
	for _, p := range m.Params.List {
		if len(p.Shape) != 2 {
			want := float32(0)
			if strings.Contains(strings.ToLower(p.Name), "norm") && strings.HasSuffix(p.Name, "weight") {
				want = 1
			}
			for _, v := range p.Data {
				if v != want {
					t.Fatalf("%s starts at %v, want %v", p.Name, v, want)
				}
			}
			continue
		}
		for _, v := range p.Data {
			if math.Abs(float64(v)) > 0.4 {
				t.Fatalf("%s: %v is beyond two deviations", p.Name, v)
			}
			sum += float64(v) * float64(v)
			n++
		}
	}
	// A normal distribution cut at two deviations keeps 0.880 of its deviation.
	if d := math.Sqrt(sum/float64(n)) / 0.2; math.Abs(d-0.880) > 0.01 {
		t.Errorf("deviation %.3f of initializer_range, want 0.880", d)
	}
}

func Example() {
	c, _ := model.NamedConfig("base")
	encoder, total := c.ParameterCount()
	fmt.Println(encoder, total)
	// Output: 11683584 11813810
}
