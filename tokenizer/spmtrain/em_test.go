package spmtrain

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/numeric"
)

// someVocabulary has all characters but perhaps one, and random runs of text with random scores.
func someVocabulary(tr *trainer, s *numeric.Stream, whole bool) *vocabulary {
	var list []piece
	for _, p := range tr.seeds() {
		if p.n == 1 && whole || s.Intn(4) > 0 {
			p.score = -12 * s.Float64()
			list = append(list, p)
		}
	}
	return tr.vocabulary(list)
}

// cut is a way to cut a word: ids of pieces and the sum of their scores.
type cut struct {
	ids   []int32
	score float64
}

// allCuts lists every way to cut letters into pieces.
func allCuts(v *vocabulary, letters []int32, all []int32) []cut {
	if len(letters) == 0 {
		return []cut{{}}
	}
	var out []cut
	single := false
	add := func(id int32, n int) {
		for _, c := range allCuts(v, letters[n:], all) {
			out = append(out, cut{append([]int32{id}, c.ids...), v.score[id] + c.score})
		}
	}
	for id, p := range v.list {
		if x := all[p.at : p.at+p.n]; len(x) <= len(letters) && slices.Equal(x, letters[:len(x)]) {
			add(int32(id), len(x))
			single = single || len(x) == 1
		}
	}
	if !single {
		add(v.unknown(), 1)
	}
	return out
}

// The E step gives what summing over every way to cut each word gives; so does the likeliest cut, and the second one.
func TestExpectAgainstEnumeration(t *testing.T) {
	s := numeric.NewStream(4, numeric.PurposeSample, 0, 0, 0)
	for round := range 150 {
		var list []string
		for range 1 + s.Intn(6) {
			list = append(list, randomText(s, 1+s.Intn(11), []string{"ab", "abc", "aab", "añ東"}[round%4]))
		}
		text := strings.Join(list, " ")
		tr := collected(t, text, smallOptions(1000))
		v := someVocabulary(tr, s, round%3 > 0)
		if len(v.list) == 0 {
			continue
		}
		want := make([]float64, len(v.list)+1)
		l := lattice{v: v}
		for i, n := range tr.words.freq {
			w := tr.words.of(i)
			cuts := allCuts(v, w, tr.words.letters)
			z := 0.0
			for _, c := range cuts {
				z += math.Exp(c.score)
			}
			best, second := math.Inf(-1), math.Inf(-1)
			for _, c := range cuts {
				for _, id := range c.ids {
					want[id] += float64(n) * math.Exp(c.score) / z
				}
				best = max(best, c.score)
				if len(c.ids) > 1 || c.ids[0] == v.unknown() {
					second = max(second, c.score)
				}
			}
			l.fill(w)
			path, score := l.viterbi(-1)
			sum := 0.0
			for _, id := range path {
				sum += v.score[id]
			}
			if math.Abs(score-best) > 1e-9 || math.Abs(sum-best) > 1e-9 {
				t.Fatalf("%q: likeliest cut %v (%v), want %v", text, score, sum, best)
			}
			if i := slices.IndexFunc(v.list, func(p piece) bool { return slices.Equal(w, tr.words.letters[p.at:p.at+p.n]) }); i >= 0 {
				if _, score := l.viterbi(l.whole(int32(i))); score != second && !(math.Abs(score-second) < 1e-9) {
					t.Fatalf("%q: likeliest cut of %v without the whole %v, want %v", text, w, score, second)
				}
			}
		}
		want[v.commonest] += want[v.unknown()] // as spm_train counts unknown characters
		for i, got := range tr.expect(v) {
			if math.Abs(got-want[i]) > 1e-6*(1+want[i]) {
				t.Fatalf("%q: %q expected %v times, want %v", text, tr.text(v.list[i]), got, want[i])
			}
		}
	}
}

