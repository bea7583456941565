package task

import (
	"math"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/learn/train"
)

// The losses of vectors, as sentence-transformers computes them.
const (
	// MNR is multiple negatives ranking (MultipleNegativesRankingLoss): the cross-entropy of an anchor's own positive among the positives and
	// negatives of the whole batch, by the scaled cosine; mean over the anchors. A candidate whose text is that of the anchor or of its
	// positive is left out.
	MNR = "mnr"
	// CoSENT is CoSENTLoss: log(1 + the sum of exp(scale (cos j - cos i)) over the pairs of examples of which i has the higher score).
	CoSENT = "cosent"
	// Cosine is CosineSimilarityLoss: the mean of (cos - score) squared.
	Cosine = "cosine"
	// MSE is MSELoss: the mean of (vector - target) squared over examples and values.
	MSE = "mse"
)

// VectorLoss is a loss of the vectors of a batch.
type VectorLoss struct {
	Loss  string
	Scale float64 // of MNR and CoSENT
	// Dimensions are Matryoshka's: the loss is the sum of those of the vectors' first so many values, for each of the numbers.
	Dimensions []int
}

// matrix is vectors one after another.
type matrix struct {
	rows, cols int
	data       []float32
}

func newMatrix(rows, cols int) *matrix { return &matrix{rows, cols, make([]float32, rows*cols)} }

func (m *matrix) row(i int) []float32 { return m.data[i*m.cols : (i+1)*m.cols] }

// loss gives "loss" and, of [MNR], "accuracy", by the first of the dimensions; the loss's gradient is added to grads. first is the number of
// each example's first vector, and that of all.
func (l *VectorLoss) loss(dev ops.Device, examples []Example, first []int, vectors, grads *matrix) train.Fields {
	sum, accuracy := 0.0, 0.0
	for k, n := range l.Dimensions {
		switch l.Loss {
		case MNR:
			loss, hits := l.ranking(dev, examples, first, vectors, grads, n)
			if sum += loss; k == 0 {
				accuracy = float64(hits) / float64(len(examples))
			}
		case MSE:
			sum += meanSquares(examples, first, vectors, grads, n)
		default:
			sum += l.similarity(examples, first, vectors, grads, n)
		}
	}
	report := train.Fields{{Name: "loss", Value: sum}}
	if l.Loss == MNR {
		report = append(report, train.Field{Name: "accuracy", Value: accuracy})
	}
	return report
}

// leftOut is the logit of a candidate that is left out: its share of the softmax is exactly 0.
const leftOut = -1e30

// anchorBlock is how many anchors are compared with all candidates at once: with 8,192 candidates a block of logits is 4 MB.
const anchorBlock = 128

// ranking is [MNR] of the first n values, and how often an anchor's own positive has the highest logit. Each gradient is one chain over the
// candidates or over the anchors, in their order.
func (l *VectorLoss) ranking(dev ops.Device, examples []Example, first []int, vectors, grads *matrix, n int) (loss float64, hits int) {
	var candidates []int // numbers of vectors
	var texts, targets []int32
	for i, e := range examples {
		targets = append(targets, int32(len(candidates)))
		for j := 1; j < len(e.Inputs); j++ {
			candidates, texts = append(candidates, first[i]+j), append(texts, e.Texts[j])
		}
	}
	table := ops.NewParam("candidates", len(candidates), n)
	lengths := make([]float64, len(candidates))
	for j, c := range candidates {
		lengths[j] = unit(table.Data[j*n:(j+1)*n], vectors.row(c)[:n])
	}
	params := ops.NewParams([]*ops.Param{table})
	params.Touch()
	g := ops.NewGrads(params)
	u := make([]float32, n)
	for from := 0; from < len(examples); from += anchorBlock {
		block := examples[from:min(from+anchorBlock, len(examples))]
		x := &ops.Tensor{Rows: len(block), Cols: n, Stride: n, Data: make([]float32, len(block)*n)}
		length := make([]float64, len(block))
		for i := range block {
			row := x.Row(i)
			length[i] = unit(row, vectors.row(first[from+i])[:n])
			for k := range row {
				row[k] *= float32(l.Scale)
			}
		}
		t := ops.NewTape(dev, g)
		logits := t.Linear(x, ops.Identity, ops.Affine{W: table})
		for i, e := range block {
			row := logits.Row(i)
			for j, text := range texts {
				if (text == e.Texts[0] || text == e.Texts[1]) && int32(j) != targets[from+i] {
					row[j] = leftOut
				}
			}
		}
		target := targets[from : from+len(block)]
		found := t.SoftmaxLoss(logits, target, float32(1/float64(len(examples))))
		t.Backward()
		for i := range block {
			loss += float64(found.Values[i])
			if found.Argmax[i] == target[i] {
				hits++
			}
			d := x.Grad().Row(i)
			for k := range d {
				d[k] *= float32(l.Scale)
			}
			a := first[from+i]
			unit(u, vectors.row(a)[:n])
			unitGrad(grads.row(a)[:n], d, u, length[i])
		}
		t.Reset()
	}
	for j, c := range candidates {
		unitGrad(grads.row(c)[:n], g.Of(table)[j*n:(j+1)*n], table.Data[j*n:(j+1)*n], lengths[j])
	}
	return loss / float64(len(examples)), hits
}

