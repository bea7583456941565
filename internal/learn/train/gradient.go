package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"

	"albert/internal/engine/ops"
	"albert/internal/learn/optim"
)

// LeafPieces is the size to which a batch is halved: at most so many pieces, or one sequence. It is part of every run's bits.
const LeafPieces = 1024

// treeLevels is how many levels of halving are added as a tree: 64 parts, the most ranks that can share a step. It is part of
// every run's bits.
const treeLevels = 6

// Leaf is the smallest unit of work: sequences [From,To) of a batch, whose forward and backward pass run together.
type Leaf struct{ From, To, Pieces int }

// halving is the binary tree of a batch: [a,b) is cut at (a+b)/2 until it is a leaf.
type halving struct {
	before []int // pieces before each sequence, and in all
}

func newHalving(b Batch) *halving {
	h := &halving{before: make([]int, b.Len()+1)}
	for i := range b.Len() {
		h.before[i+1] = h.before[i] + b.Pieces(i)
	}
	return h
}

func (h *halving) pieces(a, b int) int { return h.before[b] - h.before[a] }
func (h *halving) isLeaf(a, b int) bool {
	return b-a <= 1 || h.pieces(a, b) <= LeafPieces
}

// allLevels is more levels than any halving has.
const allLevels = math.MaxInt

// parts lists what the first levels of the halving of [a,b) come down to, in ascending order; with allLevels its leaves.
func (h *halving) parts(a, b, levels int) []Leaf {
	if levels == 0 || h.isLeaf(a, b) {
		return []Leaf{{a, b, h.pieces(a, b)}}
	}
	m := (a + b) / 2
	return append(h.parts(a, m, levels-1), h.parts(m, b, levels-1)...)
}

// buffers is how many gradient buffers are alive at once while [from,to) is added as a tree: its left half's sum is kept while the
// right half is computed.
func (h *halving) buffers(from, to, levels int) int {
	if levels == 0 || h.isLeaf(from, to) {
		return 1
	}
	m := (from + to) / 2
	return max(h.buffers(from, m, levels-1), 1+h.buffers(m, to, levels-1))
}

// Leaves lists the leaves of a batch in the order in which they run.
func Leaves(b Batch) []Leaf { return newHalving(b).parts(0, b.Len(), allLevels) }

// GradientBuffers is how many gradient buffers a step on b has alive at once when one part runs at a time, 7 at most.
func GradientBuffers(b Batch) int { return newHalving(b).buffers(0, b.Len(), treeLevels) }

// node is a place in the tree of a batch: sequences [from,to), and of the 64 parts that there are at most so many from the first on.
type node struct{ from, to, first, parts int }

func (h *halving) root() node { return node{0, len(h.before) - 1, 0, 1 << treeLevels} }

// isPart tells of a node without halves.
func (h *halving) isPart(n node) bool { return n.parts == 1 || h.isLeaf(n.from, n.to) }

func (n node) halves() (left, right node) {
	m, half := (n.from+n.to)/2, n.parts/2
	return node{n.from, m, n.first, half}, node{m, n.to, n.first + half, half}
}

// addTree adds what next gives, in ascending order, for each of the nodes that whole tells of, as the tree under n has it. add adds right to left.
func addTree[T any](n node, whole func(node) bool, next func() (T, error), add func(left, right T)) (sum T, err error) {
	if whole(n) {
		return next()
	}
	l, r := n.halves()
	left, err := addTree(l, whole, next, add)
	if err != nil {
		return sum, err
	}
	right, err := addTree(r, whole, next, add)
	if err != nil {
		return sum, err
	}
	add(left, right)
	return left, nil
}

// accumulator computes the gradient of a batch, leaf by leaf.
type accumulator struct {
	params *ops.Params
	dev    optim.Device
	// together is how many parts are worked on at once, each by a thread of its own, if there are so many; else, and for what is
	// left over, the threads share each operation. Small operations lose more time in sharing out than they take.
	together int
	micro    int    // Config.MicroBatch
	ranks    *ranks // nil: one process
	free     []*ops.Grads
}

func (c *Config) accumulator(params *ops.Params, r *ranks) *accumulator {
	return &accumulator{params: params, dev: c.Device, together: c.Together, micro: c.MicroBatch, ranks: r}
}

// gradient runs every leaf of the batch and gives the sum of their gradients; the caller hands it back with put. The first six
// levels of the halving are added as that tree; in a part below, the sum goes on from leaf to leaf in one buffer. After each leaf
// done is told its pieces, one call at a time. If ctx is done the work ends after the running leaves.
func (a *accumulator) gradient(ctx context.Context, b Batch, done func(pieces int)) (*ops.Grads, error) {
	if a.ranks != nil {
		return a.ranks.gradient(ctx, a, b, done)
	}
	h := newHalving(b)
	if j, ok := b.(Joined); ok {
		if err := a.forward(ctx, j, h, 0, b.Len()); err != nil {
			return nil, err
		}
		if err := j.Join(); err != nil {
			return nil, err
		}
	}
	return a.add(h, h.root(), a.sums(ctx, b, h, h.parts(0, b.Len(), treeLevels), done))
}

