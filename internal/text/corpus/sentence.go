package corpus

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Marks that close after a sentence's end, and that open before a sentence's beginning.
const (
	closers = "\"'”’»)]}›*_"
	openers = "\"'“‘«([{‹—–-*_¿¡"
)

// maxSentence is the length of a sentence in bytes above which it is cut at a space. Text without full stops would be one sentence
// otherwise, and a sentence far longer than a model's 512 pieces can never be whole in an example.
const maxSentence = 4096

// Split cuts a paragraph of English prose into sentences; spaces are collapsed, nothing else is changed. A sentence ends at . ! ? or …
// with the quotes and brackets that close after it, if a space follows and what comes then can begin a sentence: not a lower-case letter
// (unless the paragraph has no capitals), not more full stops. It does not end after an abbreviation or an initial, nor between a
// question in quotes and who asked it. After 。！？ no space is needed.
func Split(paragraph string) []string {
	s := strings.Join(strings.Fields(paragraph), " ")
	cased := strings.IndexFunc(s, unicode.IsUpper) >= 0
	var out []string
	start := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isEnd(r) {
			i += n
			continue
		}
		first := i
		i = endOfMark(s, i)
		wide := r == '。' || r == '！' || r == '？'
		after := strings.TrimPrefix(s[i:], " ")
		if after == "" || after == s[i:] && !wide || !wide && !endsSentence(s[start:first], s[first:i], after, cased) {
			continue
		}
		out = appendSentence(out, s[start:i])
		i = len(s) - len(after)
		start = i
	}
	if start < len(s) {
		out = appendSentence(out, s[start:])
	}
	return out
}

// appendSentence appends a sentence, cut where it is too long.
func appendSentence(out []string, s string) []string {
	for len(s) > maxSentence {
		n := cutPlace(s, maxSentence)
		out = append(out, strings.TrimRight(s[:n], " "))
		s = s[n:]
	}
	return append(out, s)
}

func isEnd(r rune) bool {
	return r == '.' || r == '!' || r == '?' || r == '…' || r == '。' || r == '！' || r == '？'
}

// endOfMark gives the end of what ends a sentence from i on: "?!", "...", "?!”", ".)", ".[12]".
func endOfMark(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case isEnd(r) || strings.ContainsRune(closers, r):
			i += n
		case r == '[': // the number of a footnote
			rest := strings.TrimLeft(s[i+1:], "0123456789")
			if len(rest) == len(s)-i-1 || !strings.HasPrefix(rest, "]") {
				return i
			}
			i = len(s) - len(rest) + 1
		default:
			return i
		}
	}
	return i
}

// endsSentence tells whether a sentence ends between mark and after: before is the sentence up to the mark.
func endsSentence(before, mark, after string, cased bool) bool {
	next := strings.TrimLeft(after, openers+" ")
	r, size := utf8.DecodeRuneInString(next)
	switch {
	case size == 0: // nothing but dashes and quotes
		r, _ = utf8.DecodeRuneInString(after)
		if strings.ContainsRune(closers, r) { // a quote with spaces around it
			return false
		}
	case unicode.IsLower(r) && cased, isEnd(r), r == ',' || r == ';' || r == ':':
		return false
	}
	word := firstWord(next)
	closed := strings.ContainsAny(mark, closers)
	switch {
	case mark[0] != '.' && !strings.HasPrefix(mark, "…"):
		return !(closed && next == after && speaks(next))
	case strings.HasPrefix(mark, "…") || strings.HasPrefix(mark, ".."):
		return word != "I" && !strings.HasPrefix(word, "I'") && !strings.HasPrefix(word, "I’")
	case closed:
		// "(Smith et al.) The" and “He is Mr.” are rare; "Jr.) was" is not, and goes on in lower case.
		return true
	}
	return !isAbbreviation(before, next, word, r, cased)
}

// firstWord is the beginning of a text up to a space, without the marks at its end.
func firstWord(s string) string {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, ".,;:!?…—–-"+closers)
}

// speaks tells whether what follows a quotation says who spoke: a name or "I", and within a few words a verb of speaking.
func speaks(s string) bool {
	for i, w := range strings.Fields(s[:min(len(s), 80)]) {
		bare := strings.TrimRight(w, ".,;:!?…—–-"+closers)
		if speech[bare] {
			return i > 0
		}
		c, _ := utf8.DecodeRuneInString(bare)
		if i > 3 || i == 0 && starters[bare] && bare != "I" || !unicode.IsUpper(c) || bare != w && !titles[bare] {
			return false
		}
	}
	return false
}

// isAbbreviation tells whether the full stop after before belongs to its last word and ends no sentence. next is what follows, word its
// first word, r its first letter or digit.
func isAbbreviation(before, next, word string, r rune, cased bool) bool {
	last := before
	if i := strings.LastIndexAny(last, " —–/"); i >= 0 {
		_, n := utf8.DecodeRuneInString(last[i:])
		last = last[i+n:]
	}
	last = strings.TrimLeft(last, openers)
	lower := strings.ToLower(last)
	atStart := strings.TrimLeft(before, openers) == last
	number := unicode.IsDigit(r)
	if c, n := utf8.DecodeRuneInString(last); n == len(last) && unicode.IsUpper(c) { // an initial, or what numbers a paragraph
		if c == 'I' && !atStart {
			return beforeNames[wordBefore(before, last)]
		}
		return atStart || !starters[word]
	}
	switch {
	case last == "":
		return false
	case titles[last] || (!cased || len(last) > 1 && strings.ToUpper(last) == last) && titles[strings.ToUpper(lower[:1])+lower[1:]]:
		// "Elm St. He"
		return !(lower == "st" && !atStart && starters[word] && word != "The" && strings.IndexFunc(wordBefore(before, last), unicode.IsUpper) == 0)
	case inner[lower]:
		return true
	case numbered[lower]:
		return number || lower != "no" && isRoman(word) && !(word == "I" && strings.HasPrefix(next, "I "))
	case months[last]:
		return number
	case trailing[lower]:
		return !starters[word]
	case ending[lower]:
		return calendar[word]
	case enumerates(last) && atStart && cased:
		return true // "1. The first", "IV. Of wealth"
	}
	return allInitials(last) && !starters[word]
}

// wordBefore is the word before the last one.
func wordBefore(before, last string) string {
	s := strings.TrimRight(strings.TrimSuffix(before, last), openers+" ")
	return s[strings.LastIndexByte(s, ' ')+1:]
}

// allInitials tells of "J.R.R", "U.S.A", "n.b".
func allInitials(word string) bool {
	if !strings.Contains(word, ".") {
		return false
	}
	for part := range strings.SplitSeq(word, ".") {
		if utf8.RuneCountInString(part) != 1 {
			return false
		}
	}
	return true
}

// isRoman tells of numbers as "II" and "XIV" in capitals.
func isRoman(s string) bool { return s != "" && strings.Trim(s, "IVXLC") == "" }

// enumerates tells of what numbers a paragraph: one or two digits, a Roman number.
func enumerates(s string) bool {
	return len(s) <= 2 && strings.Trim(s, "0123456789") == "" || len(s) <= 5 && isRoman(s)
}
