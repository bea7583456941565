package task

import "albert/tokenizer"

// Long lays out a text, or a pair, in as many inputs as it takes to leave nothing out: one where all fits, else windows over the text, or
// over the longer one of a pair, which overlap by half. The other text of a pair stands whole in each window; only if it needs more than
// half the room it is cut to that. most counts special pieces too.
func Long(tok *tokenizer.Tokenizer, a, b []int32, pair bool, most int) []Input {
	if !pair {
		var list []Input
		eachWindow(len(a), max(1, most-2), func(from, to int) { list = append(list, Single(tok, a[from:to], most)) })
		return list
	}
	room := max(1, most-3)
	if len(a)+len(b) <= room {
		return []Input{joined(tok, a, b)}
	}
	first := len(a) > len(b) // gives way
	other := b
	if !first {
		other = a
	}
	cut := len(other) > room/2
	other = other[:min(len(other), room/2)]
	var list []Input
	eachWindow(max(len(a), len(b)), room-len(other), func(from, to int) {
		var in Input
		if first {
			in = joined(tok, a[from:to], other)
		} else {
			in = joined(tok, other, b[from:to])
		}
		in.Truncated = cut
		list = append(list, in)
	})
	return list
}

// eachWindow goes over n pieces in windows of so many that overlap by half; the last one ends with the pieces.
func eachWindow(n, room int, f func(from, to int)) {
	for from := 0; ; from += max(1, room/2) {
		to := min(from+room, n)
		f(from, to)
		if to == n {
			return
		}
	}
}
