package infer

import (
	"context"
	"iter"
	"sync"

	"albert/internal/learn/task"
	"albert/tokenizer"
)

// paired is a question that becomes any number of encodings, each laid out only when there is room for it: pairs of its text with others.
type paired struct {
	q      *Question
	n      int                                     // encodings
	encode func(i int) (tokenizer.Encoding, error) // called for 0, 1, ... in this order
	err    error

	logits    [][]float32 // of each encoding, a row of the head
	truncated bool        // one of them was cut
}

// pair is one encoding of a question.
type pair struct {
	of *paired
	i  int
}

// eachPaired answers questions in their order, as [Each] does: split says of what encodings a question is made, answer makes the answer of their
// logits. err is why none can be answered. Of a question with many encodings no more are held at once than of many questions.
func eachPaired[A any](ctx context.Context, m *Model, questions iter.Seq[*Question], err error, split func(*paired), answer func(*paired) A) (iter.Seq2[A, error], error) {
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var waiting []*paired
	pairs := func(yield func(pair) bool) {
		for q := range questions {
			p := &paired{q: q, err: q.Err}
			if p.err == nil {
				split(p)
			}
			if p.err != nil {
				p.n = 1
			}
			mu.Lock()
			waiting = append(waiting, p)
			mu.Unlock()
			for i := range p.n {
				if !yield(pair{p, i}) {
					return
				}
			}
		}
	}
	results := Each(ctx, m.engine, pairs, Work[pair, task.Output, task.Output]{
		Share: shareHead,
		Layout: func(x pair) ([]task.Example, error) {
			if x.of.err != nil {
				return nil, x.of.err
			}
			e, err := x.of.encode(x.i)
			if err == nil && e.Truncated && x.of.q.Whole {
				err = inputError("text", "the text is %w (%d pieces)", ErrTooLong, m.pairPieces())
			}
			x.of.truncated = x.of.truncated || e.Truncated
			return eachAlone([]tokenizer.Encoding{e}), err
		},
		Head:   m.head,
		Answer: func(_ pair, _ []task.Example, results []task.Output) (task.Output, error) { return results[0], nil },
	})
	return func(yield func(A, error) bool) {
		var none A
		var now *paired
		var failed error
		done := 0
		for out, err := range results {
			if ctx.Err() != nil {
				yield(none, context.Cause(ctx))
				return
			}
			if done == 0 {
				mu.Lock()
				now, waiting[0] = waiting[0], nil
				waiting = waiting[1:]
				mu.Unlock()
			}
			if failed == nil {
				failed = err
			}
			if err == nil {
				now.logits = append(now.logits, out.Logits[0])
			}
			if done++; done < now.n {
				continue
			}
			a, err := none, failed
			if err == nil {
				a = answer(now)
			}
			if !yield(a, err) {
				return
			}
			done, failed = 0, nil
		}
	}, nil
}

// pairPieces is how many pieces a pair has at most: as the model's own program has it.
func (m *Model) pairPieces() int {
	most := m.Config.MaxPositionEmbeddings
	if m.MaxLength > 0 {
		most = min(most, m.MaxLength)
	}
	return most
}
