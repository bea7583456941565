package serve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"unicode/utf8"

	"albert/internal/infer"
	"albert/internal/model"
	"albert/tokenizer"
)

type asker[A any] func(ctx context.Context, questions iter.Seq[*infer.Question]) (iter.Seq2[A, error], error)

// ask asks questions and gathers their answers. The first question that has none is the request's problem.
func ask[A any](q *request, questions []*infer.Question, f asker[A]) ([]A, error) {
	if len(questions) == 0 {
		return nil, newProblem(kindEmpty, "there is no text")
	}
	for _, x := range questions {
		q.count(x)
	}
	answers, err := f(q.ctx, slices.Values(questions))
	if err != nil {
		return nil, err
	}
	list := make([]A, 0, len(questions))
	for a, err := range answers {
		if err == nil && !finite(a) {
			err = errNonFinite
		}
		if q.ctx.Err() != nil {
			return nil, context.Cause(q.ctx)
		}
		var in *infer.InputError
		if errors.As(err, &in) && len(questions) > 1 {
			err = &infer.InputError{Index: len(list), Field: in.Field, Err: fmt.Errorf("text %d: %w", len(list), in.Err)}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

func (q *request) count(x *infer.Question) {
	q.chars += utf8.RuneCountInString(x.Text)
	if x.Pair != nil {
		q.chars += utf8.RuneCountInString(*x.Pair)
	}
	for _, text := range x.Texts {
		q.chars += utf8.RuneCountInString(text)
	}
}

// finite tells whether an answer has no NaN and no infinity.
func finite(answer any) bool {
	ok := func(rows ...[]float32) bool {
		for _, row := range rows {
			for _, x := range row {
				if d := x - x; d != 0 { // NaN of both
					return false
				}
			}
		}
		return true
	}
	switch a := answer.(type) {
	case infer.Embedded:
		return ok(a.Vectors...)
	case infer.Classified:
		return ok(a.Logits)
	case infer.Tagged:
		return ok(a.Logits...)
	case infer.Ranking:
		return ok(a.Logits)
	case infer.Chosen:
		return ok(a.Logits)
	case infer.Filled:
		for _, list := range a.Masks {
			for _, x := range list {
				if !ok([]float32{x.Score}) {
					return false
				}
			}
		}
		return ok(a.Logits...)
	case infer.Answered:
		for _, b := range a.Spans.Best {
			if !ok([]float32{b.Score}) {
				return false
			}
		}
		return ok([]float32{a.Spans.Null.Score})
	}
	return true
}

// texts are questions of one text each.
func texts(list ...string) []*infer.Question {
	out := make([]*infer.Question, len(list))
	for i, text := range list {
		out[i] = &infer.Question{Text: text}
	}
	return out
}

// cutAt is the model with texts cut at a side, by TEI's word for it.
func (q *request) cutAt(direction string) (*infer.Model, error) {
	switch direction {
	case "", "right", "Right":
		return q.model.Model, nil
	case "left", "Left":
		return q.model.leftly(), nil
	}
	return nil, invalid("truncation_direction", fmt.Sprintf("truncation_direction %q: want Left or Right", direction))
}

// embed embeds texts.
func (q *request) embed(m *infer.Model, questions []*infer.Question, o infer.EmbedOptions) ([]infer.Embedded, error) {
	if o.PromptName != "" {
		if _, err := q.model.prompt(o.PromptName); err != nil {
			return nil, err
		}
	}
	return ask(q, questions, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) {
		return m.Embed(ctx, list, o)
	})
}

// classify gives the logits of texts or pairs; of a model that ranks, of pairs.
func (q *request) classify(m *infer.Model, questions []*infer.Question) (logits [][]float32, err error) {
	if m.Kind == model.Rank {
		answers, err := q.ranking(m, questions)
		for _, a := range answers {
			logits = append(logits, a.Logits)
		}
		return logits, err
	}
	answers, err := ask(q, questions, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Classified, error], error) {
		return m.Classify(ctx, list, false)
	})
	for _, a := range answers {
		logits = append(logits, a.Logits)
	}
	return logits, err
}

// scoring is the kind as whose [infer.Scores] makes scores of the model's logits.
func (o *opened) scoring() model.Kind {
	if sigmoid, _ := o.Config.SigmoidScores(); o.Kind == model.Rank && !sigmoid {
		return model.Regress
	}
	return o.Kind
}

func (q *request) ranking(m *infer.Model, questions []*infer.Question) ([]infer.Ranking, error) {
	return ask(q, questions, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Ranking, error], error) {
		return m.Rank(ctx, list)
	})
}

// lastLayer is [infer.EmbedOptions] of the last layer's output.
func lastLayer(normalize *bool) infer.EmbedOptions {
	return infer.EmbedOptions{Layer: -1, Normalize: normalize}
}

// ranker is the model that ranks, nil if it cannot. A head of one number is taken for a reranker's, whatever its config.json says: so does TEI.
func ranker(of *infer.Model) *infer.Model {
	m := *of
	if m.Kind == model.Regress && m.Classifier.W.Rows() == 1 {
		m.Kind = model.Rank
	}
	if m.Kind != model.Rank {
		return nil
	}
	return &m
}

// rank orders texts by how well they answer a query, best first; raw: by logits.
func (q *request) rank(m *infer.Model, query string, list []string, raw, whole bool) ([]infer.Ranked, error) {
	if len(list) == 0 {
		return nil, newProblem(kindEmpty, "there is no text")
	}
	if m = ranker(m); m == nil {
		return nil, newProblem(kindBackend, fmt.Sprintf("the model (%s) is no reranker: it must have a head of one number", q.model.Class()))
	}
	answers, err := q.ranking(m, []*infer.Question{{Text: query, Texts: list, Whole: whole}})
	if err != nil {
		return nil, err
	}
	ranks := answers[0].Ranked
	if raw {
		for i := range ranks {
			ranks[i].Score = answers[0].Logits[ranks[i].Index]
		}
	}
	return ranks, nil
}

// given makes an encoding of pieces, with [CLS] before and [SEP] behind if they are not there.
func (o *opened) given(ids []int32) (tokenizer.Encoding, error) {
	if t := o.Tokenizer; t != nil && t.CLS >= 0 && t.SEP >= 0 {
		if len(ids) == 0 || ids[0] != t.CLS {
			ids = append([]int32{t.CLS}, ids...)
		}
		if ids[len(ids)-1] != t.SEP {
			ids = append(slices.Clip(ids), t.SEP)
		}
		if most := o.Config.MaxPositionEmbeddings; len(ids) > most {
			ids = append(slices.Clone(ids[:most-1]), t.SEP)
		}
	}
	for _, id := range ids {
		if id < 0 || int(id) >= o.Config.VocabSize {
			return tokenizer.Encoding{}, invalid("inputs", fmt.Sprintf("the id %d is none of the model's %d pieces", id, o.Config.VocabSize))
		}
	}
	return tokenizer.Encoding{IDs: ids, Types: make([]int32, len(ids))}, nil
}

// isFinite tells whether a number is one.
func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
