package corpus

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations that are followed by more of their sentence: titles before names, and what stands before numbers and examples. In
// lower case, without the last full stop.
var abbreviations = func() map[string]bool {
	m := map[string]bool{}
	for _, a := range strings.Fields(`mr mrs ms messrs mme mlle dr prof rev hon st sr jr gen col maj capt lieut lt sergt sgt corp gov pres
		sen rep supt no nos vol vols ch chap fig figs eq eqs sec pp p cf e.g i.e viz vs v etc al approx dept est inc ltd co bros
		jan feb mar apr jun jul aug sept sep oct nov dec mon tue wed thu fri sat sun a.m p.m u.s u.k u.n d.c ph.d m.d b.a m.a
		ed eds trans repr art op cit ibid resp incl excl max min esp univ assn ave blvd rd mt ft sq dist wm jas thos chas geo`) {
		m[a] = true
	}
	return m
}()

// endsAnyway are abbreviations after which a capital letter does begin a new sentence.
var endsAnyway = map[string]bool{"etc": true, "a.m": true, "p.m": true, "inc": true, "ltd": true, "co": true, "jr": true, "al": true, "u.s": true, "u.k": true, "ph.d": true, "m.d": true}

const (
	closers = "\"'”’»)]}›"
	openers = "\"'“‘«([{‹—–-*_"
)

// Split cuts a paragraph of prose into sentences. A sentence ends at . ! ? or …, with the quotes and brackets that close after it, if
// a space follows and what comes then can begin a sentence. It does not end after an abbreviation or an initial, before a
// lower-case letter, or inside a number.
func Split(paragraph string) []string {
	s := strings.Join(strings.Fields(paragraph), " ")
	var out []string
	start := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isEnd(r) {
			i += n
			continue
		}
		first := i
		for i < len(s) { // "?!", "...", "?!”"
			r, n := utf8.DecodeRuneInString(s[i:])
			if !isEnd(r) && !strings.ContainsRune(closers, r) {
				break
			}
			i += n
		}
		if i < len(s) && s[i] == ' ' && endsSentence(s[start:first], s[first:i], s[i+1:]) {
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

func isEnd(r rune) bool {
	return r == '.' || r == '!' || r == '?' || r == '…' || r == '。' || r == '！' || r == '？'
}

// endsSentence tells whether a sentence ends between mark and after: before is the sentence up to the mark.
func endsSentence(before, mark, after string) bool {
	next := strings.TrimLeft(after, openers)
	r, _ := utf8.DecodeRuneInString(next)
	if next == "" {
		r, _ = utf8.DecodeRuneInString(after)
	}
	if unicode.IsLower(r) {
		return false
	}
	if mark[0] != '.' || strings.HasPrefix(mark, "..") || mark != strings.TrimRight(mark, closers) {
		return true
	}
	word := before
	if i := strings.LastIndexAny(before, " (["); i >= 0 {
		word = before[i+1:]
	}
	word = strings.TrimLeft(word, openers)
	lower := strings.ToLower(word)
	if abbreviations[lower] {
		if endsAnyway[lower] {
			return unicode.IsUpper(r) && next == after
		}
		// "No." may be an answer.
		return lower == "no" && !unicode.IsDigit(r)
	}
	// An initial: one capital letter, or some with full stops between them.
	if c, n := utf8.DecodeRuneInString(word); n == len(word) && unicode.IsUpper(c) && c != 'I' {
		return false
	}
	return !strings.Contains(word, ".") || !allInitials(word)
}

// allInitials tells of "J.R.R" and the like.
func allInitials(word string) bool {
	for _, part := range strings.Split(word, ".") {
		if utf8.RuneCountInString(part) != 1 {
			return false
		}
	}
	return true
}

// paragraphs joins the lines of a document into paragraphs. Each line is one, unless the lines look hard-wrapped: none is long, and
// most do not end where a sentence does.
func paragraphs(lines []string) []string {
	if len(lines) < 2 {
		return lines
	}
	open := 0
	for i, l := range lines {
		if utf8.RuneCountInString(l) > 100 {
			return lines
		}
		if i < len(lines)-1 {
			t := strings.TrimRight(strings.TrimSpace(l), closers)
			if r, _ := utf8.DecodeLastRuneInString(t); !isEnd(r) && r != ':' && r != ';' {
				open++
			}
		}
	}
	if 2*open <= len(lines)-1 {
		return lines
	}
	return []string{strings.Join(lines, " ")}
}
