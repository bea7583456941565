package infer

import (
	"context"
	"iter"

	"albert/internal/learn/task"
	"albert/internal/model"
)

// Chosen is one of several choices.
type Chosen struct {
	Choice    int       `json:"choice"` // from 0
	Scores    []float32 `json:"scores"` // softmax over the choices, in their order
	Logits    []float32 `json:"-"`
	Truncated bool      `json:"-"`
}

// Choose chooses among the choices of questions about contexts.
func (m *Model) Choose(ctx context.Context, questions iter.Seq[*Question]) (iter.Seq2[Chosen, error], error) {
	return each(ctx, m, questions, m.answers("choose", model.Choice), Work[*Question, task.Output, Chosen]{
		Layout: func(q *Question) ([]task.Example, error) {
			switch {
			case q.Pieces != nil && !q.List:
				return nil, inputError("input_ids", `"input_ids" of choices is a list of lists, one for each`)
			case q.Pieces != nil && len(q.Pieces) > 0:
				return m.given(q)
			case q.Pair == nil || q.Choices == nil:
				return nil, inputError("choices", `want {"context": ..., "question": ..., "choices": [...]}`)
			case len(q.Choices) == 0 || q.List:
				return nil, inputError("choices", "there are no choices")
			case m.Tokenizer == nil:
				return nil, &InputError{Field: "context", Err: ErrNoTokenizer}
			}
			list, err := task.Choices(m.Tokenizer, m.Tokenizer.Encode(*q.Pair), q.Text, q.Choices, m.Config.MaxPositionEmbeddings)
			examples := eachAlone(list)
			if err == nil {
				err = m.whole(q, examples)
			}
			return examples, err
		},
		Share: shareHead,
		Head:  m.head,
		Answer: func(_ *Question, examples []task.Example, results []task.Output) (Chosen, error) {
			logits := make([]float32, len(results))
			for i, r := range results {
				logits[i] = r.Logits[0][0]
			}
			return Chosen{task.ArgMax(logits), Scores(model.Choice, logits), logits, truncated(examples)}, nil
		},
	})
}
