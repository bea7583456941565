package metric

import (
	"strings"
	"unicode"
)

// NormalizeAnswer makes answers comparable as the SQuAD scripts do: lower case, no ASCII punctuation, no English articles, words separated
// by one space. The rules are Python's (str.lower, str.split, \b of Unicode patterns), which differ from Go's for a few characters; bytes
// that are not UTF-8 count as U+FFFD.
func NormalizeAnswer(s string) string { return strings.Join(answerWords(s), " ") }

// answerWords are the words of the normalised answer.
func answerWords(s string) []string {
	var words []string
	kept := make([]rune, 0, len(s))
	for _, r := range lower([]rune(s)) {
		if !isPunctuation(r) {
			kept = append(kept, r)
		}
	}
	start := -1 // of the word that is being read
	end := func(i int) {
		if start >= 0 {
			words = append(words, string(kept[start:i]))
			start = -1
		}
	}
	for i := 0; i < len(kept); {
		if n := article(kept, i); n > 0 {
			end(i)
			i += n
			continue
		}
		if isSpace(kept[i]) {
			end(i)
		} else if start < 0 {
			start = i
		}
		i++
	}
	end(len(kept))
	return words
}

// isPunctuation is Python's string.punctuation.
func isPunctuation(r rune) bool {
	return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
}

// isSpace is what Python's str.split() cuts at; Go's unicode.IsSpace lacks the four separators of ASCII.
func isSpace(r rune) bool { return r >= 0x1c && r <= 0x1f || unicode.IsSpace(r) }

// isWord is Python's \w without "_", which is gone where this is asked.
func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// article gives the length of an article, whole between characters that are no part of words, that begins at text[i]; 0 for none.
func article(text []rune, i int) int {
	if i > 0 && isWord(text[i-1]) {
		return 0
	}
	rest := text[i:]
	n := 0
	switch {
	case rest[0] == 'a':
		n = 1
		if len(rest) > 1 && rest[1] == 'n' && (len(rest) == 2 || !isWord(rest[2])) {
			n = 2
		}
	case rest[0] == 't' && len(rest) > 2 && rest[1] == 'h' && rest[2] == 'e':
		n = 3
	default:
		return 0
	}
	if n < len(rest) && isWord(rest[n]) {
		return 0
	}
	return n
}

// lower is Python's str.lower: I with a dot above becomes two characters, and a capital sigma is final where a cased letter comes before
// it and none after it.
func lower(s []rune) []rune {
	out := make([]rune, 0, len(s)+1)
	for i, r := range s {
		switch r {
		case 'İ':
			out = append(out, 'i', '\u0307')
		case 'Σ':
			if finalSigma(s, i) {
				out = append(out, 'ς')
			} else {
				out = append(out, 'σ')
			}
		default:
			out = append(out, unicode.ToLower(r))
		}
	}
	return out
}

// finalSigma is the condition Final_Sigma of Unicode's SpecialCasing at s[i].
func finalSigma(s []rune, i int) bool {
	before := i - 1
	for before >= 0 && isCaseIgnorable(s[before]) {
		before--
	}
	if before < 0 || !isCased(s[before]) {
		return false
	}
	after := i + 1
	for after < len(s) && isCaseIgnorable(s[after]) {
		after++
	}
	return after == len(s) || !isCased(s[after])
}

// isCased is Unicode's derived property Cased.
func isCased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// isCaseIgnorable is Unicode's derived property Case_Ignorable: marks, formats, modifiers, and the characters that may stand inside a word.
func isCaseIgnorable(r rune) bool {
	switch r {
	case '\'', '.', ':', '\u00b7', '\u0387', '\u055f', '\u05f4', '\u2018', '\u2019', '\u2024', '\u2027',
		'\ufe13', '\ufe52', '\ufe55', '\uff07', '\uff0e', '\uff1a':
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}
