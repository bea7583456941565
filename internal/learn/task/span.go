package task

import (
	"cmp"
	"math"
	"slices"
	"sort"
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
	tokenizer.Encoding
	// Offsets are where the pieces of the context stand in the text as given, [begin, end) in code points. A piece that stands for nothing
	// there has begin = end.
	Offsets [][2]int
	// MaxContext tells of each piece of the context whether no other window has more around it: min(left, right) + 0.01 of the
	// window's pieces.
	MaxContext []bool
}

// Windows lays out a question, given as pieces, and its context ([tokenizer.Tokenizer.Cut]): the question's first pieces (the last, where
// the tokenizer says that texts are cut at the left), as many as there may be and leave room for one of the context, and windows over the context.
func Windows(tok *tokenizer.Tokenizer, question []int32, context tokenizer.Text, o SpanOptions) ([]Window, error) {
	from, to := tok.TruncationSide.Keep(len(question), min(o.MaxQueryLength, o.MaxSeqLength-4))
	q := question[from:to]
	room := max(1, o.MaxSeqLength-len(q)-3)
	step := max(1, min(o.DocStride, room))
	encodings, err := tok.Windows(tokenizer.Text{IDs: q}, &context, len(q)+3+room, room-step, tokenizer.OnlySecond)
	if err != nil {
		return nil, err
	}
	list, parts := make([]Window, len(encodings)), make([]tokenizer.Part, len(encodings))
	for k, e := range encodings {
		parts[k] = e.B
		e.Truncated = len(q) < len(question)
		list[k] = Window{Encoding: e, Offsets: context.Offsets[e.B.From:e.B.To], MaxContext: make([]bool, e.B.To-e.B.From)}
	}
	for i, k := range mostContext(parts, len(context.IDs)) {
		list[k].MaxContext[i-parts[k].From] = true
	}
	return list, nil
}

// mostContext gives for each of a text's n pieces the window that has most of them around it, the first of equals: min(left, right) +
// 0.01 of the window's pieces. parts are what the windows hold, each beginning and ending behind the one before.
func mostContext(parts []tokenizer.Part, n int) []int {
	list := make([]int, n)
	first := 0 // of the windows that hold the piece
	for i := range list {
		for parts[first].To <= i {
			first++
		}
		best := -1
		for k := first; k < len(parts) && parts[k].From <= i; k++ {
			w := parts[k]
			if score := 100*min(i-w.From, w.To-1-i) + w.To - w.From; score > best { // in hundredths
				best, list[i] = score, k
			}
		}
	}
	return list
}

// GivenWindow is a window whose pieces were given: its context stands between the first sep and the next, and its offsets are rows.
func GivenWindow(e tokenizer.Encoding, sep int32) Window {
	w := Window{Encoding: e}
	w.B.At = slices.Index(e.IDs, sep) + 1
	if w.B.At == 0 {
		w.B.At = min(1, len(e.IDs))
	}
	for i := w.B.At; i < len(e.IDs) && e.IDs[i] != sep; i++ {
		w.Offsets = append(w.Offsets, [2]int{i, i + 1})
		w.MaxContext = append(w.MaxContext, true)
	}
	w.B.To = len(w.Offsets)
	return w
}

// Context is the rows of the window's context, [from, to).
func (w *Window) Context() [2]int { return [2]int{w.B.At, w.B.At + len(w.Offsets)} }

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

// Example is the window as an example.
func (w *Window) Example() Example {
	return Example{Label: NoLabel, Inputs: []tokenizer.Encoding{w.Encoding}, Context: w.Context(), Window: w}
}

// BestOf finds the likeliest spans in what a head gave for the windows of a context, by [BestSpans] or [BestBeamSpans].
func BestOf(windows []Example, outs []Output, context string, o SpanOptions) Spans {
	ws, starts, ends, beams := make([]Window, len(outs)), make([][]float32, len(outs)), make([][]float32, len(outs)), make([]*Beam, len(outs))
	for k, out := range outs {
		ws[k], beams[k] = *windows[k].Window, out.Beam
		if out.Beam == nil {
			starts[k], ends[k] = out.Logits[0], out.Logits[1]
		}
	}
	if beams[0] != nil {
		return BestBeamSpans(ws, beams, context, o)
	}
	return BestSpans(ws, starts, ends, context, o)
}

