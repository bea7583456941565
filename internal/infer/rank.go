package infer

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// Ranked is a text and how well it answers a query.
type Ranked struct {
	Index int     `json:"index"` // of the text, from 0
	Score float32 `json:"score"`
}

// Ranking is a query's texts, or one pair.
type Ranking struct {
	Logits    []float32 // of each text, in their order
	Ranked    []Ranked  // best first; of equal scores the first text comes first
	Truncated bool      // one of the pairs was cut
}

// Rank says how well texts answer queries: all of [Question.Texts], or the one that is [Question.Pair]. A score is the sigmoid of the logit,
// or, where the model's config.json asks for that, the logit, as CrossEncoder of sentence-transformers gives it. A pair that is too long
// is cut ([task.LayoutRanked]).
func (m *Model) Rank(ctx context.Context, questions iter.Seq[*Question]) (iter.Seq2[Ranking, error], error) {
	err := m.answers("rank texts", model.Rank)
	sigmoid, e := m.Config.SigmoidScores()
	return eachPaired(ctx, m, questions, cmp.Or(err, e), m.rankPairs, func(p *paired) Ranking {
		r := Ranking{Truncated: p.truncated}
		for i, row := range p.logits {
			score := row[0]
			if sigmoid {
				score = float32(task.Sigmoid(score))
			}
			r.Logits, r.Ranked = append(r.Logits, row[0]), append(r.Ranked, Ranked{i, score})
		}
		slices.SortStableFunc(r.Ranked, func(a, b Ranked) int { return cmp.Compare(b.Score, a.Score) })
		return r
	})
}

// rankPairs makes pairs of a question's query and its texts.
func (m *Model) rankPairs(p *paired) {
	q, texts := p.q, p.q.Texts
	switch {
	case q.Pieces != nil:
		if _, p.err = m.single(q, false); p.err == nil {
			p.n, p.encode = 1, func(int) (tokenizer.Encoding, error) { return q.Pieces[0], nil }
		}
		return
	case texts != nil && len(texts) == 0:
		p.err = inputError("texts", "there are no texts to rank")
	case texts == nil && q.Pair == nil:
		p.err = inputError("texts", `want {"query": ..., "texts": [...]}, or {"text": ..., "text_pair": ...}`)
	case m.Tokenizer == nil:
		p.err = &InputError{Field: "query", Err: ErrNoTokenizer}
	}
	if texts == nil && q.Pair != nil {
		texts = []string{*q.Pair}
	}
	var query []int32
	p.n, p.encode = len(texts), func(i int) (tokenizer.Encoding, error) {
		if i == 0 {
			query = m.Tokenizer.Encode(q.Text)
		}
		return task.LayoutRanked(m.Tokenizer, query, m.Tokenizer.Encode(texts[i]), m.pairPieces())
	}
}
