package spmtrain

import (
	"slices"
	"unicode"
)

// space is the sign for a space in normal text.
const space = '\u2581'

// letter is what the trainer needs to know of a character.
type letter struct {
	script string // "": any
	space  bool
	digit  bool
}

// scriptOf gives the script of a character. The three scripts of Japanese count as one; a character without a script counts as common.
func scriptOf(r rune) string {
	const prolongedSound = 'ー'                 // of both Hiragana and Katakana
	for name, table := range unicode.Scripts { // a character is in one of them
		switch {
		case !unicode.Is(table, r):
		case name == "Hiragana" || name == "Katakana" || r == prolongedSound:
			return "Han"
		default:
			return name
		}
	}
	return "Common"
}

// isDigit tells whether a character is a digit for split_digits and split_by_number: 0 to 9, ASCII or full-width.
func isDigit(r rune) bool { return r >= '0' && r <= '9' || r >= '０' && r <= '９' }

// lettersOf describes the characters of an alphabet.
func lettersOf(alphabet []rune) []letter {
	out := make([]letter, len(alphabet))
	for i, r := range alphabet {
		out[i] = letter{script: scriptOf(r), space: r == space, digit: isDigit(r)}
	}
	return out
}

// valid tells whether a run of letters may be a piece: not too long, spaces only at one end, one script, digits as the options say.
func (t *trainer) valid(p []int32) bool {
	o := &t.o
	if len(p) == 0 || len(p) > o.MaxSentencepieceLength {
		return false
	}
	blank := o.AllowWhitespaceOnlyPieces && !slices.ContainsFunc(p, func(c int32) bool { return !t.letters[c].space })
	before := ""
	for i, c := range p {
		l := t.letters[c]
		if l.space {
			if !blank && !o.spaceMayStand(i, len(p)) {
				return false
			}
			continue
		}
		script := l.script
		if script == "Inherited" {
			script = before
		}
		if l.digit {
			if o.SplitDigits && len(p) > 1 {
				return false
			}
			if !o.SplitByNumber {
				script = ""
			}
		}
		if o.SplitByUnicodeScript && script != "" && before != "" && script != before {
			return false
		}
		before = script
	}
	return true
}

// spaceMayStand tells whether a piece of n letters may have a space at i: where a word has one or, if pieces may go across words, anywhere
// but at the other end.
func (o *Options) spaceMayStand(i, n int) bool {
	first, last := i == 0, i == n-1
	switch {
	case o.TreatWhitespaceAsSuffix && o.SplitByWhitespace:
		return last
	case o.TreatWhitespaceAsSuffix:
		return last || !first
	case o.SplitByWhitespace:
		return first
	}
	return first || !last
}