// BestSpans finds the likeliest spans: for each window the NBest likeliest starts and ends, no start that another window has more
// context of, no end before its start, no answer of more than MaxAnswerLength pieces. starts and ends hold a window's logits in all
// its rows. Of given windows, whose context is "", spans have no text.
func BestSpans(ws []Window, starts, ends [][]float32, context string, o SpanOptions) Spans {
	var out Spans
	found := newCandidates(context, o)
	for k := range ws {
		w := &ws[k]
		startOf, endOf := w.softmax(starts[k]), w.softmax(ends[k])
		null := Span{StartLogit: starts[k][0], EndLogit: ends[k][0], Logit: starts[k][0] + ends[k][0], Score: startOf(0) * endOf(0), Window: k}
		if k == 0 || null.Logit < out.Null.Logit {
			out.Null = null
		}
		c := w.Context()
		s, e := starts[k][c[0]:c[1]], ends[k][c[0]:c[1]]
		likely := Top(e, o.NBest)
		for _, i := range Top(s, o.NBest) {
			for _, j := range likely {
				if found.fits(w, i, j) {
					found.add(w, i, j, Span{StartLogit: s[i], EndLogit: e[j], Logit: s[i] + e[j], Score: startOf(c[0]+i) * endOf(c[0]+j), Window: k})
				}
			}
		}
	}
	out.Best = found.best()
	return out
}

// candidates are the spans that may answer a question.
type candidates struct {
	context string
	bytes   []int // see byteOffsets
	o       SpanOptions
	list    []Span
}

func newCandidates(context string, o SpanOptions) *candidates {
	return &candidates{context: context, bytes: byteOffsets(context), o: o}
}

// fits tells whether pieces i to j of a window's context can be an answer, but for their text.
func (c *candidates) fits(w *Window, i, j int) bool {
	return w.MaxContext[i] && j >= i && j-i+1 <= c.o.MaxAnswerLength && w.Offsets[i][0] < w.Offsets[j][1]
}

// maxCandidates is how many candidates are held at once: the windows of a long context have hundreds each.
const maxCandidates = 1 << 14

// add adds the span of pieces i to j of a window's context, unless it is only white space.
func (c *candidates) add(w *Window, i, j int, s Span) {
	s.Begin, s.End = w.Offsets[i][0], w.Offsets[j][1]
	if c.context != "" { // else offsets are rows: there is no text
		if s.Begin, s.End = trim(c.context, c.bytes, s.Begin, s.End); s.Begin == s.End {
			return
		}
		s.Text = c.context[c.bytes[s.Begin]:c.bytes[s.End]]
	}
	if c.list = append(c.list, s); len(c.list) == maxCandidates {
		c.list = c.best()
	}
}

// best keeps the best candidates, at most NBest, likeliest first, the earlier one of equals; no text twice unless there are no texts.
func (c *candidates) best() []Span {
	slices.SortStableFunc(c.list, func(a, b Span) int { return cmp.Compare(b.Logit, a.Logit) })
	return DistinctTexts(c.list, c.o.NBest, c.context == "")
}

// DistinctTexts gives the first n spans whose text no earlier one has; of given windows, which have no texts, the first n.
func DistinctTexts(list []Span, n int, given bool) []Span {
	var out []Span
	seen := map[string]bool{}
	for _, s := range list {
		if len(out) == n {
			break
		}
		if given || !seen[s.Text] {
			seen[s.Text] = true
			out = append(out, s)
		}
	}
	return out
}

// softmax gives the softmax of a window's logits over [CLS] and the context.
func (w *Window) softmax(logits []float32) func(row int) float32 {
	high := logits[0]
	context := logits[w.B.At : w.B.At+len(w.Offsets)]
	for _, x := range context {
		high = max(high, x)
	}
	sum := numeric.Exp64(float64(logits[0] - high))
	for _, x := range context {
		sum += numeric.Exp64(float64(x - high))
	}
	return func(row int) float32 { return float32(numeric.Exp64(float64(logits[row]-high)) / sum) }
}

// Top gives the indices of the n highest values, highest first, the lower index where they are equal.
func Top(x []float32, n int) []int {
	n = min(n, len(x))
	out := make([]int, 0, n+1)
	for i, v := range x {
		if n == 0 || len(out) == n && !(v > x[out[n-1]]) {
			continue
		}
		at := sort.Search(len(out), func(k int) bool { return v > x[out[k]] })
		out = slices.Insert(out, at, i)[:min(len(out)+1, n)]
	}
	return out
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
	for i, p := range w.Offsets {
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
	return int32(w.B.At + from), int32(w.B.At + to)
}

// Covered is the part of code points [begin, end) of a context that its pieces, by their places, stand for: what is at the ends and in no
// piece is left out. Where there is nothing else it is empty.
func Covered(offsets [][2]int, begin, end int) (int, int) {
	first := slices.IndexFunc(offsets, func(p [2]int) bool { return p[0] < p[1] && p[1] > begin })
	if first < 0 || offsets[first][0] >= end {
		return begin, begin
	}
	last := len(offsets) - 1
	for offsets[last][0] == offsets[last][1] || offsets[last][0] >= end {
		last--
	}
	return max(begin, offsets[first][0]), min(end, offsets[last][1])
}
