package spmtrain

import (
	"maps"
	"slices"
	"unicode"
)

// space is the sign for a space in normal text.
const space = '\u2581'

// letter is what the trainer needs to know of a character.
type letter struct {
	script uint16 // 0: any
	space  bool
	digit  bool
}

// Scripts with rules of their own. The others have the numbers from scriptOthers on.
const (
	scriptAny uint16 = iota
	scriptCommon
	scriptInherited
	scriptHan
	scriptOthers
)

// scriptNames are Unicode's scripts, in an order that is always the same.
var scriptNames = slices.Sorted(maps.Keys(unicode.Scripts))

// scriptOf gives the script of a character. The three scripts of Japanese count as one; a character without a script counts as common.
func scriptOf(r rune) uint16 {
	const prolongedSound = 'ー' // of both Hiragana and Katakana
	for i, name := range scriptNames {
		if !unicode.Is(unicode.Scripts[name], r) {
			continue
		}
		switch {
		case name == "Han" || name == "Hiragana" || name == "Katakana" || r == prolongedSound:
			return scriptHan
		case name == "Common":
			return scriptCommon
		case name == "Inherited":
			return scriptInherited
		}
		return scriptOthers + uint16(i)
	}
	return scriptCommon
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
	before := scriptAny
	for i, c := range p {
		l := t.letters[c]
		if l.space {
			if !blank && !o.spaceMayStand(i, len(p)) {
				return false
			}
			continue
		}
		script := l.script
		if script == scriptInherited {
			script = before
		}
		if l.digit {
			if o.SplitDigits && len(p) > 1 {
				return false
			}
			if !o.SplitByNumber {
				script = scriptAny
			}
		}
		if o.SplitByUnicodeScript && script != scriptAny && before != scriptAny && script != before {
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
