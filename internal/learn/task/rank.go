package task

import "albert/tokenizer"

// LayoutRanked lays out a query and a text as one encoding of at most so many pieces, special ones included. Where they are too long they are
// cut as sentence-transformers' CrossEncoder has it, that is, as tokenizers.Encoding.truncate does with longest_first: the longer
// one loses pieces until it is as long as the other; then both do, and of an odd number of pieces the one that was longer keeps one more, the
// text where they were equal. ([Layout], transformers' slow tokenizers, always gives it to the first.)
func LayoutRanked(tok *tokenizer.Tokenizer, query, text []int32, most int) (tokenizer.Encoding, error) {
	room, a, b := most-3, query, text
	if half := room / 2; room >= 0 && len(a)+len(b) > room && len(a) > half && len(b) > half {
		keep := func(ids []int32, n int) []int32 {
			from, to := tok.TruncationSide.Keep(len(ids), n)
			return ids[from:to]
		}
		if n := room - half; len(query) > len(text) {
			a, b = keep(a, n), keep(b, half)
		} else {
			a, b = keep(a, half), keep(b, n)
		}
	}
	e, err := Layout(tok, a, append([]int32{}, b...), most)
	e.Truncated = e.Truncated || len(a) < len(query) || len(b) < len(text)
	return e, err
}
