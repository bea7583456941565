package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"albert/internal/learn/task"
	"albert/tokenizer"
)

// Question is what is asked: texts, or their pieces.
type Question struct {
	Text    string  // the text, or the question about a context
	Pair    *string // the second text, or the context; nil: there is none
	Choices []string
	Texts   []string // to be ranked by how well they answer Text; nil: there are none
	// Pieces stand instead of texts, special ones included: one encoding, or with List one for each choice.
	Pieces []tokenizer.Encoding
	List   bool
	Whole  bool  // a text that the model would cut is an error
	Err    error // why it cannot be asked: it fails with that
}

// InputError is a mistake in a question.
type InputError struct {
	Index int    // of the question, from 0, where several are asked at once
	Field string // what is wrong in it: text, text_pair, question, context, choices, query, texts, input_ids, token_type_ids
	Err   error
}

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

func inputError(field, format string, args ...any) error {
	return &InputError{Field: field, Err: fmt.Errorf(format, args...)}
}

var (
	// ErrTooLong is wrapped by the error for a text that is longer than the model takes and must not be cut.
	ErrTooLong = errors.New("longer than the model takes")
	// ErrNoMask is wrapped by the error for a text without [MASK].
	ErrNoMask = errors.New("no [MASK] in the text")
	// ErrNoTokenizer is wrapped by the error for a text where the model has no tokenizer.
	ErrNoTokenizer = errors.New("the model has no tokenizer (spiece.model): give input_ids")
)

// given makes examples of pieces that were given.
func (m *Model) given(q *Question) ([]task.Example, error) {
	for i, e := range q.Pieces {
		if err := m.check(e); err != nil {
			if in := err.(*InputError); q.List {
				in.Err = fmt.Errorf("choice %d: %w", i, in.Err)
			}
			return nil, err
		}
	}
	return eachAlone(q.Pieces), nil
}

// eachAlone makes an example of every encoding.
func eachAlone(list []tokenizer.Encoding) []task.Example {
	examples := make([]task.Example, len(list))
	for i := range list {
		examples[i].Inputs = list[i : i+1]
	}
	return examples
}

// single makes examples of a question that is one text or pair: one that is cut where it is too long or, with long, windows over all of it.
func (m *Model) single(q *Question, long bool) ([]task.Example, error) {
	return m.singleOf(q, long, m.Config.MaxPositionEmbeddings)
}

// singleOf is [Model.single] of at most so many pieces, special ones included.
func (m *Model) singleOf(q *Question, long bool, most int) ([]task.Example, error) {
	switch {
	case q.Texts != nil:
		return nil, inputError("texts", "the model (%s) does not rank texts: want a model that albert finetune --task rerank made, or --task rerank where it has one output", m.Class())
	case q.List:
		return nil, inputError("input_ids", `"input_ids" is a list of lists, which only choices are`)
	case q.Pieces != nil:
		return m.given(q)
	case m.Tokenizer == nil:
		return nil, &InputError{Field: "text", Err: ErrNoTokenizer}
	}
	var pair []int32
	a := m.Tokenizer.Encode(q.Text)
	if q.Pair != nil {
		pair = append([]int32{}, m.Tokenizer.Encode(*q.Pair)...)
	}
	var list []tokenizer.Encoding
	var err error
	if long {
		list, err = task.LayoutLong(m.Tokenizer, a, pair, most)
	} else {
		list = make([]tokenizer.Encoding, 1)
		list[0], err = task.Layout(m.Tokenizer, a, pair, most)
	}
	if err != nil {
		return nil, err
	}
	examples := eachAlone(list)
	if q.Whole && truncated(examples) {
		return examples, inputError("text", "the text is %w (%d pieces)", ErrTooLong, most)
	}
	return examples, nil
}

// whole refuses a question of which something was cut off, where it must not be.
func (m *Model) whole(q *Question, examples []task.Example) error {
	if q.Whole && truncated(examples) {
		return inputError("text", "the text is %w (%d pieces)", ErrTooLong, m.Config.MaxPositionEmbeddings)
	}
	return nil
}

func truncated(examples []task.Example) bool {
	return slices.ContainsFunc(examples, func(x task.Example) bool {
		return slices.ContainsFunc(x.Inputs, func(e tokenizer.Encoding) bool { return e.Truncated })
	})
}

// each is [Each] for a model's questions; err is why none can be answered.
func each[R, A any](ctx context.Context, m *Model, questions iter.Seq[*Question], err error, w Work[*Question, R, A]) (iter.Seq2[A, error], error) {
	if err != nil {
		return nil, err
	}
	layout := w.Layout
	w.Layout = func(q *Question) ([]task.Example, error) {
		if q.Err != nil {
			return nil, q.Err
		}
		return layout(q)
	}
	return Each(ctx, m.engine, questions, w), nil
}
