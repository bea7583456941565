package train

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"sync"
	"unsafe"

	"albert/internal/engine/mpi"
	"albert/internal/engine/ops"
)

// floats is the memory of values as bytes.
func floats[T float32 | float64](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(T(0))))
}

// owner is the rank of so many that owns a part: the r with 64r/ranks <= part < 64(r+1)/ranks.
func owner(part, ranks int) int { return ((part+1)*ranks - 1) >> treeLevels }

// whole tells of a node whose parts are all of one rank.
func (h *halving) whole(n node, ranks int) bool {
	last := n
	for !h.isPart(last) {
		_, last = last.halves()
	}
	return owner(n.first, ranks) == owner(last.first, ranks)
}

// subtrees are the largest nodes under n that are of one rank each, in ascending order.
func (h *halving) subtrees(n node, ranks int) []node {
	if h.whole(n, ranks) {
		return []node{n}
	}
	l, r := n.halves()
	return append(h.subtrees(l, ranks), h.subtrees(r, ranks)...)
}

// slice is the part of n values that a rank of so many adds.
func slice(rank, ranks, n int) (from, to int) { return n * rank / ranks, n * (rank + 1) / ranks }

// sharedStep is a step that several ranks do.
type sharedStep struct {
	*ranks
	a        *accumulator
	b        Batch
	h        *halving
	me, size int

	nodes    []node
	spans    [][2]int    // of each rank: its sequences
	from, to int         // this rank's slice of the gradient
	slices   [][]float32 // that of each node

	asked    context.Context    // done where this rank is to stop
	stop     context.CancelFunc // where another rank does not go on
	notes    []note             // of all ranks
	heard    sync.WaitGroup     // for them
	received []mpi.Request
	sent     []mpi.Request
	sums     []sentSum
}

// sentSum is a buffer on its way to the other ranks.
type sentSum struct {
	g  *ops.Grads
	to []mpi.Request
}

// gradient is accumulator.gradient of several ranks: the same bits on each. Its error is known to all.
func (s *ranks) gradient(ctx context.Context, a *accumulator, b Batch, done func(pieces int)) (*ops.Grads, error) {
	x := a.shared(b, s.world.Size())
	x.ranks, x.me, x.asked = s, s.world.Rank(), ctx
	ctx, x.stop = context.WithCancel(ctx)
	defer x.stop()
	x.begin()
	err := x.work(ctx, done)
	x.heard.Wait()
	s.wait(x.received...)
	s.wait(x.sent...)
	for len(x.sums) > 0 {
		x.putFirst()
	}
	if err := s.verdict(x.notes, err); err != nil {
		return nil, err
	}
	return x.gather(), nil
}

// divide shares out the work.
func (x *sharedStep) divide() {
	x.nodes, x.spans = x.h.subtrees(x.h.root(), x.size), make([][2]int, x.size)
	for _, n := range x.nodes {
		if span := &x.spans[owner(n.first, x.size)]; span[1] == 0 {
			*span = [2]int{n.from, n.to}
		} else {
			span[1] = n.to
		}
	}
}

// begin asks for all messages of the others but the last.
func (x *sharedStep) begin() {
	x.notes, x.slices = make([]note, x.size), make([][]float32, len(x.nodes))
	x.from, x.to = slice(x.me, x.size, x.a.params.Size())
	n := x.to - x.from
	if need := n * len(x.nodes); len(x.ranks.slices) < need {
		x.ranks.slices = make([]float32, need)
	}
	for i, node := range x.nodes {
		x.slices[i] = x.ranks.slices[i*n : (i+1)*n]
		if p := owner(node.first, x.size); p != x.me {
			x.received = append(x.received, x.world.Receive(p, tagPart, floats(x.slices[i])))
		}
	}
	for p := range x.peers {
		found := floats(x.b.Found(x.spans[p][0], x.spans[p][1]))
		word := make([]byte, noteBytes+len(found))
		q := x.world.Receive(p, tagWord, word)
		x.heard.Go(func() {
			x.wait(q)
			if x.notes[p] = readNote(word); x.notes[p].state != goesOn {
				x.stop()
			}
			copy(found, word[noteBytes:])
		})
	}
}