// BenchStep gives a function that does one step as [Run] does, to be measured: the gradient of a batch, then the optimizer's step. Of c it takes
// the optimizer and how steps are computed.
func BenchStep(c Config, params *ops.Params, batch func() Batch) func() error {
	gradients := c.accumulator(params, nil)
	optimizer := optim.New(c.Optimizer, params, c.Device)
	return func() error {
		g, err := gradients.gradient(context.Background(), batch(), func(int) {})
		if err != nil {
			return err
		}
		optimizer.Step(1, g, optimizer.Norm(g), 1e-4)
		gradients.put(g)
		return nil
	}
}

// sums gives a function that gives the sum of each of the parts, one after the other; it runs as many at once as may run.
func (a *accumulator) sums(ctx context.Context, b Batch, h *halving, parts []Leaf, done func(pieces int)) func() (*ops.Grads, error) {
	width := LeavesTogether(b, a.together, a.micro)
	if len(parts) < width {
		width = 1
	}
	var mu sync.Mutex
	compute := func(part Leaf, g *ops.Grads) error {
		for _, l := range h.parts(part.From, part.To, allLevels) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.Leaf(g, l.From, l.To); err != nil {
				return fmt.Errorf("sequences %d to %d of the batch: %w", l.From, l.To-1, err)
			}
			mu.Lock()
			done(l.Pieces)
			mu.Unlock()
		}
		return nil
	}
	var ready []*ops.Grads
	return func() (*ops.Grads, error) {
		if len(ready) == 0 {
			n := min(width, len(parts))
			errs := make([]error, n)
			for range n {
				ready = append(ready, a.get())
			}
			a.dev.RunLarge(n, func(i int) { errs[i] = compute(parts[i], ready[i]) })
			parts = parts[n:]
			if err := cmp.Or(errs...); err != nil {
				return nil, err
			}
		}
		g := ready[0]
		ready = ready[1:]
		return g, nil
	}
}

// forward runs every leaf of sequences [from,to) of a batch forward, so many at once.
func (a *accumulator) forward(ctx context.Context, b Joined, h *halving, from, to int) error {
	width := LeavesTogether(b, a.together, a.micro)
	for leaves := h.parts(from, to, allLevels); len(leaves) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(width, len(leaves))
		errs := make([]error, n)
		a.dev.RunLarge(n, func(i int) { errs[i] = b.Forward(leaves[i].From, leaves[i].To) })
		if err := cmp.Or(errs...); err != nil {
			return err
		}
		leaves = leaves[n:]
	}
	return nil
}

// Together is how many leaves of a model run at once on so many threads, for Config.Together: one on each if what a leaf keeps for its
// backward pass, bytes a piece, is under 128 MB. Operations so small lose up to half of their time in being shared out; those of
// larger models do not, and the memory would count.
func Together(bytes, threads int) int {
	if bytes*LeafPieces > 128<<20 {
		return 1
	}
	return threads
}

// LeavesTogether is how many leaves of b run at once with Config.Together, most, if it has so many parts, and Config.MicroBatch, micro,
// allows.
func LeavesTogether(b Batch, most, micro int) int {
	if len(newHalving(b).parts(0, b.Len(), treeLevels)) < most {
		return 1
	}
	sequences := 1 // of the longest leaf
	for _, l := range Leaves(b) {
		sequences = max(sequences, l.To-l.From)
	}
	if micro > 0 {
		most = min(most, micro/sequences)
	}
	return max(1, most)
}

// add adds the parts of a node, each a buffer of its own, which next gives in ascending order.
func (a *accumulator) add(h *halving, n node, next func() (*ops.Grads, error)) (*ops.Grads, error) {
	return addTree(n, h.isPart, next, func(left, right *ops.Grads) {
		a.addTo(left.Flat(), right.Flat())
		a.put(right)
	})
}

func (a *accumulator) addTo(left, right []float32) {
	k := a.dev.Kernels()
	a.chunks(len(left), func(i, j int) { k.AddTo(left[i:j], right[i:j]) })
}

// chunks shares out n values: 64 KiB a task.
func (a *accumulator) chunks(n int, f func(i, j int)) {
	const chunk = 1 << 14
	a.dev.Run((n+chunk-1)/chunk, func(t int) { f(t*chunk, min((t+1)*chunk, n)) })
}

// get gives a buffer of zeros; they are made when first needed and used again.
func (a *accumulator) get() *ops.Grads {
	if n := len(a.free); n > 0 {
		g := a.free[n-1]
		a.free = a.free[:n-1]
		a.chunks(a.params.Size(), func(i, j int) { clear(g.Flat()[i:j]) })
		return g
	}
	return ops.NewGrads(a.params)
}

func (a *accumulator) put(g *ops.Grads) { a.free = append(a.free, g) }
