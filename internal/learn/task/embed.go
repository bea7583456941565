package task

import (
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// The poolings that vectors are learned with.
const (
	PoolMean = "mean" // over all pieces of a text, [CLS] and [SEP] included
	PoolCLS  = "cls"  // the first piece's
	PoolMax  = "max"  // the largest of each value over all pieces
)

// portable are the kernels of training's poolings, the same bits as all others.
var portable, _ = kernel.Select("generic")

// Pool makes one vector of the rows [from,to) of the encoder's output x.
func Pool(k *kernel.Set, v []float32, x *ops.Tensor, from, to int, pooling string) {
	copy(v, x.Row(from))
	switch pooling {
	case PoolMean:
		for r := from + 1; r < to; r++ {
			k.AddTo(v, x.Row(r))
		}
		k.Scale(v, v, 1/float32(to-from))
	case PoolMax:
		for r := from + 1; r < to; r++ {
			for i, a := range x.Row(r) {
				v[i] = max(v[i], a)
			}
		}
	}
}

// poolGrad writes into the rows [from,to) of dx, zeros before, what the gradient dv of [Pool]'s vector gives them. Of several rows with the
// largest value the first gets it.
func poolGrad(dx *ops.Tensor, dv []float32, x *ops.Tensor, from, to int, pooling string) {
	switch pooling {
	case PoolCLS:
		copy(dx.Row(from), dv)
	case PoolMean:
		scale := 1 / float32(to-from)
		for r := from; r < to; r++ {
			for i, d := range dv {
				dx.Row(r)[i] = d * scale
			}
		}
	case PoolMax:
		for i, d := range dv {
			best := from
			for r := from + 1; r < to; r++ {
				if x.Row(r)[i] > x.Row(best)[i] {
					best = r
				}
			}
			dx.Row(best)[i] = d
		}
	}
}

// Embedder learns vectors of texts. Its examples have an input for each text: of [MNR] the anchor, its positive, and negatives; of [CoSENT] and
// [Cosine] two, and their score in Values; of [MSE] one, and in Values the vector that it is to have.
type Embedder struct {
	Model   *model.Model
	Device  ops.Device
	Drop    model.Dropouts // rates in the encoder; the key is the step's
	Seed    uint64
	Pooling string
	Name    func(source int) string // as that of an [Objective]
	VectorLoss
}

// EmbedStep is a step's examples. Its loss is of all vectors of the step together, so that it is a [train.Joined] batch: the bits depend on
// the examples alone.
type EmbedStep struct {
	Examples []Example

	e       *Embedder
	step    int
	first   []int // the number of each example's first text, and that of all
	vectors *matrix
	grads   *matrix
	report  train.Fields
}

var _ train.Joined = (*EmbedStep)(nil)

// NewStep makes a batch of a step's examples.
func (e *Embedder) NewStep(step int, examples []Example) *EmbedStep {
	b := &EmbedStep{Examples: examples, e: e, step: step, first: make([]int, len(examples)+1)}
	for i := range examples {
		b.first[i+1] = b.first[i] + len(examples[i].Inputs)
	}
	b.vectors = newMatrix(b.first[len(examples)], e.Model.Config.HiddenSize)
	b.grads = newMatrix(b.vectors.rows, b.vectors.cols)
	return b
}

// Len is the number of examples.
func (b *EmbedStep) Len() int { return len(b.Examples) }

// Pieces is the length of example i: of all its texts.
func (b *EmbedStep) Pieces(i int) int { return b.Examples[i].Pieces() }

// encode runs the texts of examples [from,to) through the encoder.
func (b *EmbedStep) encode(t *ops.Tape, from, to int) (*ops.Batch, *ops.Tensor) {
	batch, _ := Batch(b.Examples[from:to])
	drop := b.e.Drop
	drop.Key = ops.DropoutKey(b.e.Seed, uint32(b.step))
	return batch, b.e.Model.Encode(t, batch, drop)
}

// Forward computes the vectors of examples [from,to).
func (b *EmbedStep) Forward(from, to int) error {
	t := ops.NewTape(b.e.Device, nil)
	defer t.Reset()
	batch, x := b.encode(t, from, to)
	for s := range batch.Len() {
		Pool(portable, b.vectors.row(b.first[from]+s), x, int(batch.Offsets[s]), int(batch.Offsets[s+1]), b.e.Pooling)
	}
	return nil
}

// Forwarded are the vectors of examples [from,to).
func (b *EmbedStep) Forwarded(from, to int) []float32 {
	return b.vectors.data[b.first[from]*b.vectors.cols : b.first[to]*b.vectors.cols]
}

// Join computes the loss of all vectors and its gradient.
func (b *EmbedStep) Join() error {
	b.report = b.e.loss(b.e.Device, b.Examples, b.first, b.vectors, b.grads)
	return nil
}

// Leaf runs examples [from,to) forward again and back, adding their gradients to g.
func (b *EmbedStep) Leaf(g *ops.Grads, from, to int) error {
	b.leaf(b.e.Device, g, from, to)
	return nil
}

func (b *EmbedStep) leaf(dev ops.Device, g *ops.Grads, from, to int) {
	t := ops.NewTape(dev, g)
	defer t.Reset()
	batch, x := b.encode(t, from, to)
	dx := t.Seed(x)
	for s := range batch.Len() {
		poolGrad(dx, b.grads.row(b.first[from]+s), x, int(batch.Offsets[s]), int(batch.Offsets[s+1]), b.e.Pooling)
	}
	t.Backward()
}

// Found is nothing: the report is of all vectors together.
func (b *EmbedStep) Found(int, int) []float64 { return nil }

// Report gives the step's loss and, of [MNR], how often an anchor's own positive was the nearest.
func (b *EmbedStep) Report() train.Fields { return b.report }

// Example names example i in the log of a skipped step.
func (b *EmbedStep) Example(i int) string { return b.Examples[i].name(b.e.Name) }

// RunOn runs examples [from,to) forward and back on another device, such as one that measures; the gradients are dropped.
func (b *EmbedStep) RunOn(dev ops.Device, from, to int) {
	b.leaf(dev, new(ops.Grads), from, to)
}
