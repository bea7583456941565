package task

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/numeric"
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

// Windows lays out a question and its context. Without a question the layout is the same with an empty one.
func Windows(tok *tokenizer.Tokenizer, question, context string, o SpanOptions) []Window {
	tokens := tok.EncodeWithOffsets(context)
	tokenizer.WholeRunes(context, tokens)
	tokenizer.InRunes(context, tokens)
	ids := make([]int32, len(tokens))
	places := make([][2]int, len(tokens))
	for i, t := range tokens {
		ids[i], places[i] = t.ID, [2]int{t.Begin, t.End}
	}
	q := tok.Encode(question)
	cut := len(q) > o.MaxQueryLength || len(q) > o.MaxSeqLength-4
	q = q[:max(0, min(len(q), o.MaxQueryLength, o.MaxSeqLength-4))] // room for one piece of the context at least
	return windows(tok, q, ids, places, cut, o)
}

// windows cuts the pieces of a context.
func windows(tok *tokenizer.Tokenizer, q, ids []int32, places [][2]int, cut bool, o SpanOptions) []Window {
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
	Logit      float32 // of the start and of the end together
	Score      float32 // softmax of the start times softmax of the end, over [CLS] and the context of its window
	Window     int
}

// Spans is what question answering gives for a context.
type Spans struct {
	Best []Span // best first by Logit, no text twice; empty where the context is
	// Null is the answer that there is none: both logits of [CLS], the lowest of all windows.
	Null Span
}

// BestSpans finds the likeliest spans: for each window the NBest likeliest starts and ends, no start that another window has more
// context of, no end before its start, no answer of more than MaxAnswerLength pieces. starts and ends hold a window's logits in all
// its rows. Of given windows, whose context is "", spans have no text.
func BestSpans(ws []Window, starts, ends [][]float32, context string, o SpanOptions) Spans {
	var out Spans
	given := context == "" // places are rows: there is no text
	at := byteOffsets(context)
	var all []Span
	for k := range ws {
		w := &ws[k]
		ps, pe := w.softmax(starts[k]), w.softmax(ends[k])
		null := Span{Logit: starts[k][0] + ends[k][0], Score: ps(0) * pe(0), Window: k}
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
				if j < i || j-i+1 > o.MaxAnswerLength {
					continue
				}
				begin, end := w.Places[i][0], w.Places[j][1]
				if begin >= end {
					continue
				}
				span := Span{Logit: s[i] + e[j], Score: ps(w.First+i) * pe(w.First+j), Window: k}
				if !given {
					if begin, end = trim(context, at, begin, end); begin == end {
						continue
					}
					span.Text = context[at[begin]:at[end]]
				}
				span.Begin, span.End = begin, end
				all = append(all, span)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(b.Logit, a.Logit) })
	seen := map[string]bool{}
	for _, s := range all {
		if len(out.Best) == o.NBest {
			break
		}
		if given || !seen[s.Text] {
			seen[s.Text] = true
			out.Best = append(out.Best, s)
		}
	}
	return out
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

// NullScore is by how much no answer is preferred to the best span: the difference of their logits, infinite without a span.
func (s *Spans) NullScore() float32 {
	if len(s.Best) == 0 {
		return float32(math.Inf(1))
	}
	return s.Null.Logit - s.Best[0].Logit
}