// work runs this rank's leaves and sends their sums. All messages are sent whatever happens, as the others wait for them; what is in them
// counts only where all ranks go on.
func (x *sharedStep) work(ctx context.Context, done func(pieces int)) (err error) {
	said := false
	try := func(f func() error) {
		if err != nil {
			return
		}
		if err = f(); err != nil {
			said = true
			err = x.say(err)
		}
	}
	from, to := x.spans[x.me][0], x.spans[x.me][1]
	if j, ok := x.b.(Joined); ok {
		if from < to {
			try(func() error { return x.a.forward(ctx, j, x.h, from, to) })
		}
		x.forwarded(j)
		try(j.Join)
	}
	var parts []Leaf
	for i := range x.own {
		n := x.nodes[i]
		parts = append(parts, x.h.parts(n.from, n.to, bits.Len(uint(n.parts))-1)...)
	}
	next := x.a.sums(ctx, x.b, x.h, parts, func(n int) { done(n * x.h.pieces(0, x.b.Len()) / x.h.pieces(from, to)) })
	for i := range x.own {
		var g *ops.Grads
		try(func() (err error) { g, err = x.a.add(x.h, x.nodes[i], next); return err })
		if g == nil {
			g = x.a.get()
		}
		x.send(i, g)
	}
	if !said {
		_ = x.say(nil)
	}
	return err
}

// own are the numbers of this rank's nodes.
func (x *sharedStep) own(yield func(int) bool) {
	for i, n := range x.nodes {
		if owner(n.first, x.size) == x.me && !yield(i) {
			return
		}
	}
}

// say tells the others that this rank has done its work, or why not, and what its leaves found. It gives the error as they see it.
func (x *sharedStep) say(err error) error {
	if err != nil && (x.asked.Err() != nil || !errors.Is(err, context.Canceled)) { // else another rank has said why
		err = x.stopped(x.asked, err)
		x.notes[x.me] = noteOf(err)
	}
	span := x.spans[x.me]
	word := append(make([]byte, noteBytes), floats(x.b.Found(span[0], span[1]))...)
	x.notes[x.me].write(word)
	for p := range x.peers {
		x.sent = append(x.sent, x.world.Send(p, tagWord, word))
	}
	return err
}

// forwarded gives every rank what the leaves of all have kept.
func (x *sharedStep) forwarded(j Joined) {
	var list []mpi.Request
	of := func(p int) []byte { return floats(j.Forwarded(x.spans[p][0], x.spans[p][1])) }
	for p := range x.peers {
		list = append(list, x.world.Receive(p, tagForwarded, of(p)), x.world.Send(p, tagForwarded, of(x.me)))
	}
	x.wait(list...)
}

// send sends the sum of a node, and hands back the buffers of those that have been sent.
func (x *sharedStep) send(i int, g *ops.Grads) {
	sum := sentSum{g: g}
	copy(x.slices[i], g.Flat()[x.from:x.to])
	for p := range x.peers {
		from, to := slice(p, x.size, len(g.Flat()))
		sum.to = append(sum.to, x.world.Send(p, tagPart, floats(g.Flat()[from:to])))
	}
	x.sums = append(x.sums, sum)
	for len(x.sums) > 0 && !slices.ContainsFunc(x.sums[0].to, func(q mpi.Request) bool { return !q.Done() }) {
		x.putFirst()
	}
}

func (x *sharedStep) putFirst() {
	x.wait(x.sums[0].to...)
	x.a.put(x.sums[0].g)
	x.sums = x.sums[1:]
}

// gather adds this rank's slice of all nodes and makes the gradient of the slices of all ranks.
func (x *sharedStep) gather() *ops.Grads {
	i := -1
	sum, _ := addTree(x.h.root(), func(n node) bool { return x.h.whole(n, x.size) }, func() ([]float32, error) { i++; return x.slices[i], nil }, x.a.addTo)
	g := x.a.get()
	own := g.Flat()[x.from:x.to]
	copy(own, sum)
	var list []mpi.Request
	for p := range x.peers {
		from, to := slice(p, x.size, len(g.Flat()))
		list = append(list, x.world.Receive(p, tagSum, floats(g.Flat()[from:to])), x.world.Send(p, tagSum, floats(own)))
	}
	x.wait(list...)
	return g
}
