package spmtrain

import (
	"math"

	"albert/numeric"
)

// node is a piece that a word could have at a place.
type node struct {
	id       int32 // -1: an unknown character
	from, to int32
	score    float64
}

// lattice is all the ways to cut one word into pieces.
type lattice struct {
	nodes       []node
	begin       []int32 // the first node that begins at each place; nodes are sorted by where they begin
	alpha, beta []float64
	best        []float64
	back        []int32
}

// unkPenalty is how much less likely an unknown character is than the least likely piece.
const unkPenalty = 10

// fill finds the pieces of a word.
func (l *lattice) fill(m *pieces, w []rune) {
	l.nodes, l.begin = l.nodes[:0], l.begin[:0]
	for i := range w {
		l.begin = append(l.begin, int32(len(l.nodes)))
		single := false
		state := int32(0)
		for j := i; j < len(w); j++ {
			var ok bool
			if state, ok = m.next(state, w[j]); !ok {
				break
			}
			if id := m.states[state].id; id >= 0 {
				l.nodes = append(l.nodes, node{id, int32(i), int32(j + 1), m.list[id].score})
				single = single || j == i
			}
		}
		if !single {
			l.nodes = append(l.nodes, node{-1, int32(i), int32(i + 1), m.lowest - unkPenalty})
		}
	}
	l.begin = append(l.begin, int32(len(l.nodes)))
}

// addLog is log(e^a + e^b).
func addLog(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) || a-b > 50 {
		return a
	}
	return a + numeric.Log64(1+numeric.Exp64(b-a))
}

func resize(x []float64, n int, v float64) []float64 {
	if cap(x) < n {
		x = make([]float64, 2*n)
	}
	x = x[:n]
	for i := range x {
		x[i] = v
	}
	return x
}

// marginals adds to expected how often each piece is expected in the word, times freq; it gives the word's log-likelihood.
func (l *lattice) marginals(freq float64, expected []float64) float64 {
	n := len(l.begin) // places, the end included
	inf := math.Inf(-1)
	l.alpha, l.beta = resize(l.alpha, n, inf), resize(l.beta, n, inf)
	l.alpha[0], l.beta[n-1] = 0, 0
	for i := range l.nodes {
		x := &l.nodes[i]
		l.alpha[x.to] = addLog(l.alpha[x.to], l.alpha[x.from]+x.score)
	}
	for i := len(l.nodes) - 1; i >= 0; i-- {
		x := &l.nodes[i]
		l.beta[x.from] = addLog(l.beta[x.from], l.beta[x.to]+x.score)
	}
	z := l.alpha[n-1]
	for i := range l.nodes {
		if x := &l.nodes[i]; x.id >= 0 {
			expected[x.id] += float64(freq * numeric.Exp64(l.alpha[x.from]+x.score+l.beta[x.to]-z))
		}
	}
	return z
}

// viterbi gives the best path's nodes, last first. Among equals the one found first stays. Without the node at avoid (-1: none).
func (l *lattice) viterbi(avoid int, path []int32) []int32 {
	n := len(l.begin)
	l.best = resize(l.best, n, math.Inf(-1))
	if cap(l.back) < n {
		l.back = make([]int32, 2*n)
	}
	l.back = l.back[:n]
	l.best[0] = 0
	for i := range l.nodes {
		x := &l.nodes[i]
		if i == avoid {
			continue
		}
		if s := l.best[x.from] + x.score; s > l.best[x.to] {
			l.best[x.to], l.back[x.to] = s, int32(i)
		}
	}
	path = path[:0]
	if math.IsInf(l.best[n-1], -1) {
		return path
	}
	for at := int32(n - 1); at > 0; {
		i := l.back[at]
		path = append(path, i)
		at = l.nodes[i].from
	}
	return path
}
