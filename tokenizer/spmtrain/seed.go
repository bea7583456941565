package spmtrain

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"albert/internal/engine/numeric"
)

// piece is a candidate: n letters of words.letters, and the logarithm of its probability.
type piece struct {
	at, n int32
	score float64
}

// seed is a repeated run of letters: n of them from index at. Its score is its count times its length.
type seed struct {
	at, n int32
	score int64
}

// interval is a range of the suffix array whose suffixes have their first depth letters in common (Abouelhoda and others, 2004).
type interval struct {
	depth int
	first int32 // the first of these suffixes
	freq  int64 // how often the letters are in the text
	next  follower
}

// seeds gives the candidates to begin with, sorted by their letters: the alphabet, and the runs of letters that occur more than once and are
// followed by different bytes (the inner nodes of the text's suffix tree), as many as wanted, those with the largest count times length.
func (t *trainer) seeds() []piece {
	letters := t.words.letters
	most := t.o.MaxSentencepieceLength
	sa := t.suffixArray(most + 1)
	lead := make([]follower, len(t.alphabet))
	for i, r := range t.alphabet {
		lead[i] = follower(string(r)[0])
	}
	var list []seed
	limit := t.o.SeedSentencepieceSize
	if limit == 0 {
		limit = max(100_000, 8*t.o.VocabSize)
	}
	compare := func(a, b seed) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(t.bytes(b), t.bytes(a)), slices.Compare(letters[a.at:a.at+a.n], letters[b.at:b.at+b.n]))
	}
	emit := func(v *interval) {
		if v.next == several && v.freq >= 2 && v.depth >= 2 && t.valid(letters[v.first:int(v.first)+v.depth]) {
			if len(list) >= 4*limit {
				t.sort(list, compare)
				list = list[:limit]
			}
			list = append(list, seed{v.first, int32(v.depth), v.freq * int64(v.depth)})
		}
	}
	// The open intervals, each inside the one before it. When an interval closes, its counts are added to the one around it.
	var open []interval
	closeTo := func(depth int) {
		for len(open) > 0 && open[len(open)-1].depth > depth {
			top := open[len(open)-1]
			open = open[:len(open)-1]
			emit(&top)
			if len(open) == 0 || open[len(open)-1].depth < depth {
				if depth == 0 {
					continue
				}
				open = append(open, interval{depth: depth, first: top.first, next: notKnown})
			}
			outer := &open[len(open)-1]
			outer.freq += top.freq
			outer.next = outer.next.merge(lead[letters[int(top.first)+outer.depth]])
		}
	}
	for i, suffix := range sa {
		if i%4096 == 0 && t.ctx.Err() != nil {
			return nil // the suffixes may not even be sorted
		}
		shared := 0
		if i > 0 {
			before := sa[i-1]
			for shared <= most && letters[int(before)+shared] >= 0 && letters[int(before)+shared] == letters[int(suffix)+shared] {
				shared++
			}
		}
		closeTo(shared)
		length := shared // of the suffix, as far as it is looked at
		for length <= most && letters[int(suffix)+length] >= 0 {
			length++
		}
		word := t.words.at(suffix + int32(length))
		if length > shared {
			open = append(open, interval{depth: length, first: suffix, next: notKnown})
		}
		top := &open[len(open)-1]
		top.freq += t.words.freq[word]
		if letters[int(suffix)+length] < 0 {
			top.next = top.next.merge(t.words.next[word])
		}
	}
	closeTo(0)
	t.sort(list, compare)
	list = list[:min(len(list), limit)]
	t.stats.Seeds = len(list) + len(t.alphabet)

	single := int32(len(letters) - len(t.alphabet))
	for c, n := range t.charFreq {
		if n > 0 {
			list = append(list, seed{single + int32(c), 1, n})
		}
	}
	t.sort(list, func(a, b seed) int { return slices.Compare(letters[a.at:a.at+a.n], letters[b.at:b.at+b.n]) })
	if t.ctx.Err() != nil {
		return nil
	}
	total := int64(0)
	for _, s := range list {
		total += s.score
	}
	logTotal := numeric.Log64(float64(total))
	out := make([]piece, len(list))
	for i, s := range list {
		out[i] = piece{s.at, s.n, numeric.Log64(float64(s.score)) - logTotal}
	}
	return out
}

// sort sorts candidates. It takes seconds for a million; once the training is cancelled all are equal, which ends it.
func (t *trainer) sort(list []seed, compare func(a, b seed) int) {
	slices.SortFunc(list, func(a, b seed) int {
		if t.ctx.Err() != nil {
			return 0
		}
		return compare(a, b)
	})
}

// bytes gives the length of a seed in UTF-8.
func (t *trainer) bytes(s seed) (n int) {
	for _, c := range t.words.letters[s.at : s.at+s.n] {
		n += utf8.RuneLen(t.alphabet[c])
	}
	return n
}

// text gives a piece as a string.
func (t *trainer) text(p piece) string {
	r := make([]rune, p.n)
	for i, c := range t.words.letters[p.at : p.at+p.n] {
		r[i] = t.alphabet[c]
	}
	return string(r)
}