// unit writes v at length 1 into u, zeros for zeros, and gives its length.
func unit(u, v []float32) float64 {
	length := math.Sqrt(dot(v, v))
	for i, x := range v {
		u[i] = 0
		if length > 0 {
			u[i] = float32(float64(x) / length)
		}
	}
	return length
}

// unitGrad adds to dv the gradient of a vector whose unit vector u has the gradient du: (du - (du u) u) / length.
func unitGrad(dv, du, u []float32, length float64) {
	if length == 0 {
		return
	}
	along := dot(du, u)
	for i, d := range du {
		dv[i] += float32((float64(d) - float64(along*float64(u[i]))) / length)
	}
}

// similarity is [CoSENT] or [Cosine] of the first n values.
func (l *VectorLoss) similarity(examples []Example, first []int, vectors, grads *matrix, n int) float64 {
	cos, d := make([]float64, len(examples)), make([]float64, len(examples))
	for i := range examples {
		cos[i] = CosineOf(vectors.row(first[i])[:n], vectors.row(first[i] + 1)[:n])
	}
	var loss float64
	if l.Loss == Cosine {
		for i, e := range examples {
			x := cos[i] - float64(e.Values[0])
			loss += float64(x*x) / float64(len(examples))
			d[i] = 2 * x / float64(len(examples))
		}
	} else {
		loss = l.cosent(examples, cos, d)
	}
	a, b := make([]float32, n), make([]float32, n)
	for i := range examples {
		va, vb := vectors.row(first[i])[:n], vectors.row(first[i] + 1)[:n]
		la, lb := unit(a, va), unit(b, vb)
		if la == 0 || lb == 0 {
			continue
		}
		da, db := grads.row(first[i])[:n], grads.row(first[i] + 1)[:n]
		for k := range n {
			ua, ub := float64(a[k]), float64(b[k])
			da[k] += float32(d[i] * (ub - float64(cos[i]*ua)) / la)
			db[k] += float32(d[i] * (ua - float64(cos[i]*ub)) / lb)
		}
	}
	return loss
}

// cosent gives the loss and, in d, its gradient by the cosines.
func (l *VectorLoss) cosent(examples []Example, cos, d []float64) float64 {
	high := 0.0 // the largest exponent; 0 is that of the 1
	each := func(f func(i, j int, z float64)) {
		for i := range examples {
			for j := range examples {
				if examples[i].Values[0] > examples[j].Values[0] {
					f(i, j, l.Scale*(cos[j]-cos[i]))
				}
			}
		}
	}
	each(func(_, _ int, z float64) { high = max(high, z) })
	sum := numeric.Exp64(-high)
	each(func(_, _ int, z float64) { sum += numeric.Exp64(z - high) })
	each(func(i, j int, z float64) {
		p := float64(l.Scale * (numeric.Exp64(z-high) / sum))
		d[j] += p
		d[i] -= p
	})
	return high + numeric.Log64(sum)
}

// meanSquares is [MSE] of the first n values.
func meanSquares(examples []Example, first []int, vectors, grads *matrix, n int) (loss float64) {
	count := float64(len(examples)) * float64(n)
	for i, e := range examples {
		v, g := vectors.row(first[i]), grads.row(first[i])
		for k := range n {
			d := float64(v[k]) - float64(e.Values[k])
			loss += float64(d*d) / count
			g[k] += float32(2 * d / count)
		}
	}
	return loss
}

// dot is the inner product, one chain in float64.
func dot(a, b []float32) (sum float64) {
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return sum
}

// CosineOf is the cosine of two vectors; 0 where one is zeros.
func CosineOf(a, b []float32) float64 {
	lengths := math.Sqrt(dot(a, a)) * math.Sqrt(dot(b, b))
	if lengths == 0 {
		return 0
	}
	return dot(a, b) / lengths
}
