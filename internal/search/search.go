// Package search finds which of many vectors are nearest to others by their cosine: exactly, by comparing all.
//
//	documents := search.NewVectors(dev, data, width)          // rows in memory, or of a mapped file
//	best := search.New(dev, queries, search.Options{K: 10})
//	best.Add(documents)                                       // any number of times: those of a stream, block by block
//	for q, hits := range best.Hits() { ... }                  // best first
//
// A score's bits depend on its two vectors alone: not on threads, nor on how many queries are asked at once.
package search

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
)

// Hit is a document found, by its number in the order in which documents were added, and the cosine of its vector and the query's.
type Hit struct {
	Index int
	Score float32
}

// Options of [New].
type Options struct {
	K int // so many of each query's nearest are kept
	// Ties orders documents of equal scores, negative: a is before b; nil: in the order of their numbers.
	Ties func(a, b int) int
	// Keep, if not nil, tells of what would be among the best whether it may be. Several threads call it at once.
	Keep func(query int, h Hit) bool
}

const (
	// groupSize is how many queries are compared at once: two panels of AVX-512, which with 384 values take 98 KB and stay in L2.
	groupSize = 64
	// rowBlock is how many documents meet a group's panels at once: with 384 values 172 KB, 8 tiles of 14 rows.
	rowBlock = 112
	// fewQueries is up to how many queries documents are looked through by sums of rows (see scanFew). A product takes as long for one
	// query as for sixteen, and reads 28 rows at once, which memory gives more slowly than one after another.
	fewQueries = 2
)

// Best keeps the documents that are nearest to each of some queries.
type Best struct {
	o      Options
	dev    *cpu.Device
	width  int
	n      int // documents so far
	groups []*group
	mu     sync.Mutex // of the groups' lists
}

// group is some queries, which are compared together.
type group struct {
	first, n int
	rows     []float32 // unit vectors
	panels   kernel.Panels
	lists    []*lists // that no thread has at the moment
	all      []*lists
}

// lists are the best documents of a group's queries that a thread has met. Which thread meets which does not matter: the order is total.
type lists struct {
	hits  [][]Hit   // of each query a heap, the worst first
	least []float32 // the scores below which nothing gets into a full one; -Inf of others
	minus []float32 // the same, negative
	tmp   []float32
	tile  []float32
}

// New begins a search for the documents that are nearest to queries.
func New(dev *cpu.Device, queries [][]float32, o Options) *Best {
	if o.Ties == nil {
		o.Ties = func(a, b int) int { return cmp.Compare(a, b) }
	}
	b := &Best{o: o, dev: dev}
	if len(queries) > 0 {
		b.width = len(queries[0])
	}
	for first := 0; first < len(queries); first += groupSize {
		g := &group{first: first, n: min(groupSize, len(queries)-first)}
		g.rows = make([]float32, g.n*b.width)
		for i := range g.n {
			unit(g.rows[i*b.width:(i+1)*b.width], queries[first+i])
		}
		b.groups = append(b.groups, g)
	}
	k := dev.Kernels()
	dev.Run(len(b.groups), func(i int) {
		g := b.groups[i]
		g.panels = kernel.Panels{K: b.width, N: g.n, Data: make([]float32, k.PanelsLen(b.width, g.n))}
		k.PackCols(&g.panels, g.rows, b.width, 0, panelsOf(k, g.n))
	})
	return b
}

func panelsOf(k *kernel.Set, n int) int { return (n + k.NR - 1) / k.NR }

// unit scales a vector to length 1; one of zeros, or with values that are not finite, has the cosine 0 with all.
func unit(to, v []float32) {
	sum := 0.0
	for _, x := range v {
		sum += float64(float64(x) * float64(x))
	}
	clear(to)
	if sum > 0 && !math.IsInf(sum, 0) {
		length := math.Sqrt(sum)
		for i, x := range v {
			to[i] = float32(float64(x) / length)
		}
	}
}

// Add compares documents with all queries.
func (b *Best) Add(v *Vectors) {
	// Enough tasks that no thread waits long for the others, each of some blocks at least.
	chunks := min((v.Rows+rowBlock-1)/rowBlock, max(1, 16*b.dev.Threads()/max(1, len(b.groups))))
	b.dev.Run(len(b.groups)*chunks, func(t int) {
		g, c := b.groups[t/chunks], t%chunks
		l := b.take(g)
		from, to := v.Rows*c/chunks, v.Rows*(c+1)/chunks
		if g.n <= fewQueries {
			b.scanFew(g, l, v, from, to)
		} else {
			b.scan(g, l, v, from, to)
		}
		b.put(g, l)
	})
	b.n += v.Rows
}

func (b *Best) take(g *group) *lists {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(g.lists); n > 0 {
		l := g.lists[n-1]
		g.lists = g.lists[:n-1]
		return l
	}
	l := &lists{hits: make([][]Hit, g.n), least: make([]float32, g.n), minus: make([]float32, g.n), tmp: make([]float32, g.n)}
	for q := range l.least {
		l.setLeast(q, float32(math.Inf(-1)))
	}
	g.all = append(g.all, l)
	return l
}

