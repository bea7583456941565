package spmtrain

import (
	"cmp"
	"slices"
)

// suffixArray gives the indices in letters of all suffixes of the words, sorted by their first most letters. The end of a word comes before
// all letters. Suffixes with the same letters are sorted by index.
func (t *trainer) suffixArray(most int) []int32 {
	w := &t.words
	end := w.start[len(w.start)-1]
	letters := w.letters[:end]
	// First by the first letter, by counting; then each of these parts on its own, on all threads.
	from := make([]int32, len(t.alphabet)+1)
	n := int32(0)
	for _, c := range letters {
		if c >= 0 {
			from[c+1]++
			n++
		}
	}
	for c := range t.alphabet {
		from[c+1] += from[c]
	}
	sa := make([]int32, n)
	next := slices.Clone(from)
	for i, c := range letters {
		if c >= 0 {
			sa[next[c]] = int32(i)
			next[c]++
		}
	}
	// The largest part first, so that no thread is left with it at the end.
	parts := make([][]int32, len(t.alphabet))
	for c := range parts {
		parts[c] = sa[from[c]:from[c+1]]
	}
	slices.SortFunc(parts, func(a, b []int32) int { return cmp.Compare(len(b), len(a)) })
	t.parallel(len(parts), 1, func(int) func(int) {
		return func(i int) { t.sortSuffixes(letters, parts[i], 1, most) }
	})
	return sa
}

// letterAt gives the letter of a suffix at a depth, -1 for its end.
func letterAt(letters []int32, suffix int32, depth int) int32 {
	return max(-1, letters[int(suffix)+depth])
}

// compareSuffixes compares two suffixes from a depth on.
func compareSuffixes(letters []int32, a, b int32, depth, most int) int {
	for ; depth < most; depth++ {
		x, y := letterAt(letters, a, depth), letterAt(letters, b, depth)
		if x != y {
			return cmp.Compare(x, y)
		}
		if x < 0 {
			break
		}
	}
	return cmp.Compare(a, b)
}

// sortSuffixes sorts suffixes that have their first depth letters in common, by quicksort with three parts on the letter that
// follows (Bentley and Sedgewick, 1997).
func (t *trainer) sortSuffixes(letters, sa []int32, depth, most int) {
	for t.ctx.Err() == nil {
		if len(sa) < 24 || depth >= most {
			slices.SortFunc(sa, func(a, b int32) int { return compareSuffixes(letters, a, b, depth, most) })
			return
		}
		n := len(sa)
		a, b, c := letterAt(letters, sa[n/4], depth), letterAt(letters, sa[n/2], depth), letterAt(letters, sa[n/4*3], depth)
		pivot := max(min(a, b), min(max(a, b), c))
		less, i, more := 0, 0, n
		for i < more {
			switch x := letterAt(letters, sa[i], depth); {
			case x < pivot:
				sa[less], sa[i] = sa[i], sa[less]
				less++
				i++
			case x > pivot:
				more--
				sa[i], sa[more] = sa[more], sa[i]
			default:
				i++
			}
		}
		t.sortSuffixes(letters, sa[:less], depth, most)
		t.sortSuffixes(letters, sa[more:], depth, most)
		if pivot < 0 { // whole words
			slices.Sort(sa[less:more])
			return
		}
		sa, depth = sa[less:more], depth+1
	}
}
