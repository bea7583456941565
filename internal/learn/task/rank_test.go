package task

import (
	"math"
	"math/rand/v2"
	"testing"

	"albert/internal/model"
	"albert/tokenizer"
)

// The loss of a pair is binary cross-entropy, and it and its gradient by the logit are those of the formula in float64 to 1e-5, for logits of every
// size. TestHeadsAgreeWithTransformers has the gradients of all parameters.
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
