package spmtrain

import (
	"math"
	"slices"

	"albert/internal/engine/numeric"
)

// unkPenalty is how far the score of a character without a piece, a natural logarithm, is below that of the least likely piece.
const unkPenalty = 10

// vocabulary is the present candidates, ready to cut words with.
type vocabulary struct {
	list      []piece // sorted by letters
	trie      *trie
	score     []float64 // of each piece, and of an unknown character
	prob      []float64 // e to the score
	lowest    float64
	longest   int // letters of the longest piece
	commonest int // the piece of the most frequent character, as which unknown ones count (doc.go)
}

func (t *trainer) vocabulary(list []piece) *vocabulary {
	v := &vocabulary{list: list, trie: newTrie(t.words.letters, list, len(t.alphabet)), score: make([]float64, len(list)+1), prob: make([]float64, len(list)+1)}
	best := int64(-1)
	for i, p := range list {
		if n := t.charFreq[t.words.letters[p.at]]; p.n == 1 && n > best {
			best, v.commonest = n, i
		}
		v.score[i] = p.score
		v.prob[i] = numeric.Exp64(p.score)
		v.longest = max(v.longest, int(p.n))
		if i == 0 || p.score < v.lowest {
			v.lowest = p.score
		}
	}
	v.score[len(list)] = v.lowest - unkPenalty
	v.prob[len(list)] = numeric.Exp64(v.lowest - unkPenalty)
	return v
}

// unknown gives the id that stands for a character without a piece.
func (v *vocabulary) unknown() int32 { return int32(len(v.list)) }

// node is a piece in a word. It ends before the letter with the index to.
type node struct{ id, to int32 }

// lattice holds all ways to cut a word into pieces. Its memory is used again for the next word.
type lattice struct {
	v     *vocabulary
	nodes []node  // by where they begin
	begin []int32 // the index of the first node that begins at each letter, and the end of nodes

	alpha, beta []float64 // the probability of all ways up to a letter, and from it to the end; scaled, see tiny
	shift       []int32   // how often alpha was scaled

	best []float64
	back []node // the last node of the best way up to a letter; here to is where the node begins
	path []int32
}

// fill finds the pieces of a word.
func (l *lattice) fill(w []int32) {
	l.nodes, l.begin = l.nodes[:0], l.begin[:0]
	tr := l.v.trie
	for i := range w {
		l.begin = append(l.begin, int32(len(l.nodes)))
		single := false
		at := tr.root[w[i]]
		for j := i + 1; at != 0; j++ {
			if id := tr.nodes[at].id; id >= 0 {
				l.nodes = append(l.nodes, node{id, int32(j)})
				single = single || j == i+1
			}
			if j == len(w) {
				break
			}
			at = tr.next(at, w[j])
		}
		if !single {
			l.nodes = append(l.nodes, node{l.v.unknown(), int32(i + 1)})
		}
	}
	l.begin = append(l.begin, int32(len(l.nodes)))
}

// whole gives the index of the node for a piece that is the whole word.
func (l *lattice) whole(id int32) int {
	return slices.IndexFunc(l.nodes, func(x node) bool { return x.id == id })
}

// tiny: the probabilities of long words leave the range of float64. Where one falls below tiny, all that are still needed are multiplied by
// 1/tiny, and shift counts how often that was done.
const tiny = 0x1p-300

// expect adds to expected, for each piece, how often it is expected in the word, times weight: the forward-backward algorithm.
// Numbers are rounded to integers, so that their sum does not depend on its order.
func (l *lattice) expect(weight float64, expected []int64) {
	n := len(l.begin) - 1
	l.alpha, l.beta, l.shift = zeros(l.alpha, n+1), zeros(l.beta, n+1), zeros(l.shift, n+1)
	alpha, beta, prob := l.alpha, l.beta, l.v.prob
	alpha[0] = 1
	shift := int32(0)
	for i := range n {
		if alpha[i] < tiny {
			shift++
			raise(alpha[i : min(n, i+l.v.longest)+1])
		}
		l.shift[i] = shift
		for _, x := range l.nodes[l.begin[i]:l.begin[i+1]] {
			alpha[x.to] += float64(alpha[i] * prob[x.id])
		}
	}
	beta[n] = 1
	unit := weight / alpha[n]
	end := shift
	shift = 0
	for i := n - 1; i >= 0; i-- {
		q := float64(alpha[i] * unit)
		// alpha and beta were scaled more or less often than alpha[n], by which their product is divided.
		for s := l.shift[i] + shift - end; s != 0; {
			if s > 0 {
				q *= tiny
				s--
			} else {
				q *= 1 / tiny
				s++
			}
		}
		for _, x := range l.nodes[l.begin[i]:l.begin[i+1]] {
			p := float64(prob[x.id] * beta[x.to])
			beta[i] += p
			expected[x.id] += int64(float64(p*q) + 0.5)
		}
		if beta[i] < tiny {
			shift++
			raise(beta[i : min(n, i+l.v.longest)+1])
		}
	}
}

// raise multiplies probabilities by 1/tiny.
func raise(x []float64) {
	for i := range x {
		x[i] *= 1 / tiny
	}
}

func zeros[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n, 2*n)
	}
	x = x[:n]
	clear(x)
	return x
}

// viterbi gives the likeliest way to cut the word, as ids from the last to the first, and its score. The node with the index avoid is not
// used (-1: all may be); if there is no way without it, path is nil. Of equally likely pieces the one that begins first is taken.
func (l *lattice) viterbi(avoid int) (path []int32, score float64) {
	n := len(l.begin) - 1
	l.best, l.back, l.path = zeros(l.best, n+1), zeros(l.back, n+1), l.path[:0]
	best, back := l.best, l.back
	for i := range best {
		best[i] = math.Inf(-1)
	}
	best[0] = 0
	for i := range n {
		for k := l.begin[i]; k < l.begin[i+1]; k++ {
			x := l.nodes[k]
			if s := best[i] + l.v.score[x.id]; s > best[x.to] && int(k) != avoid {
				best[x.to], back[x.to] = s, node{x.id, int32(i)}
			}
		}
	}
	if math.IsInf(best[n], -1) {
		return nil, best[n]
	}
	for at := int32(n); at > 0; at = back[at].to {
		l.path = append(l.path, back[at].id)
	}
	return l.path, best[n]
}
