package optim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
)

func TestSchedule(t *testing.T) {
	s := Schedule{LearningRate: 0.00176, Steps: 125000, Warmup: 3125}
	for _, c := range []struct {
		step int
		want float64
	}{
		{1, 0}, {2, 0.00176 / 3125}, {3125, 0.00176 * 3124 / 3125},
		{3126, 0.00176 * (1 - 3125.0/125000)}, // the jump: 0.001716
		{125000, 0.00176 / 125000}, {125001, 0}, {200000, 0},
	} {
		if got := s.At(c.step); math.Abs(float64(got)-c.want) > 1e-7*c.want {
			t.Errorf("step %d: %v, want %v", c.step, got, c.want)
		}
	}
	if got := (Schedule{LearningRate: 2, Steps: 4}).At(1); got != 2 {
		t.Errorf("without warm-up step 1 has rate %v", got)
	}
	if got := (Schedule{LearningRate: 2, Steps: 4, Power: 2}).At(3); math.Abs(float64(got)-0.5) > 1e-6 {
		t.Errorf("squared decay at half: %v", got)
	}
}

// The tensors that the released pattern finds by TensorFlow's names are those that it finds by ours.
func TestExclusionIsTheSameByBothNames(t *testing.T) {
	const tfLayer, layer = "bert/encoder/transformer/group_0/inner_group_0/", "albert.encoder.albert_layer_groups.0.albert_layers.0."
	names := map[string]string{
		"bert/embeddings/word_embeddings":                  "albert.embeddings.word_embeddings.weight",
		"bert/embeddings/token_type_embeddings":            "albert.embeddings.token_type_embeddings.weight",
		"bert/embeddings/position_embeddings":              "albert.embeddings.position_embeddings.weight",
		"bert/embeddings/LayerNorm/gamma":                  "albert.embeddings.LayerNorm.weight",
		"bert/embeddings/LayerNorm/beta":                   "albert.embeddings.LayerNorm.bias",
		"bert/encoder/embedding_hidden_mapping_in/kernel":  "albert.encoder.embedding_hidden_mapping_in.weight",
		"bert/encoder/embedding_hidden_mapping_in/bias":    "albert.encoder.embedding_hidden_mapping_in.bias",
		tfLayer + "attention_1/self/query/kernel":          layer + "attention.query.weight",
		tfLayer + "attention_1/self/query/bias":            layer + "attention.query.bias",
		tfLayer + "attention_1/self/key/kernel":            layer + "attention.key.weight",
		tfLayer + "attention_1/self/key/bias":              layer + "attention.key.bias",
		tfLayer + "attention_1/self/value/kernel":          layer + "attention.value.weight",
		tfLayer + "attention_1/self/value/bias":            layer + "attention.value.bias",
		tfLayer + "attention_1/output/dense/kernel":        layer + "attention.dense.weight",
		tfLayer + "attention_1/output/dense/bias":          layer + "attention.dense.bias",
		tfLayer + "LayerNorm/gamma":                        layer + "attention.LayerNorm.weight",
		tfLayer + "LayerNorm/beta":                         layer + "attention.LayerNorm.bias",
		tfLayer + "ffn_1/intermediate/dense/kernel":        layer + "ffn.weight",
		tfLayer + "ffn_1/intermediate/dense/bias":          layer + "ffn.bias",
		tfLayer + "ffn_1/intermediate/output/dense/kernel": layer + "ffn_output.weight",
		tfLayer + "ffn_1/intermediate/output/dense/bias":   layer + "ffn_output.bias",
		tfLayer + "LayerNorm_1/gamma":                      layer + "full_layer_layer_norm.weight",
		tfLayer + "LayerNorm_1/beta":                       layer + "full_layer_layer_norm.bias",
		"bert/pooler/dense/kernel":                         "albert.pooler.weight",
		"bert/pooler/dense/bias":                           "albert.pooler.bias",
		"cls/predictions/transform/dense/kernel":           "predictions.dense.weight",
		"cls/predictions/transform/dense/bias":             "predictions.dense.bias",
		"cls/predictions/transform/LayerNorm/gamma":        "predictions.LayerNorm.weight",
		"cls/predictions/transform/LayerNorm/beta":         "predictions.LayerNorm.bias",
		"cls/predictions/output_bias":                      "predictions.bias",
		"cls/seq_relationship/output_weights":              "sop_classifier.classifier.weight",
		"cls/seq_relationship/output_bias":                 "sop_classifier.classifier.bias",
	}
	for tf, hf := range names {
		if Excluded(tf) != Excluded(hf) {
			t.Errorf("%s: %v, %s: %v", tf, Excluded(tf), hf, Excluded(hf))
		}
	}
	if !Excluded("predictions.decoder.bias") {
		t.Error("predictions.decoder.bias is not excluded")
	}
}

