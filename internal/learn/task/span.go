package task

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/internal/engine/numeric"
	"albert/tokenizer"
)

// SpanOptions are the settings of question answering, under the released code's names.
type SpanOptions struct {
	MaxSeqLength    int // pieces of a window, special ones included
	DocStride       int // pieces from one window's beginning to the next's
	MaxQueryLength  int // pieces of the question that are kept, the first ones
	MaxAnswerLength int // pieces of an answer
	NBest           int // starts and ends that are looked at
}

// DefaultSpanOptions are those of the released code (squad_utils.py).
var DefaultSpanOptions = SpanOptions{MaxSeqLength: 384, DocStride: 128, MaxQueryLength: 64, MaxAnswerLength: 30, NBest: 20}

// Window is a part of a context with the question before it: [CLS] question [SEP] context [SEP].
type Window struct {
	Input
	First int // the row of the first piece of the context
	// Places of the pieces of the context in the text as given, [begin, end) in code points. One that stands for nothing there has
	// begin = end.
	Places [][2]int
	// MaxContext tells of each piece of the context whether no other window has more around it: min(left, right) + 0.01 of the
	// window's pieces.
	MaxContext []bool
	From       int // the number of the window's first piece in the whole context
}

// Windows lays out a question, given as pieces, and its context ([tokenizer.Tokenizer.Cut]): the question's first pieces, as many as
// there may be and leave room for one of the context, and windows over the context.
func Windows(tok *tokenizer.Tokenizer, question []int32, context tokenizer.Text, o SpanOptions) []Window {
	q := question[:max(0, min(len(question), o.MaxQueryLength, o.MaxSeqLength-4))]
	cut := len(q) < len(question)
	ids, places := context.IDs, context.Offsets
	room := max(1, o.MaxSeqLength-len(q)-3)
	var list []Window
	for from := 0; ; from += max(1, min(o.DocStride, room)) {
		to := min(from+room, len(ids))
		w := Window{Input: joined(tok, q, ids[from:to]), First: len(q) + 2, Places: places[from:to], From: from,
			MaxContext: make([]bool, to-from)}
		w.Truncated = cut
		list = append(list, w)
		if to == len(ids) {
			break
		}
	}
	for i := range ids {
		best, at := -1, 0
		for k := range list {
			w := &list[k]
			left, right := i-w.From, w.From+len(w.Places)-1-i
			if left < 0 || right < 0 {
				continue
			}
			if score := 100*min(left, right) + len(w.Places); score > best { // in hundredths
				best, at = score, k
			}
		}
		list[at].MaxContext[i-list[at].From] = true
	}
	return list
}

// GivenWindow is a window whose pieces were given: its context stands between the first sep and the next, and its places are rows.
func GivenWindow(in Input, sep int32) Window {
	w := Window{Input: in}
	w.First = slices.Index(in.IDs, sep) + 1
	if w.First == 0 {
		w.First = min(1, len(in.IDs))
	}
	for i := w.First; i < len(in.IDs) && in.IDs[i] != sep; i++ {
		w.Places = append(w.Places, [2]int{i, i + 1})
		w.MaxContext = append(w.MaxContext, true)
	}
	return w
}

// Span is an answer.
type Span struct {
	Text       string
	Begin, End int     // code points of the context, Text between them
	StartLogit float32 // of the beam head logarithms of probabilities, the end's given the start
	EndLogit   float32
	Logit      float32 // both together
	Score      float32 // softmax of the start times softmax of the end, over [CLS] and the context of its window
	Window     int
}

// Spans is what question answering gives for a context.
type Spans struct {
	Best []Span // best first by Logit, no text twice; empty where the context is
	// Null is the answer that there is none: both logits of [CLS], the lowest of all windows. Of the beam head its Logit is the lowest
	// logit of there being no answer, and its Score the sigmoid of that.
	Null Span
	Beam bool // found by the beam head
}