func (b *Best) put(g *group, l *lists) {
	b.mu.Lock()
	g.lists = append(g.lists, l)
	b.mu.Unlock()
}

func (l *lists) setLeast(q int, x float32) { l.least[q], l.minus[q] = x, -x }

// scan compares documents [from, to) with a group's queries by matrix products.
func (b *Best) scan(g *group, l *lists, v *Vectors, from, to int) {
	k := b.dev.Kernels()
	if l.tile == nil {
		l.tile = make([]float32, rowBlock*g.n)
	}
	for at := from; at < to; at += rowBlock {
		rows := min(rowBlock, to-at)
		k.GemmAhead(rows, v.Data[at*b.width:], b.width, &g.panels, l.tile, g.n, v.Data[min(len(v.Data), (at+rows)*b.width):])
		for r := range rows {
			b.offerRow(g, l, l.tile[r*g.n:(r+1)*g.n], b.n+at+r, v.scales[at+r])
		}
	}
}

// offerRow takes the products of a document with all queries of a group.
func (b *Best) offerRow(g *group, l *lists, row []float32, document int, scale float32) {
	k := b.dev.Kernels()
	if scale != scale {
		for q := range row {
			row[q] = float32(math.Inf(-1))
		}
	} else {
		k.Scale(row, row, scale)
	}
	if k.Add(l.tmp, row, l.minus); k.Max(l.tmp) < 0 { // below all
		return
	}
	for q, s := range row {
		if s >= l.least[q] {
			b.offer(g, l, q, Hit{document, s})
		}
	}
}

// scanFew compares documents [from, to) with few queries. Row sums tell at the speed of memory which documents could be among the best. The score of
// one that could is what a product gives.
func (b *Best) scanFew(g *group, l *lists, v *Vectors, from, to int) {
	k := b.dev.Kernels()
	// A product, one chain of roundings, is off by 2^-24 of the lengths for each value at most, a row sum by a 16th of that and four of
	// its tree; twice that, to be safe.
	off := float32(b.width+b.width/16+16) / (1 << 23)
	products := make([]float32, g.n)
	for at := from; at < to; at++ {
		x, scale := v.Data[at*b.width:(at+1)*b.width], v.scales[at]
		could := !(scale < 1e15) // so small that values have lost digits
		for q := 0; q < g.n && !could; q++ {
			could = k.Dot(g.rows[q*b.width:(q+1)*b.width], x)*scale >= l.least[q]-off
		}
		if could {
			k.Gemm(1, x, b.width, &g.panels, 0, panelsOf(k, g.n), products, g.n, nil, kernel.Zero)
			b.offerRow(g, l, products, b.n+at, scale)
		}
	}
}

// before tells which of two documents is the better one.
func (b *Best) before(x, y Hit) int {
	return cmp.Or(cmp.Compare(y.Score, x.Score), b.o.Ties(x.Index, y.Index))
}

// offer puts a document into a query's heap if it is among the best.
func (b *Best) offer(g *group, l *lists, q int, h Hit) {
	heap := l.hits[q]
	full := len(heap) == b.o.K
	if full && b.before(h, heap[0]) >= 0 || b.o.Keep != nil && !b.o.Keep(g.first+q, h) {
		return
	}
	if full {
		heap[0] = h
		for i := 0; ; {
			worst := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(heap); c++ {
				if b.before(heap[c], heap[worst]) > 0 {
					worst = c
				}
			}
			if worst == i {
				break
			}
			heap[i], heap[worst] = heap[worst], heap[i]
			i = worst
		}
	} else {
		heap = append(heap, h)
		for i := len(heap) - 1; i > 0 && b.before(heap[i], heap[(i-1)/2]) > 0; i = (i - 1) / 2 {
			heap[i], heap[(i-1)/2] = heap[(i-1)/2], heap[i]
		}
		l.hits[q] = heap
	}
	if len(heap) == b.o.K {
		l.setLeast(q, heap[0].Score)
	}
}

// Hits are the best documents of every query, best first: K of them, or all there are.
func (b *Best) Hits() [][]Hit {
	var out [][]Hit
	for _, g := range b.groups {
		for q := range g.n {
			var hits []Hit
			for _, l := range g.all {
				hits = append(hits, l.hits[q]...)
			}
			slices.SortFunc(hits, b.before)
			out = append(out, hits[:min(b.o.K, len(hits))])
		}
	}
	return out
}

// Score is the cosine of a query and a vector, as documents have it.
func (b *Best) Score(query int, x []float32) float32 {
	k, g := b.dev.Kernels(), b.groups[query/groupSize]
	products := make([]float32, g.n)
	k.Gemm(1, x, b.width, &g.panels, 0, panelsOf(k, g.n), products, g.n, nil, kernel.Zero)
	return products[query%groupSize] * scaleOf(k, x)
}
