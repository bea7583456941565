package task

import (
	"math"
	"math/rand/v2"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/model"
	"albert/tokenizer"
)

// The loss of pairs is binary cross-entropy on the logit, mean over the batch, and it and its gradient are those of the formula in float64 to 1e-5:
// by the logit for logits of every size, and through the model by the classifier's own parameters and by differences in one of the encoder.
func TestRankLossIsTheFormula(t *testing.T) {
	formula := func(x, y float64) (loss, d float64) {
		p := 1 / (1 + math.Exp(-x))
		return y*math.Log1p(math.Exp(-x)) + (1-y)*math.Log1p(math.Exp(x)), p - y
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		x, y := float32(r.NormFloat64()*6), float32(r.IntN(5))/4
		e, g := Example{Values: []float32{y}}, [][]float32{{0}}
		got := e.loss(model.Rank, [][]float32{{x}}, g, 0.25)
		want, d := formula(float64(x), float64(y))
		if math.Abs(got-want) > 1e-5*max(1, want) || math.Abs(float64(g[0][0])-0.25*d) > 1e-5*0.25*max(math.Abs(d), 1e-3) {
			t.Fatalf("logit %v, label %v: loss %v, want %v; gradient %v, want %v", x, y, got, want, g[0][0], 0.25*d)
		}
	}

	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads, c.InitializerRange = 50, 8, 16, 32, 2, 2, 0.3
	m := model.NewWith(c, model.Rank.Heads(1), 1)
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	o := &Objective{Kind: model.Rank, Model: m, Device: dev}
	var examples []Example
	for i := range 12 {
		in := tokenizer.Encoding{}
		for k := range 3 + r.IntN(20) {
			in.IDs, in.Types = append(in.IDs, int32(r.IntN(50))), append(in.Types, int32(min(1, k/3)))
		}
		examples = append(examples, Example{Index: uint64(i), Label: NoLabel, Inputs: []tokenizer.Encoding{in}, Values: []float32{float32(r.IntN(3)) / 2}})
	}
	// loss is that of the formula of the model's logits and, with g, the step's own.
	loss := func(g *ops.Grads) (sum, bias float64) {
		m.Params.Touch()
		step := o.NewStep(1, examples)
		if g == nil {
			g = ops.NewGrads(m.Params)
		}
		if err := step.Leaf(g, 0, len(examples)); err != nil {
			t.Fatal(err)
		}
		for i, out := range o.Run(ops.NewGrads(m.Params), examples, 1, step.count) {
			l, d := formula(float64(out.Logits[0][0]), float64(examples[i].Values[0]))
			sum, bias = sum+l/float64(len(examples)), bias+d/float64(len(examples))
		}
		if own := step.Report().Number("loss"); math.Abs(own-sum) > 1e-5*sum {
			t.Errorf("loss %v, want %v", own, sum)
		}
		return sum, bias
	}
	g := ops.NewGrads(m.Params)
	_, bias := loss(g)
	if got := float64(g.Of(m.Classifier.B)[0]); math.Abs(got-bias) > 1e-5*math.Abs(bias) {
		t.Errorf("the bias's gradient is %v, want %v", got, bias)
	}
	for _, p := range []*ops.Param{m.Classifier.W, m.Pooler.W} { // in its own direction: the square of the gradient's norm
		own, norm := g.Of(p), 0.0
		for _, x := range own {
			norm += float64(x) * float64(x)
		}
		before := append([]float32{}, p.Data...)
		const h = 0.02
		at := func(sign float64) float64 {
			for i := range p.Data {
				p.Data[i] = float32(float64(before[i]) + sign*h*float64(own[i])/math.Sqrt(norm))
			}
			l, _ := loss(nil)
			return l
		}
		slope := (at(1) - at(-1)) / (2 * h)
		copy(p.Data, before)
		if math.Abs(slope-math.Sqrt(norm)) > 2e-3*slope {
			t.Errorf("%s: the loss rises by %v along the gradient, whose norm is %v", p.Name, slope, math.Sqrt(norm))
		}
	}
}

// Pairs that are too long are cut as CrossEncoder's tokenizers do it: of an odd number of pieces the longer text keeps one more, the second of equal ones.
func TestLayoutRanked(t *testing.T) {
	tok, err := tokenizer.Open("../../../tokenizer/testdata/albert.model")
	if err != nil {
		t.Fatal(err)
	}
	ids := func(n int) []int32 { return make([]int32, n) }
	for _, c := range [][5]int{{3, 4, 12, 3, 4}, {5, 5, 12, 4, 5}, {9, 5, 12, 5, 4}, {5, 9, 12, 4, 5}, {6, 6, 11, 4, 4}, {2, 20, 12, 2, 7}, {20, 3, 12, 6, 3}, {20, 4, 12, 5, 4},
		{0, 20, 12, 0, 9}, {20, 0, 12, 9, 0}, {9, 9, 4, 0, 1}, {9, 9, 3, 0, 0}} {
		e, err := LayoutRanked(tok, ids(c[0]), ids(c[1]), c[2])
		a, b := e.A.To-e.A.From, e.B.To-e.B.From
		if err != nil || a != c[3] || b != c[4] || len(e.IDs) != a+b+3 || e.Truncated != (c[0]+c[1]+3 > c[2]) {
			t.Errorf("%d and %d pieces in %d: %d and %d, truncated %v (%v), want %d and %d", c[0], c[1], c[2], a, b, e.Truncated, err, c[3], c[4])
		}
	}
	if _, err := LayoutRanked(tok, ids(2), ids(2), 2); err == nil {
		t.Error("no error where there is no room for the special pieces")
	}
}