// BestSpans finds the likeliest spans: for each window the NBest likeliest starts and ends, no start that another window has more
// context of, no end before its start, no answer of more than MaxAnswerLength pieces. starts and ends hold a window's logits in all
// its rows. Of given windows, whose context is "", spans have no text.
func BestSpans(ws []Window, starts, ends [][]float32, context string, o SpanOptions) Spans {
	var out Spans
	at := byteOffsets(context)
	var all []Span
	for k := range ws {
		w := &ws[k]
		ps, pe := w.softmax(starts[k]), w.softmax(ends[k])
		null := Span{StartLogit: starts[k][0], EndLogit: ends[k][0], Logit: starts[k][0] + ends[k][0], Score: ps(0) * pe(0), Window: k}
		if k == 0 || null.Logit < out.Null.Logit {
			out.Null = null
		}
		n := len(w.Places)
		s, e := starts[k][w.First:w.First+n], ends[k][w.First:w.First+n]
		for _, i := range top(s, o.NBest) {
			if !w.MaxContext[i] {
				continue
			}
			for _, j := range top(e, o.NBest) {
				span := Span{StartLogit: s[i], EndLogit: e[j], Logit: s[i] + e[j], Score: ps(w.First+i) * pe(w.First+j), Window: k}
				if w.place(&span, i, j, context, at, o) {
					all = append(all, span)
				}
			}
		}
	}
	out.choose(all, o.NBest, context == "")
	return out
}

// place sets text and place of the span of pieces i to j of the window's context. It tells whether that can be an answer.
func (w *Window) place(s *Span, i, j int, context string, at []int, o SpanOptions) bool {
	if !w.MaxContext[i] || j < i || j-i+1 > o.MaxAnswerLength {
		return false
	}
	begin, end := w.Places[i][0], w.Places[j][1]
	if begin >= end {
		return false
	}
	if context != "" { // else places are rows: there is no text
		if begin, end = trim(context, at, begin, end); begin == end {
			return false
		}
		s.Text = context[at[begin]:at[end]]
	}
	s.Begin, s.End = begin, end
	return true
}

// choose keeps the best of all spans, at most n, and no text twice unless there are no texts.
func (s *Spans) choose(all []Span, n int, given bool) {
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(b.Logit, a.Logit) })
	seen := map[string]bool{}
	for _, x := range all {
		if len(s.Best) == n {
			break
		}
		if given || !seen[x.Text] {
			seen[x.Text] = true
			s.Best = append(s.Best, x)
		}
	}
}

// softmax gives the softmax of a window's logits over [CLS] and the context.
func (w *Window) softmax(logits []float32) func(row int) float32 {
	high := logits[0]
	context := logits[w.First : w.First+len(w.Places)]
	for _, x := range context {
		high = max(high, x)
	}
	sum := numeric.Exp64(float64(logits[0] - high))
	for _, x := range context {
		sum += numeric.Exp64(float64(x - high))
	}
	return func(row int) float32 { return float32(numeric.Exp64(float64(logits[row]-high)) / sum) }
}

// top gives the places of the n highest values, highest first, the lower place where they are equal.
func top(x []float32, n int) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return order[:min(n, len(order))]
}

// byteOffsets gives the byte at which every code point begins, and the length at the end. A byte that is no UTF-8 counts as one.
func byteOffsets(s string) []int {
	at := make([]int, 0, len(s)+1)
	for i := range s {
		at = append(at, i)
	}
	return append(at, len(s))
}

// trim leaves out white space at the ends of [begin, end).
func trim(s string, at []int, begin, end int) (int, int) {
	text := s[at[begin]:at[end]]
	rest := strings.TrimSpace(text)
	if rest == "" {
		return begin, begin
	}
	begin += utf8.RuneCountInString(text[:strings.Index(text, rest)])
	return begin, begin + utf8.RuneCountInString(rest)
}

// NullScore is by how much no answer is preferred to the best span: the difference of their logits, infinite without a span. The beam
// head asks for it apart from the spans: its logit of no answer stands for itself.
func (s *Spans) NullScore() float32 {
	if len(s.Best) == 0 {
		return float32(math.Inf(1))
	}
	if s.Beam {
		return s.Null.Logit
	}
	return s.Null.Logit - s.Best[0].Logit
}

// Rows gives the rows of the pieces that hold code points [begin, end) of the context: of the first piece that begins at or holds
// begin, and of the last that holds end - 1. Both are 0, the row of [CLS], where the window does not have all of them.
func (w *Window) Rows(begin, end int) (first, last int32) {
	from, to := -1, -1
	for i, p := range w.Places {
		if p[0] == p[1] {
			continue
		}
		if p[0] <= begin && begin < p[1] && from < 0 {
			from = i
		}
		if p[0] < end && end <= p[1] {
			to = i
		}
	}
	if from < 0 || to < from {
		return 0, 0
	}
	return int32(w.First + from), int32(w.First + to)
}
