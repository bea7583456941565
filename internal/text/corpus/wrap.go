package corpus

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hard-wrapped text, as of Project Gutenberg: no line is longer than about wrapWidest characters, and most lines could not have taken
// the next line's first word as well.
const (
	wrapWidest    = 120
	wrapNarrowest = 40
	wrapSlack     = 6   // characters by which a line may fall short: people wrap too
	wrapShare     = 0.5 // of the lines, where hardly any list or column of sentences comes
)

// paragraphs joins the lines of a document into paragraphs. Each line is one, unless the lines look hard-wrapped: then a paragraph goes
// on as long as its lines are full, or the next one begins in lower case.
func paragraphs(lines []string) []string {
	if len(lines) < 2 {
		return lines
	}
	lengths := make([]int, len(lines))
	for i, l := range lines {
		lengths[i] = utf8.RuneCountInString(strings.TrimRightFunc(l, unicode.IsSpace))
	}
	sorted := slices.Sorted(slices.Values(lengths))
	width := sorted[(len(sorted)*99+99)/100-1] // one line in a hundred may stand out
	if width > wrapWidest || width < wrapNarrowest {
		return lines
	}
	full, goesOn := 0, 0
	joins := make([]bool, len(lines)) // with the line before
	for i := 1; i < len(lines); i++ {
		first := strings.TrimLeftFunc(lines[i], unicode.IsSpace)
		room := width - lengths[i-1] - 1
		n := strings.IndexFunc(first, unicode.IsSpace)
		if n < 0 {
			n = len(first)
		}
		isFull := utf8.RuneCountInString(first[:n]) > room-wrapSlack
		isOpen := !endsAtMark(lines[i-1])
		if r, _ := utf8.DecodeRuneInString(strings.TrimLeft(first, openers)); unicode.IsLower(r) && isOpen {
			goesOn++
			joins[i] = true
		}
		if isFull {
			full++
			// A short line that ends a sentence is full by chance; a new paragraph is often indented.
			joins[i] = joins[i] || !(isIndented(lines[i]) && !isIndented(lines[i-1]))
		}
	}
	// Sentences, one a line, begin with capitals; lines that were cut do not.
	if n := float64(len(lines) - 1); float64(full) < wrapShare*n || float64(goesOn) < wrapShare*n/2 {
		return lines
	}
	var out []string
	start := 0
	for i := 1; i <= len(lines); i++ {
		if i == len(lines) || !joins[i] {
			out = append(out, strings.Join(lines[start:i], " "))
			start = i
		}
	}
	return out
}

func isIndented(line string) bool {
	return strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
}

// endsAtMark tells whether a line ends as a sentence does.
func endsAtMark(line string) bool {
	t := strings.TrimRight(strings.TrimSpace(line), closers)
	r, _ := utf8.DecodeLastRuneInString(t)
	return isEnd(r)
}
