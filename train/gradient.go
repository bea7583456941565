package train

import (
	"context"
	"fmt"

	"albert/ops"
	"albert/optim"
)

// LeafPieces is the size to which a batch is halved: at most so many pieces, or one sequence. It is part of every run's bits.
const LeafPieces = 1024

// treeLevels is how many levels of halving are added as a tree: 64 parts, the most ranks that can share a step. It is part of
// every run's bits.
const treeLevels = 6

// Leaf is the smallest unit of work: sequences [From,To) of a batch, whose forward and backward pass run together.
type Leaf struct{ From, To, Pieces int }

// halves is the binary tree of a batch: [a,b) is cut at (a+b)/2 until it is a leaf.
type halves struct {
	before []int // pieces before each sequence, and in all
}

func newHalves(b Batch) *halves {
	h := &halves{before: make([]int, b.Len()+1)}
	for i := range b.Len() {
		h.before[i+1] = h.before[i] + b.Pieces(i)
	}
	return h
}

func (h *halves) pieces(a, b int) int { return h.before[b] - h.before[a] }
func (h *halves) isLeaf(a, b int) bool {
	return b-a <= 1 || h.pieces(a, b) <= LeafPieces
}

// each calls f for the leaves of [a,b) in ascending order until it fails.
func (h *halves) each(a, b int, f func(Leaf) error) error {
	if h.isLeaf(a, b) {
		return f(Leaf{a, b, h.pieces(a, b)})
	}
	m := (a + b) / 2
	if err := h.each(a, m, f); err != nil {
		return err
	}
	return h.each(m, b, f)
}

// buffers is how many gradient buffers are alive at once while [from,to) is added as a tree: its left half's sum is kept while the
// right half is computed.
func (h *halves) buffers(from, to, levels int) int {
	if levels == 0 || h.isLeaf(from, to) {
		return 1
	}
	m := (from + to) / 2
	return max(h.buffers(from, m, levels-1), 1+h.buffers(m, to, levels-1))
}

// Leaves lists the leaves of a batch in the order in which they run.
func Leaves(b Batch) []Leaf {
	var list []Leaf
	h := newHalves(b)
	_ = h.each(0, b.Len(), func(l Leaf) error { // never fails
		list = append(list, l)
		return nil
	})
	return list
}

// GradientBuffers is how many gradient buffers a step on b has alive at once, 7 at most.
func GradientBuffers(b Batch) int { return newHalves(b).buffers(0, b.Len(), treeLevels) }

// accumulator computes the gradient of a batch, leaf by leaf.
type accumulator struct {
	params *ops.Params
	dev    optim.Device
	free   []*ops.Grads
}

// gradient runs every leaf of the batch and gives the sum of their gradients; the caller hands it back with put. The first six
// levels of the halving are added as that tree; in a part below, the sum goes on from leaf to leaf in one buffer. After each leaf
// done is told its pieces. If ctx is done the work ends after the running leaf.
func (a *accumulator) gradient(ctx context.Context, b Batch, done func(pieces int)) (*ops.Grads, error) {
	h := newHalves(b)
	part := func(from, to int) (*ops.Grads, error) {
		g := a.get()
		err := h.each(from, to, func(l Leaf) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.Leaf(g, l.From, l.To); err != nil {
				return fmt.Errorf("sequences %d to %d of the batch: %w", l.From, l.To-1, err)
			}
			done(l.Pieces)
			return nil
		})
		if err != nil {
			a.put(g)
			return nil, err
		}
		return g, nil
	}
	return a.tree(h, 0, b.Len(), treeLevels, part)
}

// tree adds the parts of [from,to), each a buffer of its own.
func (a *accumulator) tree(h *halves, from, to, levels int, part func(from, to int) (*ops.Grads, error)) (*ops.Grads, error) {
	if levels == 0 || h.isLeaf(from, to) {
		return part(from, to)
	}
	m := (from + to) / 2
	left, err := a.tree(h, from, m, levels-1, part)
	if err != nil {
		return nil, err
	}
	right, err := a.tree(h, m, to, levels-1, part)
	if err != nil {
		a.put(left)
		return nil, err
	}
	k := a.dev.Kernels()
	a.chunks(func(i, j int) { k.AddTo(left.Flat()[i:j], right.Flat()[i:j]) })
	a.put(right)
	return left, nil
}

// chunks shares out the values of a buffer: 64 KiB a task.
func (a *accumulator) chunks(f func(i, j int)) {
	const chunk = 1 << 14
	n := a.params.Size()
	a.dev.Run((n+chunk-1)/chunk, func(t int) { f(t*chunk, min((t+1)*chunk, n)) })
}

// get gives a buffer of zeros; they are made when first needed and used again.
func (a *accumulator) get() *ops.Grads {
	if n := len(a.free); n > 0 {
		g := a.free[n-1]
		a.free = a.free[:n-1]
		a.chunks(func(i, j int) { clear(g.Flat()[i:j]) })
		return g
	}
	return ops.NewGrads(a.params)
}

func (a *accumulator) put(g *ops.Grads) { a.free = append(a.free, g) }
