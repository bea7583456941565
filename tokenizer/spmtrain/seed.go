package spmtrain

import (
	"cmp"
	"slices"

	"albert/numeric"
)

// piece is a candidate and the logarithm of its probability.
type piece struct {
	text  string
	score float64
}

// seeds gives the first candidates: every required character, and the repeated substrings of words with the highest count times
// length. Repeats are found by sorting the suffixes of all distinct words, as far as a piece is long: substrings that several
// suffixes share stand together.
func (t *trainer) seeds() []piece {
	type suffix struct{ word, at int32 }
	words := t.text.words
	n := 0
	for _, w := range words {
		n += len(w.text)
	}
	suffixes := make([]suffix, 0, n)
	for i, w := range words {
		for j := range w.text {
			suffixes = append(suffixes, suffix{int32(i), int32(j)})
		}
	}
	most := t.o.MaxSentencepieceLen
	of := func(s suffix) []rune {
		r := words[s.word].text[s.at:]
		return r[:min(len(r), most)]
	}
	t.sortParallel(len(suffixes), func(from, to int) {
		slices.SortFunc(suffixes[from:to], func(a, b suffix) int { return slices.Compare(of(a), of(b)) })
	}, func(from, mid, to int) {
		merged := make([]suffix, 0, to-from)
		i, j := from, mid
		for i < mid && j < to {
			if slices.Compare(of(suffixes[j]), of(suffixes[i])) < 0 {
				merged = append(merged, suffixes[j])
				j++
			} else {
				merged = append(merged, suffixes[i])
				i++
			}
		}
		merged = append(append(merged, suffixes[i:mid]...), suffixes[j:to]...)
		copy(suffixes[from:to], merged)
	})

	// Intervals of suffixes with a common beginning, from the lengths that neighbours share: a stack of open ones.
	type found struct {
		suffix suffix
		length int32
		score  int64
	}
	type open struct {
		length int
		first  suffix
		freq   int64
	}
	var list []found
	var stack []open
	emit := func(o open) {
		if o.length >= 2 && o.freq >= 2 && t.valid(words[o.first.word].text[o.first.at:int(o.first.at)+o.length]) {
			list = append(list, found{o.first, int32(o.length), o.freq * int64(o.length)})
		}
	}
	for i, s := range suffixes {
		shared := 0
		if i > 0 {
			a, b := of(suffixes[i-1]), of(s)
			for shared < min(len(a), len(b)) && a[shared] == b[shared] {
				shared++
			}
		}
		carried := int64(0)
		first := s
		for len(stack) > 0 && stack[len(stack)-1].length > shared {
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			top.freq += carried
			emit(top)
			carried, first = top.freq, top.first
		}
		if len(stack) > 0 && stack[len(stack)-1].length == shared {
			stack[len(stack)-1].freq += carried
		} else if carried > 0 {
			stack = append(stack, open{shared, first, carried})
		}
		// The suffix itself, whole.
		if l := len(of(s)); len(stack) > 0 && stack[len(stack)-1].length == l {
			stack[len(stack)-1].freq += words[s.word].freq
		} else {
			stack = append(stack, open{l, s, words[s.word].freq})
		}
	}
	for carried := int64(0); len(stack) > 0; {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		top.freq += carried
		emit(top)
		carried = top.freq
	}
	textOf := func(f found) []rune { return words[f.suffix.word].text[f.suffix.at : f.suffix.at+f.length] }
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.score, a.score), slices.Compare(textOf(a), textOf(b)))
	})
	if len(list) > t.o.SeedSentencepieceSize {
		list = list[:t.o.SeedSentencepieceSize]
	}
	var out []piece
	var scores []int64
	total := int64(0)
	add := func(text string, score int64) {
		out = append(out, piece{text: text})
		scores = append(scores, score)
		total += score
	}
	for _, r := range t.requiredChars() {
		add(string(r), max(1, t.text.charFreq[r]))
	}
	for _, f := range list {
		add(string(textOf(f)), f.score)
	}
	logTotal := numeric.Log64(float64(total))
	for i := range out {
		out[i].score = numeric.Log64(float64(scores[i])) - logTotal
	}
	return out
}

// requiredChars are the characters that must have pieces, the most frequent first.
func (t *trainer) requiredChars() []rune {
	var chars []rune
	for r := range t.text.required {
		chars = append(chars, r)
	}
	slices.SortFunc(chars, func(a, b rune) int {
		return cmp.Or(cmp.Compare(t.text.charFreq[b], t.text.charFreq[a]), cmp.Compare(a, b))
	})
	return chars
}
