package tokenizer

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"albert/internal/text/pystring"
)

// What transformers' BasicTokenizer does with text before WordPiece: control characters and invalid ones are left out, Chinese
// characters become words of their own, canonical composition, accents are removed, punctuation is split off.

// letter is a character and the bytes of the original text that it stands for.
type letter struct {
	r        rune
	from, to int
}

// letters appends the characters of in.text[from:to].
func letters(out []letter, in *normal, from, to int) []letter {
	for i := from; i < to; {
		r, n := utf8.DecodeRune(in.text[i:])
		end := i + n
		for end < len(in.text) && in.from[end] == in.from[i] { // several characters here stand for one of the original text
			end++
		}
		out = append(out, letter{r, in.from[i], in.from[end]})
		i += n
	}
	return out
}

// cleanLetters leaves out control characters, writes spaces as ' ', and puts spaces around Chinese characters if spaced is set.
// (BasicTokenizer._clean_text and _tokenize_chinese_chars.)
func cleanLetters(in []letter, spaced bool) []letter {
	out := make([]letter, 0, len(in)+8)
	for _, l := range in {
		switch r := l.r; {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Zs, r):
			out = append(out, letter{' ', l.from, l.to})
		case r == 0 || r == utf8.RuneError || r >= utf8.RuneSelf && isOther(r) || r < ' ' || r == 0x7f:
		case spaced && isChinese(r):
			out = append(out, letter{' ', l.from, l.from}, l, letter{' ', l.to, l.to})
		default:
			out = append(out, l)
		}
	}
	return out
}

// isOther tells whether a character is of Unicode's category C: control, format, private use, surrogate, unassigned.
func isOther(r rune) bool {
	return unicode.Is(unicode.C, r) || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// isChinese tells whether a character is in a block that BERT's tokenizer counts as Chinese (BasicTokenizer._is_chinese_char).
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4dbf, 0x4e00 <= r && r <= 0x9fff, 0xf900 <= r && r <= 0xfaff:
		return true
	case r < 0x20000:
		return false
	}
	return r <= 0x2a6df || 0x2a700 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f
}

// isPunctuation tells whether a character is punctuation in Unicode, or an ASCII sign that is neither letter nor digit nor space.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return pystring.IsPunctuation(r)
	}
	return unicode.Is(unicode.P, r)
}

func ascii(in []letter) bool {
	return !slices.ContainsFunc(in, func(l letter) bool { return l.r >= utf8.RuneSelf })
}

// combiningClass is the canonical combining class: 0 for a character that others combine with.
func combiningClass(r rune) uint8 {
	if r < 0x300 {
		return 0
	}
	return norm.NFD.PropertiesString(string(r)).CCC()
}

// decomposeLetters is the canonical decomposition, in canonical order: as package norm does it, but with the bytes that each
// character stands for, and without norm's limit on combining characters in a row.
func decomposeLetters(in []letter) []letter {
	out := make([]letter, 0, len(in)+8)
	for _, l := range in {
		if l.r < 0xc0 {
			out = append(out, l)
			continue
		}
		for _, r := range norm.NFD.String(string(l.r)) {
			out = append(out, letter{r, l.from, l.to})
		}
	}
	for i := 0; i < len(out); {
		if combiningClass(out[i].r) == 0 {
			i++
			continue
		}
		end := i + 1
		for end < len(out) && combiningClass(out[end].r) != 0 {
			end++
		}
		slices.SortStableFunc(out[i:end], func(a, b letter) int { return int(combiningClass(a.r)) - int(combiningClass(b.r)) })
		i = end
	}
	return out
}

// composeLetters is NFC.
func composeLetters(in []letter) []letter {
	if ascii(in) {
		return in
	}
	text := make([]rune, len(in))
	for i, l := range in {
		text[i] = l.r
	}
	if norm.NFC.IsNormalString(string(text)) {
		return in
	}
	d := decomposeLetters(in)
	out := d[:0]
	starter, last := -1, uint8(0) // index in out of the character that may be composed with, and the class of the last one after it
	for _, l := range d {
		class := combiningClass(l.r)
		if starter >= 0 && (len(out) == starter+1 || last < class && last != 0) {
			if c, ok := composePair(out[starter].r, l.r); ok {
				out[starter].r = c
				out[starter].from, out[starter].to = min(out[starter].from, l.from), max(out[starter].to, l.to)
				continue
			}
		}
		out = append(out, l)
		if last = class; class == 0 {
			starter = len(out) - 1
		}
	}
	return out
}

// composePair gives the character that two compose to. Package norm looks pairs up by the lower 16 bits of both, so that for it U+3006C
// with an acute is ĺ: only a result that decomposes to the pair again is taken.
func composePair(a, b rune) (rune, bool) {
	s := norm.NFC.String(string([]rune{a, b}))
	r, n := utf8.DecodeRuneInString(s)
	return r, n == len(s) && norm.NFD.String(s) == norm.NFD.String(string(a))+norm.NFD.String(string(b))
}

// withoutAccents is the canonical decomposition without non-spacing marks.
func withoutAccents(in []letter) []letter {
	if ascii(in) {
		return in
	}
	return slices.DeleteFunc(decomposeLetters(in), func(l letter) bool { return unicode.Is(unicode.Mn, l.r) })
}

// split calls f for the runs of letters between separators; with single set, for each separator, too.
func split(in []letter, sep func(rune) bool, single bool, f func([]letter)) {
	from := 0
	for i, l := range in {
		if !sep(l.r) {
			continue
		}
		if from < i {
			f(in[from:i])
		}
		if single {
			f(in[i : i+1])
		}
		from = i + 1
	}
	if from < len(in) {
		f(in[from:])
	}
}