// threads is a device of n goroutines.
type threads struct {
	k *kernel.Set
	n int
}

func (d threads) Kernels() *kernel.Set { return d.k }

func (d threads) RunLarge(n int, f func(int)) { d.Run(n, f) }

func (d threads) Run(n int, f func(int)) {
	var wg sync.WaitGroup
	for t := range d.n {
		wg.Go(func() {
			for i := d.n - 1 - t; i < n; i += d.n { // not in order
				f(i)
			}
		})
	}
	wg.Wait()
}

// testParams have sizes around the blocks' and tasks' borders, one excluded by each word, one with zero weights.
func testParams(rng *rand.Rand) *ops.Params {
	var list []*ops.Param
	for _, s := range []struct {
		name  string
		shape []int
		scale float64
	}{
		{"albert.embeddings.word_embeddings.weight", []int{333, 128}, 0.02},
		{"albert.embeddings.LayerNorm.weight", []int{128}, 1},
		{"albert.encoder.a.full_layer_layer_norm.weight", []int{97}, 1},
		{"albert.encoder.a.ffn.weight", []int{64, 256}, 0.05},
		{"albert.encoder.a.ffn.bias", []int{4097}, 0.1},
		{"albert.pooler.weight", []int{1, 1}, 1},
		{"zero.weight", []int{100, 41}, 0},
	} {
		p := ops.NewParam(s.name, s.shape...)
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64() * s.scale)
		}
		list = append(list, p)
	}
	return ops.NewParams(list)
}

// testGradient is the gradient of a step; now and then a tensor has none.
func testGradient(rng *rand.Rand, params *ops.Params, g *ops.Grads, step int) {
	for i, p := range params.List {
		scale := math.Exp(rng.NormFloat64()*2 - 4)
		if (step+i)%7 == 0 {
			scale = 0
		}
		for j := range g.Of(p) {
			g.Of(p)[j] = float32(rng.NormFloat64() * scale)
		}
	}
}

// reference is SPEC 3 in float64, one tensor at a time.
type reference struct {
	config  Config
	w, m, v [][]float64
}

func newReference(c Config, params *ops.Params) *reference {
	r := &reference{config: c}
	for _, p := range params.List {
		w := make([]float64, len(p.Data))
		for i, x := range p.Data {
			w[i] = float64(x)
		}
		r.w = append(r.w, w)
		r.m, r.v = append(r.m, make([]float64, len(w))), append(r.v, make([]float64, len(w)))
	}
	return r
}

func (r *reference) step(t int, params *ops.Params, g *ops.Grads, rate float64) (norm float64) {
	for _, x := range g.Flat() {
		norm += float64(x) * float64(x)
	}
	norm = math.Sqrt(norm)
	clip := 1.0
	if norm > r.config.Clip {
		clip = r.config.Clip / norm
	}
	for i, p := range params.List {
		u := make([]float64, len(p.Data))
		wn, un := 0.0, 0.0
		for j, x := range g.Of(p) {
			d := float64(x) * clip
			r.m[i][j] = 0.9*r.m[i][j] + 0.1*d
			r.v[i][j] = 0.999*r.v[i][j] + 0.001*d*d
			m, v := r.m[i][j], r.v[i][j]
			if r.config.BiasCorrection {
				m, v = m/(1-math.Pow(0.9, float64(t))), v/(1-math.Pow(0.999, float64(t)))
			}
			u[j] = m / (math.Sqrt(v) + 1e-6)
			if !Excluded(p.Name) {
				u[j] += float64(r.config.WeightDecay) * r.w[i][j]
			}
			wn += r.w[i][j] * r.w[i][j]
			un += u[j] * u[j]
		}
		ratio := 1.0
		if r.config.Kind == LAMB && !Excluded(p.Name) && wn > 0 && un > 0 {
			ratio = math.Sqrt(wn / un)
		}
		for j := range u {
			r.w[i][j] -= rate * ratio * u[j]
		}
	}
	return norm
}

