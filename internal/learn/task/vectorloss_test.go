package task

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"albert/internal/engine/cpu"
	"albert/tokenizer"
)

// reference is the losses in float64, from their formulas; vectors[i] are those of example i's texts.
func reference(l VectorLoss, examples []Example, vectors [][][]float64) (sum float64) {
	cosine := func(a, b []float64) float64 {
		ab, aa, bb := 0.0, 0.0, 0.0
		for i := range a {
			ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
		}
		return ab / math.Sqrt(aa*bb)
	}
	b := float64(len(examples))
	for _, n := range l.Dimensions {
		for i, e := range examples {
			v := vectors[i]
			switch l.Loss {
			case MNR:
				all, own := 0.0, math.Exp(l.Scale*cosine(v[0][:n], v[1][:n]))
				for j, other := range examples {
					for k := 1; k < len(other.Texts); k++ {
						if text := other.Texts[k]; i == j && k == 1 || text != e.Texts[0] && text != e.Texts[1] {
							all += math.Exp(l.Scale * cosine(v[0][:n], vectors[j][k][:n]))
						}
					}
				}
				sum -= math.Log(own/all) / b
			case Cosine:
				d := cosine(v[0][:n], v[1][:n]) - float64(e.Values[0])
				sum += d * d / b
			case MSE:
				for k := range n {
					d := v[0][k] - float64(e.Values[k])
					sum += d * d / b / float64(n)
				}
			}
		}
		if l.Loss == CoSENT {
			all := 1.0
			for i, e := range examples {
				for j, other := range examples {
					if e.Values[0] > other.Values[0] {
						all += math.Exp(l.Scale * (cosine(vectors[j][0][:n], vectors[j][1][:n]) - cosine(vectors[i][0][:n], vectors[i][1][:n])))
					}
				}
			}
			sum += math.Log(all)
		}
	}
	return sum
}

// randomBatch is examples of a loss with random vectors, of which several texts are equal.
func randomBatch(r *rand.Rand, loss string, n, width int) (examples []Example, first []int, vectors *matrix) {
	first = []int{0}
	for range n {
		e := Example{}
		texts := map[string]int{MNR: 2 + r.IntN(3), MSE: 1}[loss]
		if texts == 0 {
			texts, e.Values = 2, []float32{float32(r.IntN(5)) / 4}
		}
		if loss == MSE {
			for range width {
				e.Values = append(e.Values, float32(r.NormFloat64()))
			}
		}
		for range texts {
			e.Texts = append(e.Texts, int32(r.IntN(2*n)))
		}
		e.Inputs = make([]tokenizer.Encoding, texts)
		examples, first = append(examples, e), append(first, first[len(first)-1]+texts)
	}
	vectors = newMatrix(first[n], width)
	for i := range vectors.data {
		vectors.data[i] = float32(r.NormFloat64())
	}
	return examples, first, vectors
}

// Every loss and its gradient are those of the formula in float64, by central differences, to 1e-5; more anchors than a block, and Matryoshka.
func TestVectorLossesAreTheFormulas(t *testing.T) {
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, loss := range []string{MNR, CoSENT, Cosine, MSE} {
		for _, c := range []struct {
			n, width   int
			dimensions []int
		}{{7, 20, []int{20}}, {anchorBlock + 9, 6, []int{6}}, {5, 33, []int{33, 17, 4}}} {
			t.Run(fmt.Sprint(loss, c.n, c.dimensions), func(t *testing.T) {
				l := VectorLoss{Loss: loss, Scale: 20, Dimensions: c.dimensions}
				r := rand.New(rand.NewPCG(uint64(c.n), 1))
				examples, first, vectors := randomBatch(r, loss, c.n, c.width)
				grads := newMatrix(vectors.rows, vectors.cols)
				report := l.loss(dev, examples, first, vectors, grads)
				v := make([][][]float64, c.n)
				for i := range v {
					for k := first[i]; k < first[i+1]; k++ {
						row := make([]float64, c.width)
						for j, x := range vectors.row(k) {
							row[j] = float64(x)
						}
						v[i] = append(v[i], row)
					}
				}
				want := reference(l, examples, v)
				if got := report.Number("loss"); math.Abs(got-want) > 1e-5*max(1, want) {
					t.Errorf("loss %v, want %v", got, want)
				}
				for range 60 { // of the values of the gradient
					i, k := r.IntN(c.n), r.IntN(c.width)
					row := r.IntN(len(v[i]))
					const h = 1e-5
					x := v[i][row][k]
					v[i][row][k] = x + h
					up := reference(l, examples, v)
					v[i][row][k] = x - h
					down := reference(l, examples, v)
					v[i][row][k] = x
					want, got := (up-down)/(2*h), float64(grads.row(first[i] + row)[k])
					if math.Abs(got-want) > 1e-5*max(1, math.Abs(want)) {
						t.Fatalf("example %d, text %d, value %d: gradient %v, want %v", i, row, k, got, want)
					}
				}
			})
		}
	}
}

// A candidate with the anchor's or the positive's text is no negative: leaving it away changes nothing.
func TestEqualTextsAreNoNegatives(t *testing.T) {
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	l := VectorLoss{Loss: MNR, Scale: 20, Dimensions: []int{8}}
	one := func(texts ...int32) Example {
		return Example{Texts: texts, Inputs: make([]tokenizer.Encoding, len(texts))}
	}
	_, _, vectors := randomBatch(rand.New(rand.NewPCG(1, 2)), MSE, 6, 8)
	loss := func(examples ...Example) float64 {
		first := []int{0}
		for _, e := range examples {
			first = append(first, first[len(first)-1]+len(e.Texts))
		}
		return l.loss(dev, examples, first, vectors, newMatrix(6, 8)).Number("loss")
	}
	if got := loss(one(1, 2, 1, 2, 2)); got != 0 {
		t.Errorf("negatives equal to anchor and positive: loss %v, want 0", got)
	}
	if got := loss(one(1, 2), one(3, 2)); got != 0 {
		t.Errorf("two anchors of one positive: loss %v, want 0", got)
	}
	if got := loss(one(1, 1), one(3, 3)); !(got > 0) {
		t.Errorf("positives equal to their anchors: loss %v, want above 0", got)
	}
}

// Vectors of zeros have no direction: no loss is NaN, and no gradient.
func TestZeroVectorsGiveNoNaN(t *testing.T) {
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, loss := range []string{MNR, CoSENT, Cosine, MSE} {
		l := VectorLoss{Loss: loss, Scale: 20, Dimensions: []int{4}}
		examples, first, vectors := randomBatch(rand.New(rand.NewPCG(1, 2)), loss, 3, 4)
		clear(vectors.row(0))
		grads := newMatrix(vectors.rows, 4)
		sum := l.loss(dev, examples, first, vectors, grads).Number("loss")
		for _, g := range grads.data {
			sum += float64(g)
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			t.Errorf("%s: %v", loss, sum)
		}
	}
}
