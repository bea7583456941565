package spmtrain

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"

	"albert/internal/engine/numeric"
)

// wordChunk is how many words a thread takes at a time.
const wordChunk = 1024

// expect is the E step: how often each piece is expected in the text. Counts are whole multiples of a power of two, chosen so that
// none can be too large: integers add up to the same sum in any order.
func (t *trainer) expect(v *vocabulary) []float64 {
	unit := float64(uint64(1) << min(30, 62-bits.Len64(uint64(t.stats.Characters))))
	sums := t.sum(v, func(l *lattice, freq int64, sums []int64) { l.expect(float64(freq)*unit, sums) })
	expected := make([]float64, len(sums))
	for i, sum := range sums {
		expected[i] = float64(sum) / unit
	}
	expected[v.commonest] += expected[v.unknown()] + float64(t.words.other)
	return expected[:len(v.list)]
}

// sum adds up what f adds for each word to a sum for each piece, and for an unknown character. f gets the ways to cut the word, and how
// often it is in the text.
func (t *trainer) sum(v *vocabulary, f func(l *lattice, freq int64, sums []int64)) []int64 {
	byThread := make([][]int64, t.threads)
	t.parallel(len(t.words.freq), wordChunk, func(thread int) func(int) {
		l := lattice{v: v}
		sums := make([]int64, len(v.list)+1)
		byThread[thread] = sums
		return func(i int) {
			l.fill(t.words.of(i))
			f(&l, t.words.freq[i], sums)
		}
	})
	sums := make([]int64, len(v.list)+1)
	for _, s := range byThread {
		for i, n := range s {
			sums[i] += n
		}
	}
	return sums
}

// maximize is the M step: pieces that are expected less than half a time are dropped, the others get the scores of a variational estimate
// with a sparse Dirichlet process as prior (Liang and Klein, 2007), which favours few pieces.
func (t *trainer) maximize(v *vocabulary, expected []float64) (*vocabulary, error) {
	const least = 0.5
	var list []piece
	sum := 0.0
	for i, e := range expected {
		if e >= least {
			p := v.list[i]
			p.score = digamma(e)
			list = append(list, p)
			sum += e
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the text is too small: no piece is left")
	}
	log := digamma(sum)
	for i := range list {
		list[i].score -= log
	}
	return t.vocabulary(list), nil
}

// digamma is the derivative of log gamma, for x > 0: moved up to 7 and more, then its asymptotic series around x - 1/2.
func digamma(x float64) float64 {
	r := 0.0
	for ; x < 7; x++ {
		r -= 1 / x
	}
	x -= 0.5
	y := 1 / float64(x*x)
	// 1/24 y - 7/960 y^2 + 31/8064 y^3 - 127/30720 y^4
	s := 31.0/8064 - float64(y*(127.0/30720))
	s = 7.0/960 - float64(y*s)
	s = 1.0/24 - float64(y*s)
	return r + (numeric.Log64(x) + float64(y*s))
}

// prune drops the pieces whose loss costs the likelihood of the text least, until the shrinking factor of them is left, or as many as
// desired. The cost is estimated as if each occurrence of a piece in the likeliest cut of the text were replaced by the likeliest way to cut
// the piece itself into others.
func (t *trainer) prune(v *vocabulary, desired int) *vocabulary {
	n := len(v.list)
	const (
		neverUsed      = iota // its letters are likelier as other pieces
		indivisible           // it cannot be cut into other pieces
		hasAlternative        // it can
	)
	kind := make([]int8, n)
	alternatives := make([][]int32, n)
	t.parallel(n, wordChunk, func(int) func(int) {
		l := lattice{v: v}
		return func(i int) {
			p := v.list[i]
			l.fill(t.words.letters[p.at : p.at+p.n])
			if path, _ := l.viterbi(-1); len(path) > 1 {
				return
			}
			kind[i] = indivisible
			if path, _ := l.viterbi(l.whole(int32(i))); len(path) > 0 {
				kind[i], alternatives[i] = hasAlternative, slices.Clone(path)
			}
		}
	})
	freq := t.taken(v)
	total := int64(0)
	for _, f := range freq {
		total += f
	}
	logTotal := numeric.Log64(float64(total))
	type candidate struct {
		id   int
		loss float64
	}
	keep := make([]bool, n)
	kept := 0
	var candidates []candidate
	for i := range v.list {
		switch {
		case freq[i] == 0 || kind[i] == neverUsed:
		case kind[i] == indivisible:
			keep[i] = true
			kept++
		default:
			f := float64(freq[i])
			now := numeric.Log64(f) - logTotal
			// The pieces of the alternative take over the occurrences.
			logAfter := numeric.Log64(float64(total + freq[i]*int64(len(alternatives[i])-1)))
			after := 0.0
			for _, a := range alternatives[i] {
				if a == v.unknown() {
					a = int32(v.commonest)
				}
				after += numeric.Log64(float64(freq[a]+freq[i])) - logAfter
			}
			candidates = append(candidates, candidate{i, float64(f / float64(total) * (now - after))})
		}
	}
	size := max(desired, int(float64(t.o.ShrinkingFactor*float64(n))))
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.loss, a.loss), cmp.Compare(a.id, b.id)) })
	for _, c := range candidates[:min(len(candidates), max(0, size-kept))] {
		keep[c.id] = true
	}
	return t.vocabulary(filter(v.list, keep))
}

// filter gives the pieces to keep.
func filter(list []piece, keep []bool) []piece {
	var out []piece
	for i, p := range list {
		if keep[i] {
			out = append(out, p)
		}
	}
	return out
}

// taken counts how often each piece is in the likeliest cut of the text.
func (t *trainer) taken(v *vocabulary) []int64 {
	freq := t.sum(v, func(l *lattice, freq int64, sums []int64) {
		path, _ := l.viterbi(-1)
		for _, id := range path {
			sums[id] += freq
		}
	})
	freq[v.commonest] += freq[v.unknown()] + t.words.other
	return freq[:len(v.list)]
}

// reachable drops pieces that are never used, because another cut of the same letters is likelier.
func (t *trainer) reachable(v *vocabulary) *vocabulary {
	keep := make([]bool, len(v.list))
	t.parallel(len(v.list), wordChunk, func(int) func(int) {
		l := lattice{v: v}
		return func(i int) {
			p := v.list[i]
			l.fill(t.words.letters[p.at : p.at+p.n])
			_, score := l.viterbi(l.whole(int32(i)))
			keep[i] = !(score > p.score)
		}
	})
	return t.vocabulary(filter(v.list, keep))
}