func TestAgainstFloat64(t *testing.T) {
	for name, config := range map[string]Config{"lamb": {Kind: LAMB}, "adamw": {Kind: AdamW}, "adamw with bias correction": {Kind: AdamW, BiasCorrection: true}} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			params := testParams(rng)
			config.WeightDecay, config.Clip = 0.01, 1
			o := New(config, params, threads{mustSelect(t, "generic"), 1})
			ref := newReference(config, params)
			before := newReference(config, params).w
			g := ops.NewGrads(params)
			rate := Schedule{LearningRate: 0.01, Steps: 40, Warmup: 5}
			for step := 1; step <= 20; step++ {
				testGradient(rng, params, g, step)
				version := params.List[0].Version()
				want := ref.step(step, params, g, float64(rate.At(step)))
				norm := o.Norm(g)
				if math.Abs(norm-want) > 1e-6*want {
					t.Fatalf("step %d: norm %v, want %v", step, norm, want)
				}
				o.Step(step, g, norm, rate.At(step))
				if params.List[0].Version() == version {
					t.Fatal("devices are not told that weights changed")
				}
			}
			for i, p := range params.List {
				diff, update := 0.0, 0.0
				for j, x := range p.Data {
					d, u := float64(x)-ref.w[i][j], ref.w[i][j]-before[i][j]
					diff += d * d
					update += u * u
				}
				if diff = math.Sqrt(diff / update); !(diff < 3e-5) {
					t.Errorf("%s: off by %.2g of its update", p.Name, diff)
				} else {
					t.Logf("%-45s off by %.2g of its update", p.Name, diff)
				}
			}
		})
	}
}

// The bits are the same for every instruction set and any number of threads.
func TestSameBits(t *testing.T) {
	for _, config := range []Config{{Kind: LAMB}, {Kind: AdamW}, {Kind: AdamW, BiasCorrection: true}} {
		config.WeightDecay, config.Clip = 0.01, 1
		var want []float32
		first := ""
		for _, set := range kernel.Available() {
			for _, n := range []int{1, 2, 7} {
				rng := rand.New(rand.NewPCG(3, 4))
				params := testParams(rng)
				o := New(config, params, threads{mustSelect(t, set), n})
				g := ops.NewGrads(params)
				for step := 1; step <= 5; step++ {
					testGradient(rng, params, g, step)
					o.Step(step, g, o.Norm(g), 0.01)
				}
				m, v := o.Moments()
				got := slices.Concat(m, v)
				for _, p := range params.List {
					got = append(got, p.Data...)
				}
				name := fmt.Sprintf("%v, %s, %d threads", config, set, n)
				if want == nil {
					want, first = got, name
					continue
				}
				for i := range got {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s: value %d is %v; %s: %v", name, i, got[i], first, want[i])
					}
				}
			}
		}
	}
}

func TestNormIsThatOfEachTensorInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	params := testParams(rng)
	g := ops.NewGrads(params)
	testGradient(rng, params, g, 1)
	want := 0.0
	for _, p := range params.List {
		want += numeric.SumSquares(g.Of(p))
	}
	o := New(Config{Kind: LAMB}, params, threads{mustSelect(t, ""), 3})
	if got := o.Norm(g); got != math.Sqrt(want) {
		t.Errorf("%v, want %v", got, math.Sqrt(want))
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		g.Flat()[params.Size()-1] = float32(bad)
		if n := o.Norm(g); !math.IsNaN(n) && !math.IsInf(n, 0) {
			t.Errorf("%v in the gradient, norm %v", bad, n)
		}
	}
}

// A rate of 0, as in the first step of a warm-up, fills the moments and leaves the weights alone.
func TestRateZero(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	params := testParams(rng)
	before := newReference(Config{}, params).w
	o := New(Config{Kind: LAMB, WeightDecay: 0.01, Clip: 1}, params, threads{mustSelect(t, ""), 1})
	g := ops.NewGrads(params)
	testGradient(rng, params, g, 1)
	o.Step(1, g, o.Norm(g), 0)
	for i, p := range params.List {
		for j, x := range p.Data {
			if float64(x) != before[i][j] {
				t.Fatalf("%s changed", p.Name)
			}
		}
	}
	if m, _ := o.Moments(); m[0] == 0 {
		t.Error("m is still 0")
	}
}

func mustSelect(t testing.TB, name string) *kernel.Set {
	k, err := kernel.Select(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func BenchmarkStep(b *testing.B) {
	var list []*ops.Param
	for i, shape := range [][]int{{30000, 128}, {3072, 768}, {768, 3072}, {768, 768}, {768, 768}, {768, 768}, {768, 768}, {768}} {
		list = append(list, ops.NewParam(fmt.Sprint("p", i), shape...))
	}
	params := ops.NewParams(list)
	o := New(Config{Kind: LAMB, WeightDecay: 0.01, Clip: 1}, params, threads{mustSelect(b, ""), 2})
	g := ops.NewGrads(params)
	for i := range g.Flat() {
		g.Flat()[i] = 1e-3
	}
	b.SetBytes(int64(4 * params.Size()))
	for b.Loop() {
		o.Step(1, g, o.Norm(g), 1e-3)
	}
}
