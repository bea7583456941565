package examples

import (
	"fmt"
	"testing"

	"albert/internal/engine/numeric"
)

// masked masks pieces with the random numbers of a number.
func masked(o Options, v Vocabulary, ids []int32, number uint32) *scratch {
	s := &scratch{ids: append([]int32(nil), ids...)}
	newMasker(o, v).mask(s, numeric.NewStream(o.Seed, numeric.PurposeMask, number, 0, 0))
	return s
}

func TestBudgetIsRoundedHalfToEven(t *testing.T) {
	m := newMasker(options(nil), testVocabulary(100))
	for n, want := range map[int]int{3: 1, 7: 1, 10: 2, 30: 4, 50: 8, 64: 10, 70: 10, 90: 14, 110: 16, 512: 77} {
		if got := m.budget(n); got != want {
			t.Errorf("budget of %d pieces: %d, want %d", n, got, want)
		}
	}
	m.MaxPredictions = 20
	if got := m.budget(512); got != 20 {
		t.Errorf("budget of 512 pieces, capped: %d, want 20", got)
	}
}

// Whole words, none over a special or the border of segments, and a budget that is spent unless no word is small enough for the
// rest of it.
func TestMasksAreWholeWordsWithinTheBudget(t *testing.T) {
	v := testVocabulary(3000)
	docs := randomDocuments(11, 300, 30, 12, 3000)
	docs[0][0][3%len(docs[0][0])] = v.Mask // text may hold specials
	for _, o := range []Options{
		options(nil),
		options(func(o *Options) { o.MaskRate = 0.6 }),
		options(func(o *Options) { o.MaxPredictions = 3 }),
		options(func(o *Options) { o.NGram = 1 }),
		options(func(o *Options) { o.FavorShorterNGram, o.NGram = false, 5 }),
	} {
		m := newMasker(o, v)
		spent, budgets := 0, 0
		for _, e := range epochOf(t, sampler(t, docs, v, o), 0) {
			ids := original(e)
			hidden := make([]bool, len(ids))
			for i, p := range e.MaskedPositions {
				hidden[p] = true
				if i > 0 && p <= e.MaskedPositions[i-1] {
					t.Fatalf("positions %v", e.MaskedPositions)
				}
			}
			smallest := len(ids)
			for i := 1; i < len(ids); {
				j := i + 1
				special := ids[i] == v.SEP || ids[i] == v.Mask
				for !special && j < len(ids) && ids[j] > 4 && !v.Starts[ids[j]] {
					j++
				}
				for k := i; k < j; k++ {
					if hidden[k] != hidden[i] || hidden[k] && special {
						t.Fatalf("example %d: pieces %d to %d of %v are masked at %v", e.Index, i, j, ids, e.MaskedPositions)
					}
				}
				if !hidden[i] && !special {
					smallest = min(smallest, j-i)
				}
				i = j
			}
			budget := m.budget(len(ids))
			if n := len(e.MaskedPositions); n > budget || n < budget && smallest <= budget-n {
				t.Fatalf("example %d: %d pieces masked, budget %d, smallest other word %d", e.Index, n, budget, smallest)
			}
			spent += len(e.MaskedPositions)
			budgets += budget
		}
		t.Logf("%.2f %% of the budget spent", 100*float64(spent)/float64(budgets))
	}
}

func TestNoMasks(t *testing.T) {
	v := testVocabulary(100)
	if s := masked(options(func(o *Options) { o.MaskRate = 0 }), v, []int32{2, 5, 7, 3, 8, 3}, 0); len(s.positions) != 0 {
		t.Errorf("rate 0: %v", s.positions)
	}
	if s := masked(options(nil), v, []int32{2, 5, 6, 6, 3, 8, 6, 3}, 0); len(s.positions) != 0 {
		t.Errorf("a budget of 1 and words of 2 and 3 pieces: %v", s.positions)
	}
	if s := masked(options(nil), v, []int32{2, 4, 3, 3, 3}, 0); len(s.positions) != 0 {
		t.Errorf("nothing but specials: %v", s.positions)
	}
}

