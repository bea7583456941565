package tokenizer

import "slices"

// MaxNBest is the most paths that [Encoder.NBest] gives.
const MaxNBest = 512

// Limits of the search, those of the C++ library: the size at which the agenda is cut down to its best entries, and the number of hypotheses
// at which the search gives up and returns the best path alone.
const (
	maxAgenda     = 10000
	minAgenda     = 512
	maxHypotheses = 100000
	maxAllocated  = 500000
	maxShrinks    = 10
)

// Path is one way to cut a text into pieces.
type Path struct {
	Tokens []Token
	Score  float32 // the sum of its pieces' scores
}

// node is a piece in the lattice. Its position and length count characters.
type node struct {
	id       int32
	pos, len int
	score    float32
	best     float32 // the best score of a path from the start of the text to the end of this piece
	prev     *node   // the piece before it on that path
}

// hypothesis is a path from node to the text's end.
type hypothesis struct {
	node *node
	next *hypothesis
	fx   float32 // the score of the best whole path through it
	gx   float32 // the score from node on
}

// NBest gives the n likeliest ways to cut a text, best first: at least one, at most [MaxNBest]. With n = 1 the score is 0. Unlike in
// [Encoder.Tokens] the length of a user-defined piece counts in characters. (SentencePiece's Lattice::NBest, an A* search backwards,
// with the order of equal paths that the GNU C++ library's heap gives.)
func (e *Encoder) NBest(s string, n int) []Path {
	l := e.cut(s, true)
	defer e.release(l)
	n = min(max(n, 1), MaxNBest)
	if n == 1 || len(l.normal.text) == 0 {
		return []Path{{Tokens: e.tokens(l, l.path)}}
	}
	g := e.graph(l.normal.text)
	var out []Path
	for _, path := range g.nbest(n) {
		var spans []span
		for _, v := range path.nodes {
			spans = append(spans, span{id: v.id, from: g.offsets[v.pos], to: g.offsets[v.pos+v.len]})
		}
		out = append(out, Path{e.tokens(l, e.join(l.normal.text, spans)), path.score})
	}
	return out
}

// graph is the lattice of all pieces of a text.
type graph struct {
	offsets    []int // in bytes, of each character and of the end
	begin, end [][]*node
	bos, eos   *node
}

func (e *Encoder) graph(text []byte) *graph {
	g := &graph{}
	for at := 0; at < len(text); at += runeLen(text[at:]) {
		g.offsets = append(g.offsets, at)
	}
	g.offsets = append(g.offsets, len(text))
	size := len(g.offsets) - 1
	g.begin, g.end = make([][]*node, size+1), make([][]*node, size+1)
	g.bos, g.eos = &node{id: -1}, &node{id: -1, pos: size}
	g.end[0], g.begin[size] = []*node{g.bos}, []*node{g.eos}
	for pos := range size {
		single := false
		insert := func(id int32, length int, score float32) {
			v := &node{id: id, pos: pos, len: length, score: score}
			g.begin[pos], g.end[pos+length] = append(g.begin[pos], v), append(g.end[pos+length], v)
			single = single || length == 1
		}
		at, u, ok := uint32(0), e.pieces[0], true
		length := 0
		for i := g.offsets[pos]; i < len(text); {
			if at, u, ok = e.pieces.step(at, u, text[i]); !ok {
				break
			}
			i++
			id, there := e.pieces.value(at, u)
			if !there {
				continue
			}
			for g.offsets[pos+length] < i {
				length++
			}
			score := e.score[id]
			if e.model.Pieces[id].Type == UserDefined {
				score = userScore(length)
			}
			insert(int32(id), length, score)
		}
		if !single {
			insert(e.unkID, 1, e.unkScore)
		}
	}
	return g
}

// viterbi finds the best path to each node, and gives that through the whole text.
func (g *graph) viterbi() foundPath {
	for pos := range g.begin {
		for _, right := range g.begin[pos] {
			right.prev = nil
			for _, left := range g.end[pos] {
				if score := left.best + right.score; right.prev == nil || score > right.best {
					right.prev, right.best = left, score
				}
			}
		}
	}
	p := foundPath{score: g.eos.best}
	for v := g.eos.prev; v.prev != nil; v = v.prev {
		p.nodes = append(p.nodes, v)
	}
	slices.Reverse(p.nodes)
	return p
}

type foundPath struct {
	nodes []*node
	score float32
}

func (g *graph) nbest(n int) []foundPath {
	best := g.viterbi()
	start := &hypothesis{node: g.eos, fx: best.score}
	a := agenda{start}
	keep := min(minAgenda, n*10)
	limit, all, allocated, shrinks := maxHypotheses, 1, 1, 0
	var out []foundPath
	for len(a) > 0 {
		top := a.pop()
		if top.node == g.bos {
			p := foundPath{score: top.fx}
			for h := top.next; h.next != nil; h = h.next {
				p.nodes = append(p.nodes, h.node)
			}
			if out = append(out, p); len(out) == n {
				break
			}
			continue
		}
		left := g.end[top.node.pos]
		for _, v := range left {
			a.push(&hypothesis{node: v, next: top, fx: v.best + top.gx, gx: v.score + top.gx})
		}
		all += len(left)
		allocated += len(left)
		if all >= maxAllocated || allocated >= maxAllocated {
			return []foundPath{best}
		}
		if len(a) < maxAgenda && (len(a) <= keep || allocated < limit) {
			continue
		}
		if shrinks++; shrinks > maxShrinks {
			return []foundPath{best}
		}
		var smaller agenda
		kept := map[*hypothesis]struct{}{}
		for range min(len(a), keep) {
			h := a.pop()
			for k := h; k != nil; k = k.next {
				if _, ok := kept[k]; ok {
					break
				}
				kept[k] = struct{}{}
			}
			smaller.push(h)
		}
		a, allocated = smaller, len(kept)
		limit = allocated + maxHypotheses
	}
	return out
}

// agenda is a heap, best first, with std::priority_queue's order among equals.
type agenda []*hypothesis

func (a *agenda) push(h *hypothesis) {
	*a = append(*a, h)
	a.rise(len(*a)-1, h)
}

// rise moves h up from index i to where it belongs.
func (a agenda) rise(i int, h *hypothesis) {
	for i > 0 && a[(i-1)/2].fx < h.fx {
		a[i] = a[(i-1)/2]
		i = (i - 1) / 2
	}
	a[i] = h
}

// pop removes and gives the best entry. The hole sinks to a leaf along the better children, the second of equal ones; then the last entry
// rises from there.
func (a *agenda) pop() *hypothesis {
	top, n := (*a)[0], len(*a)-1
	last := (*a)[n]
	*a = (*a)[:n]
	if n == 0 {
		return top
	}
	h := *a
	i := 0
	for 2*i+2 < n {
		child := 2*i + 2
		if h[child].fx < h[child-1].fx {
			child--
		}
		h[i] = h[child]
		i = child
	}
	if 2*i+2 == n {
		h[i] = h[2*i+1]
		i = 2*i + 1
	}
	h.rise(i, last)
	return top
}
