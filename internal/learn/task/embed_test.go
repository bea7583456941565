package task

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/model"
	"albert/tokenizer"
)

func tiny(t *testing.T) *model.Model {
	c, err := model.ParseConfig([]byte(`{"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
		"intermediate_size": 32, "max_position_embeddings": 32, "initializer_range": 0.2}`))
	if err != nil {
		t.Fatal(err)
	}
	return model.New(c, 1)
}

func pairsOf(r *rand.Rand, n int) (list []Example) {
	for i := range n {
		e := Example{Index: uint64(i)}
		for k := range 3 {
			var in tokenizer.Encoding
			for range 3 + r.IntN(12) {
				in.IDs, in.Types = append(in.IDs, int32(5+r.IntN(45))), append(in.Types, 0)
			}
			e.Inputs, e.Texts = append(e.Inputs, in), append(e.Texts, int32(3*i+k))
		}
		list = append(list, e)
	}
	return list
}

// step runs a step in leaves that end after the given examples, and gives its loss and gradient.
func step(t *testing.T, e *Embedder, examples []Example, ends ...int) (float64, *ops.Grads) {
	t.Helper()
	b, g := e.NewStep(3, examples), ops.NewGrads(e.Model.Params)
	run := func(f func(from, to int) error) {
		from := 0
		for _, to := range ends {
			if err := f(from, to); err != nil {
				t.Fatal(err)
			}
			from = to
		}
	}
	run(b.Forward)
	if err := b.Join(); err != nil {
		t.Fatal(err)
	}
	run(func(from, to int) error { return b.Leaf(g, from, to) })
	return b.Report().Number("loss"), g
}

// The gradient of a step is that of its loss, of all leaves' vectors together: along itself the loss rises by its square. The loss has the
// same bits on any number of threads.
func TestEmbedStepsGradient(t *testing.T) {
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	examples := pairsOf(rand.New(rand.NewPCG(5, 5)), 9)
	for _, pooling := range []string{PoolMean, PoolCLS, PoolMax} {
		m := tiny(t)
		e := &Embedder{Model: m, Device: dev, Seed: 1, Pooling: pooling, Drop: model.Dropouts{Hidden: 0.1, Attention: 0.1},
			VectorLoss: VectorLoss{Loss: MNR, Scale: 5, Dimensions: []int{16, 8}}}
		loss, g := step(t, e, examples, 3, 4, 9)
		one := *e
		one.Device = dev.Single()
		if again, h := step(t, &one, examples, 3, 4, 9); again != loss || !slices.Equal(g.Flat(), h.Flat()) {
			t.Errorf("%s: loss %v on one thread, %v on two", pooling, again, loss)
		}
		squares := 0.0
		for _, x := range g.Flat() {
			squares += float64(x) * float64(x)
		}
		along := func(by float64) float64 {
			for _, p := range m.Params.List {
				for i, d := range g.Of(p) {
					p.Data[i] += float32(by * float64(d))
				}
			}
			m.Params.Touch()
			defer func() { m.Params.Touch() }()
			loss, _ := step(t, e, examples, 9)
			return loss
		}
		h := 2e-3 / math.Sqrt(squares)
		up := along(h)
		down := along(-2 * h)
		if got := (up - down) / (2 * h); math.Abs(got-squares) > 0.01*squares {
			t.Errorf("%s: the loss rises by %v, want %v", pooling, got, squares)
		}
	}
}
