package infer

import (
	"context"
	"iter"

	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// Answered is what was found in a context.
type Answered struct {
	// Windows are what the head gave for each window of the context: the logits of start and end over all its rows, or the beam.
	Windows   []task.Output
	Spans     task.Spans
	Truncated bool
}

// Span is an answer found in a context.
type Span struct {
	Answer string  `json:"answer"` // "": there is none
	Score  float32 `json:"score"`
	Start  int     `json:"start"` // code points of the context
	End    int     `json:"end"`
}

// Answer finds the spans of contexts that answer questions. A long context is read in windows.
func (m *Model) Answer(ctx context.Context, questions iter.Seq[*Question], o task.SpanOptions) (iter.Seq2[Answered, error], error) {
	o.MaxSeqLength = min(o.MaxSeqLength, m.Config.MaxPositionEmbeddings)
	return each(ctx, m, questions, m.answers("answer questions", model.Answer), Work[*Question, task.Output, Answered]{
		Layout: func(q *Question) ([]task.Example, error) {
			ws, err := m.windows(q, o)
			if err != nil {
				return nil, err
			}
			examples := make([]task.Example, len(ws))
			for i := range ws {
				examples[i] = ws[i].Example()
			}
			return examples, m.whole(q, examples)
		},
		Share: shareHead,
		Head: func(t *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []task.Output {
			if m.Beam.Start.W == nil {
				return m.head(t, b, sequences, examples)
			}
			contexts, out := make([][2]int, len(examples)), make([]task.Output, len(examples))
			for i := range examples {
				contexts[i] = examples[i].Context
			}
			for i, beam := range task.Beams(t, m.Model.Model, b, m.Encode(t, b, model.NoDropout), contexts) {
				out[i].Beam = beam
			}
			return out
		},
		Answer: func(q *Question, examples []task.Example, results []task.Output) (Answered, error) {
			context := ""
			if q.Pieces == nil {
				context = *q.Pair
			}
			return Answered{results, task.BestOf(examples, results, context, o), truncated(examples)}, nil
		},
	})
}

// windows lays out a question and its context.
func (m *Model) windows(q *Question, o task.SpanOptions) ([]task.Window, error) {
	switch {
	case q.Pieces != nil:
		if _, err := m.single(q, false); err != nil {
			return nil, err
		}
		sep, _ := m.special()
		return []task.Window{task.GivenWindow(q.Pieces[0], sep)}, nil
	case q.Pair == nil:
		return nil, inputError("context", `want {"question": ..., "context": ...}`)
	case m.Tokenizer == nil:
		return nil, &InputError{Field: "question", Err: ErrNoTokenizer}
	}
	return task.Windows(m.Tokenizer, m.Tokenizer.Encode(q.Text), m.Tokenizer.Cut(*q.Pair), o)
}

// Best are the best answers, at most k, one at least: none at all comes first if what speaks for it is above the threshold: the given one,
// else that of a model trained on questions without answers, else there always is an answer, unless the context is empty.
func (m *Model) Best(s *task.Spans, k int, threshold *float64) []Span {
	if threshold == nil {
		threshold = NullThreshold(&m.Config)
	}
	var list []Span
	if len(s.Best) == 0 || threshold != nil && float64(s.NullScore()) > *threshold {
		list = append(list, Span{Score: s.Null.Score})
	}
	for _, b := range s.Best {
		list = append(list, Span{Answer: b.Text, Score: b.Score, Start: b.Begin, End: b.End})
	}
	return list[:min(k, len(list))]
}