// In words far too long for a float64 to hold their probability, counts still are those of the sums of logarithms.
func TestExpectLongWords(t *testing.T) {
	s := numeric.NewStream(5, numeric.PurposeSample, 0, 0, 0)
	for _, n := range []int{10, 60, 200, 1000, 4000} {
		o := smallOptions(1000)
		o.AddDummyPrefix = false
		tr := collected(t, randomText(s, n, "abcdefgh"), o)
		v := someVocabulary(tr, s, true)
		for i := range v.list {
			v.list[i].score -= 10 * s.Float64()
		}
		v = tr.vocabulary(v.list)
		var l lattice
		l.v = v
		l.fill(tr.words.of(0))
		add := func(a, b float64) float64 {
			if math.IsInf(a, -1) {
				return b
			}
			return max(a, b) + math.Log1p(math.Exp(-math.Abs(a-b)))
		}
		alpha, beta := make([]float64, n+1), make([]float64, n+1)
		for i := range n {
			alpha[i+1], beta[i] = math.Inf(-1), math.Inf(-1)
		}
		for i := range n {
			for _, x := range l.nodes[l.begin[i]:l.begin[i+1]] {
				alpha[x.to] = add(alpha[x.to], alpha[i]+v.score[x.id])
			}
		}
		want := make([]float64, len(v.list)+1)
		for i := n - 1; i >= 0; i-- {
			for _, x := range l.nodes[l.begin[i]:l.begin[i+1]] {
				beta[i] = add(beta[i], beta[x.to]+v.score[x.id])
				want[x.id] += math.Exp(alpha[i] + v.score[x.id] + beta[x.to] - alpha[n])
			}
		}
		for i, got := range tr.expect(v) {
			if math.Abs(got-want[i]) > 1e-6*(1+want[i]) {
				t.Fatalf("%d letters: %q expected %v times, want %v (probability e^%.0f)", n, tr.text(v.list[i]), got, want[i], alpha[n])
			}
		}
		letters := 0.0
		for i, x := range tr.expect(v) {
			letters += x * float64(v.list[i].n)
		}
		if math.Abs(letters-float64(n)) > 1e-3 {
			t.Errorf("pieces of %v letters are expected in %d", letters, n)
		}
	}
}

// digamma is exact to what training can tell apart. The values are those of the series at x + 60, in big rational arithmetic down to x.
func TestDigamma(t *testing.T) {
	exact := func(x float64) float64 {
		const up = 60
		r := new(big.Rat)
		for k := range up {
			r.Sub(r, new(big.Rat).Inv(new(big.Rat).SetFloat64(x+float64(k)))) // x + k is exact: x is a multiple of 2^-10
		}
		down, _ := r.Float64()
		y := x + up
		return down + math.Log(y) - 1/(2*y) - 1/(12*y*y) + 1/(120*y*y*y*y) - 1/(252*y*y*y*y*y*y)
	}
	worst := 0.0
	for _, x := range []float64{0.5, 0.75, 1, 1.5, 2, 3.25, 6.9990234375, 7, 10, 100.5, 12345.5, 1e6, 3e8, 1e12} {
		got, want := digamma(x), exact(x)
		worst = max(worst, math.Abs(got-want))
		if math.Abs(got-want) > 2e-10 {
			t.Errorf("digamma(%v) = %.15g, want %.15g", x, got, want)
		}
	}
	t.Logf("largest error %.2g", worst)
	// Known to all digits: minus Euler's constant, and that minus 2 ln 2.
	for _, k := range []struct{ x, want float64 }{{1, -0.57721566490153286}, {0.5, -1.9635100260214235}} {
		if got := digamma(k.x); math.Abs(got-k.want) > 2e-10 {
			t.Errorf("digamma(%v) = %.17g, want %.17g", k.x, got, k.want)
		}
	}
}

// A trie finds all of its pieces and nothing else.
func TestTrie(t *testing.T) {
	s := numeric.NewStream(6, numeric.PurposeSample, 0, 0, 0)
	for range 50 {
		tr := collected(t, randomText(s, 400, "abcdefghijklmnopqrst  "), smallOptions(1000))
		v := someVocabulary(tr, s, false)
		want := map[string]int{}
		for i, p := range v.list {
			want[tr.text(p)] = i
		}
		for i := range tr.words.freq {
			w := tr.words.of(i)
			for from := range w {
				for to := from + 1; to <= len(w); to++ {
					at := v.trie.root[w[from]]
					for _, c := range w[from+1 : to] {
						if at != 0 {
							at = v.trie.next(at, c)
						}
					}
					got := -1
					if at != 0 {
						got = int(v.trie.nodes[at].id)
					}
					var r []rune
					for _, c := range w[from:to] {
						r = append(r, tr.alphabet[c])
					}
					id, ok := want[string(r)]
					if !ok {
						id = -1
					}
					if got != id {
						t.Fatalf("%q is piece %d, want %d", string(r), got, id)
					}
				}
			}
		}
	}
}