// With few masks among many words, the runs of masked words are the n-grams.
func TestNGramsHaveThePapersLengths(t *testing.T) {
	v := testVocabulary(100)
	for id := range v.Starts {
		v.Starts[id] = true
	}
	ids := make([]int32, 1<<20)
	for i := range ids {
		ids[i] = int32(5 + i%95)
	}
	for _, c := range []struct {
		n       int
		shorter bool
		p       []float64
	}{
		{1, true, []float64{1}},
		{3, true, []float64{6. / 11, 3. / 11, 2. / 11}},
		{3, false, []float64{2. / 11, 3. / 11, 6. / 11}},
		{5, true, []float64{60. / 137, 30. / 137, 20. / 137, 15. / 137, 12. / 137}},
	} {
		runs, all := make([]int, 3*c.n), 0
		for number := range uint32(10) {
			o := options(func(o *Options) { o.MaskRate, o.NGram, o.FavorShorterNGram = 0.001, c.n, c.shorter })
			s := masked(o, v, ids, number)
			for i := 0; i < len(s.positions); {
				j := i + 1
				for j < len(s.positions) && s.positions[j] == s.positions[j-1]+1 {
					j++
				}
				runs[j-i-1]++
				all++
				i = j
			}
		}
		for i, p := range c.p {
			if c.n > 1 {
				near(t, fmt.Sprintf("%d of %d words, shorter %v", i+1, c.n, c.shorter), runs[i], all, p)
			}
		}
		together := 0
		for _, n := range runs[c.n:] {
			together += n
		}
		if together*100 > all {
			t.Errorf("%d of %d runs are longer than %d", together, all, c.n)
		}
	}
}

func TestEightTenthsOneTenthOneTenth(t *testing.T) {
	for _, quirks := range []bool{false, true} {
		const size = 200
		v := testVocabulary(size)
		for id := range v.Starts {
			v.Starts[id] = id > 4
		}
		v.Normal = v.Normal[:100] // 5 to 104: the rest is unused pieces, say
		ids := make([]int32, 200_000)
		for i := range ids {
			ids[i] = 150
		}
		s := masked(options(func(o *Options) { o.UpstreamQuirks = quirks }), v, ids, 0)
		counts := make([]int, size)
		for i, p := range s.positions {
			if s.originals[i] != 150 {
				t.Fatalf("original piece %d", s.originals[i])
			}
			counts[s.ids[p]]++
		}
		n := len(s.positions)
		other := 0.1 / 100
		if quirks {
			other = 0.1 / size
		}
		for id := range size {
			p := 0.
			if quirks || id >= 5 && id < 105 {
				p = other
			}
			switch int32(id) {
			case v.Mask:
				p += 0.8
			case 150:
				p += 0.1
			}
			if p == 0 && counts[id] > 0 {
				t.Errorf("quirks %v: piece %d stands in %d times", quirks, id, counts[id])
			}
			if p >= 0.1 {
				near(t, fmt.Sprintf("quirks %v, piece %d", quirks, id), counts[id], n, p)
			}
		}
		random := n - counts[v.Mask] - counts[150]
		half := 0
		for _, c := range counts[5:55] {
			half += c
		}
		if quirks {
			near(t, "pieces 5 to 54 of the random ones", half, random, 50./198)
			near(t, "specials of the random ones", counts[0]+counts[1]+counts[2]+counts[3], random, 4./198)
		} else {
			near(t, "pieces 5 to 54 of the random ones", half, random, 0.5)
		}
	}
}

func TestEveryWordIsMaskedAlike(t *testing.T) {
	v := testVocabulary(100)
	for id := range v.Starts {
		v.Starts[id] = true
	}
	ids := make([]int32, 43)
	for i := range ids {
		ids[i] = 7
	}
	ids[0], ids[21], ids[42] = v.CLS, v.SEP, v.SEP
	o := options(func(o *Options) { o.NGram = 1 })
	counts := make([]int, len(ids))
	const rounds = 20000
	for number := range uint32(rounds) {
		for _, p := range masked(o, v, ids, number).positions {
			counts[p]++
		}
	}
	for p, c := range counts {
		if ids[p] == 7 {
			near(t, fmt.Sprint("position ", p), c, rounds, 6./40)
		}
	}
}
