package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"albert/internal/engine/ops"
)

// listed is a batch of sequences of given lengths; each leaf adds values whose sum depends on the order of additions.
type listed struct {
	lengths []int
	params  *ops.Params
	fail    int

	mu     sync.Mutex
	leaves []Leaf
}

func (b *listed) Len() int                 { return len(b.lengths) }
func (b *listed) Pieces(i int) int         { return b.lengths[i] }
func (b *listed) Report() Fields           { return nil }
func (b *listed) Example(int) string       { return "" }
func (b *listed) Found(int, int) []float64 { return nil }

func (b *listed) Leaf(g *ops.Grads, from, to int) error {
	if b.fail > 0 && to > b.fail {
		return errors.New("failed")
	}
	b.mu.Lock()
	b.leaves = append(b.leaves, Leaf{From: from, To: to})
	b.mu.Unlock()
	for i := from; i < to; i++ {
		b.add(g.Flat(), i)
	}
	return nil
}

// add is sequence i's gradient: values from 2^-32 to 2^32 of either sign.
func (b *listed) add(g []float32, i int) {
	rng := rand.NewPCG(uint64(i), 9)
	for j := range g {
		w := uint32(rng.Uint64())
		g[j] += math.Float32frombits(w&0x807fffff | (95+w>>23&63)<<23)
	}
}

// naive is the same sum written out: sum(a, b, level) in a fresh buffer for each of the first six levels.
func (b *listed) naive(from, to, level int) []float32 {
	pieces := 0
	for _, n := range b.lengths[from:to] {
		pieces += n
	}
	if level == 6 || to-from == 1 || pieces <= 1024 {
		g := make([]float32, b.params.Size())
		for i := from; i < to; i++ {
			b.add(g, i)
		}
		return g
	}
	m := (from + to) / 2
	left, right := b.naive(from, m, level+1), b.naive(m, to, level+1)
	for i := range left {
		left[i] += right[i]
	}
	return left
}

func TestGradientIsTheTree(t *testing.T) {
	params := ops.NewParams([]*ops.Param{ops.NewParam("a", 37), ops.NewParam("b", 20, 1000)})
	rng := rand.New(rand.NewPCG(1, 1))
	for _, sequences := range []int{1, 2, 3, 7, 64, 65, 200, 700} {
		b := &listed{params: params}
		for range sequences {
			n := 1 + rng.IntN(600)
			if rng.IntN(20) == 0 {
				n = 1500 // a sequence longer than a leaf is one by itself
			}
			b.lengths = append(b.lengths, n)
		}
		for _, width := range []int{1, 2, 3} {
			b.leaves = nil
			a := &accumulator{params: params, dev: threads(width), together: width}
			pieces := 0
			for range 2 { // the second time with used buffers
				g, err := a.gradient(context.Background(), b, func(n int) { pieces += n })
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range b.naive(0, sequences, 0) {
					if got := g.Flat()[i]; math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%d sequences: value %d is %v, want %v", sequences, i, got, want)
					}
				}
				a.put(g)
			}
			announced := GradientBuffers(b)
			if width == 1 && (len(a.free) > 7 || len(a.free) != announced) || len(a.free) > announced+width-1 {
				t.Errorf("%d sequences, %d at once: %d buffers, %d announced", sequences, width, len(a.free), announced)
			}
			total, next := 0, 0
			for _, l := range Leaves(b) {
				if l.From != next || l.To <= l.From || l.Pieces > LeafPieces && l.To-l.From > 1 {
					t.Errorf("leaf %+v after %d", l, next)
				}
				next = l.To
				total += l.Pieces
			}
			if next != sequences || 2*total != pieces || 2*len(Leaves(b)) != len(b.leaves) {
				t.Errorf("%d sequences: leaves end at %d; %d pieces, %d told", sequences, next, total, pieces)
			}
		}
	}
}

func TestGradientStopsAfterTheRunningLeaf(t *testing.T) {
	params := ops.NewParams([]*ops.Param{ops.NewParam("a", 5)})
	b := &listed{params: params, lengths: make([]int, 300)}
	for i := range b.lengths {
		b.lengths[i] = 500
	}
	a := &accumulator{params: params, dev: threads(1)}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := a.gradient(ctx, b, func(int) {
		if n++; n == 101 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(b.leaves) != 101 {
		t.Errorf("%v after %d leaves", err, len(b.leaves))
	}
	b.fail = 250
	if _, err = a.gradient(context.Background(), b, func(int) {}); err == nil {
		t.Error("a leaf's error is lost")
	}
	if len(a.free) > 7 {
		t.Errorf("%d buffers", len(a.free))
	}
}
