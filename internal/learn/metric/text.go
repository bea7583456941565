package metric

import (
	"strings"
	"unicode"

	"albert/internal/text/pystring"
)

// NormalizeAnswer makes answers comparable as the SQuAD scripts do: lower case, no ASCII punctuation, no English articles, words separated
// by one space. The rules are Python's (str.lower, str.split, \b of Unicode patterns), which differ from Go's for a few characters; bytes
// that are not UTF-8 count as U+FFFD.
func NormalizeAnswer(s string) string { return strings.Join(answerWords(s), " ") }

// answerWords gives the words of the normalised answer.
func answerWords(s string) []string {
	var words []string
	kept := make([]rune, 0, len(s))
	for _, r := range pystring.Lower(s) {
		if !pystring.IsPunctuation(r) {
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
		if pystring.IsSpace(kept[i]) {
			end(i)
		} else if start < 0 {
			start = i
		}
		i++
	}
	end(len(kept))
	return words
}

// isWord is Python's \w but for "_", which is punctuation and removed before.
func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// article gives the length of the article (a, an, the) that is a whole word at text[i]; 0 if there is none.
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
