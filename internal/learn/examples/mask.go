package examples

import (
	"math"
	"slices"

	"albert/internal/engine/numeric"
)

// masker chooses the pieces of an example that are to be predicted, and hides them.
type masker struct {
	Options
	Vocabulary
	below []int // of the total, how many chances n = 1, ..., n have: p(n) ~ 1/n over a common denominator
}

func newMasker(o Options, v Vocabulary) *masker {
	m := &masker{Options: o, Vocabulary: v}
	common := 1
	for n := 2; n <= o.NGram; n++ {
		common *= n / gcd(common, n)
	}
	sum := 0
	for n := 1; n <= o.NGram; n++ {
		if o.FavorShorterNGram {
			sum += common / n
		} else {
			sum += common / (o.NGram + 1 - n)
		}
		m.below = append(m.below, sum)
	}
	return m
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// drawN draws how many words are masked together.
func (m *masker) drawN(s *numeric.Stream) int {
	u := s.Intn(m.below[len(m.below)-1])
	for i, b := range m.below {
		if u < b {
			return i + 1
		}
	}
	panic("pretrain: a chance beyond the last")
}

// budget is how many of n pieces, specials included, are masked at most: max(1, rate n), half to even, unless capped.
func (m *masker) budget(n int) int {
	if m.MaskRate == 0 {
		return 0
	}
	b := max(1, int(math.RoundToEven(float64(n)*m.MaskRate)))
	if m.MaxPredictions > 0 {
		b = min(b, m.MaxPredictions)
	}
	return b
}

// mask hides pieces of s.ids, and lists them in s.positions, ascending, and s.originals.
func (m *masker) mask(s *scratch, r *numeric.Stream) {
	s.positions, s.originals = s.positions[:0], s.originals[:0]
	m.words(s)
	if budget := m.budget(len(s.ids)); m.UpstreamQuirks {
		m.chooseUpstream(s, r, budget)
	} else {
		m.choose(s, r, budget)
	}
	for w, chosen := range s.chosen {
		if chosen {
			for _, p := range s.candidates[s.word[w]:s.word[w+1]] {
				s.positions = append(s.positions, p)
				s.originals = append(s.originals, s.ids[p])
				s.ids[p] = m.replace(s.ids[p], r)
			}
		}
	}
}

// replace hides one piece: 80 % [MASK], 10 % itself, 10 % any normal piece; upstream any piece at all, [CLS] and <pad> included.
func (m *masker) replace(id int32, r *numeric.Stream) int32 {
	switch u := r.Intn(10); {
	case u < 8:
		return m.Mask
	case u == 8:
		return id
	case m.UpstreamQuirks:
		return int32(r.Intn(m.Size()))
	default:
		return m.Normal[r.Intn(len(m.Normal))]
	}
}

// words finds the words of s.ids: s.candidates are the positions of all pieces but specials, s.word where each word starts among
// them, with one end more. A word starts at a start piece and after a special; upstream only at a start piece, so that a piece
// after [SEP] can belong to the word before it. s.run is the word after the last that follows without a gap.
func (m *masker) words(s *scratch) {
	s.candidates, s.word, s.chosen, s.run = s.candidates[:0], s.word[:0], s.chosen[:0], s.run[:0]
	after := true
	for p, id := range s.ids {
		if id == m.CLS || id == m.SEP || id == m.Mask && !m.UpstreamQuirks {
			after = true
			continue
		}
		if m.Starts[id] || after && !m.UpstreamQuirks || len(s.candidates) == 0 {
			s.word = append(s.word, int32(len(s.candidates)))
			s.chosen = append(s.chosen, false)
			s.run = append(s.run, 0)
		}
		s.candidates = append(s.candidates, int32(p))
		after = false
	}
	s.word = append(s.word, int32(len(s.candidates)))
	end := int32(len(s.run))
	for w := len(s.run) - 1; w >= 0; w-- {
		if w+1 < len(s.run) {
			if next := s.word[w+1]; s.candidates[next] != s.candidates[next-1]+1 {
				end = int32(w + 1)
			}
		}
		s.run[w] = end
	}
}

// free tells whether n words from w on stand in one segment, none chosen.
func (s *scratch) free(w, n int) bool {
	return w+n <= int(s.run[w]) && !slices.Contains(s.chosen[w:w+n], true)
}

// take chooses up to n words from w on, as many as the budget has pieces for, and returns what is left of the budget.
func (s *scratch) take(w, n, budget int) int {
	for ; n > 0; n-- {
		if size := int(s.word[w+n] - s.word[w]); size <= budget {
			for i := range n {
				s.chosen[w+i] = true
			}
			return budget - size
		}
	}
	return budget
}

// tries is how many places are drawn before all are looked at. At the paper's rate about 3 in 5 places fit, so that 16 misses in a
// row mean there are few left.
const tries = 16

// choose spends the budget on n-grams of whole words, n first, then a place uniform among those where n words are free. An n-gram
// that the rest of the budget cannot pay for is shortened. Pieces of the budget are left over only if every word that is not
// chosen has more pieces than that.
func (m *masker) choose(s *scratch, r *numeric.Stream, budget int) {
	words := len(s.chosen)
	for budget > 0 && words > 0 {
		n, before := m.drawN(r), budget
		for i := 0; i < tries && budget == before; i++ {
			if w := r.Intn(words); s.free(w, n) {
				budget = s.take(w, n, budget)
			}
		}
		for ; n > 0 && budget == before; n-- {
			s.order = s.order[:0]
			for w := range words {
				if s.free(w, n) && int(s.word[w+1]-s.word[w]) <= budget {
					s.order = append(s.order, int32(w))
				}
			}
			if len(s.order) > 0 {
				budget = s.take(int(s.order[r.Intn(len(s.order))]), n, budget)
			}
		}
		if budget == before {
			return
		}
	}
}

// chooseUpstream spends the budget as SPEC 2.3 says: an n-gram is tried once at every word, in random order; it may reach over
// [SEP], and at the end of the example it is shorter.
func (m *masker) chooseUpstream(s *scratch, r *numeric.Stream, budget int) {
	words := len(s.chosen)
	s.order = s.order[:0]
	for w := range words {
		s.order = append(s.order, int32(w))
	}
	r.Shuffle(words, func(i, j int) { s.order[i], s.order[j] = s.order[j], s.order[i] })
	for _, start := range s.order {
		if budget == 0 {
			return
		}
		w := int(start)
		n := min(m.drawN(r), words-w)
		for n > 1 && int(s.word[w+n]-s.word[w]) > budget {
			n--
		}
		if !slices.Contains(s.chosen[w:w+n], true) {
			budget = s.take(w, n, budget)
		}
	}
}
