package wire

import (
	"albert/internal/files/jsonobject"
	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
)

func object(fields ...jsonobject.Field) jsonobject.Fields { return fields }

func logits(v any) jsonobject.Fields { return object(jsonobject.Field{Name: "logits", Value: v}) }

// Fillings is the form of filled masks: a list for one mask, a list of lists for several; of logits, their positions and rows.
func Fillings(_ *Item, a infer.Filled) (any, bool) {
	switch {
	case a.Logits[0] != nil:
		return object(jsonobject.Field{Name: "positions", Value: a.Positions}, jsonobject.Field{Name: "logits", Value: a.Logits}), a.Truncated
	case len(a.Masks) == 1:
		return a.Masks[0], a.Truncated
	}
	return a.Masks, a.Truncated
}

// Embedding is the form of a text's vector.
func Embedding(_ *Item, a infer.Embedded) (any, bool) {
	return object(jsonobject.Field{Name: "embedding", Value: a.Vectors[0]}), a.Truncated
}

// Embeddings is the form of a text's vectors, one for each piece.
func Embeddings(_ *Item, a infer.Embedded) (any, bool) {
	return object(jsonobject.Field{Name: "embedding", Value: a.Vectors}), a.Truncated
}

// Logits is the form of what a head over whole sequences gives before softmax.
func Logits(_ *Item, a infer.Classified) (any, bool) { return logits(a.Logits), a.Truncated }

// Labels is the form of all labels with their scores.
func Labels(_ *Item, a infer.Classified) (any, bool) {
	return object(jsonobject.Field{Name: "labels", Value: a.Labels}), a.Truncated
}

// Label is the form of the likeliest label.
func Label(_ *Item, a infer.Classified) (any, bool) { return a.Labels[0], a.Truncated }

// Number is the form of a number, or of several.
func Number(_ *Item, a infer.Classified) (any, bool) {
	var v any = a.Logits
	if len(a.Logits) == 1 {
		v = a.Logits[0]
	}
	return object(jsonobject.Field{Name: "score", Value: v}), a.Truncated
}

// Entities is the form of a tagged text.
func Entities(_ *Item, a infer.Tagged) (any, bool) { return a.Entities, a.Truncated }

// TagLogits is the form of a row of logits for every piece.
func TagLogits(_ *Item, a infer.Tagged) (any, bool) { return logits(a.Logits), a.Truncated }

// Choice is the form of a choice with the scores of all.
func Choice(_ *Item, a infer.Chosen) (any, bool) { return a, a.Truncated }

// ChoiceLogits is the form of a number for each choice.
func ChoiceLogits(_ *Item, a infer.Chosen) (any, bool) { return logits(a.Logits), a.Truncated }

// Ranking is the form of ranked texts, best first, or of the score of one pair.
func Ranking(it *Item, a infer.Ranking) (any, bool) {
	if it.Texts == nil {
		return object(jsonobject.Field{Name: "score", Value: a.Ranked[0].Score}), a.Truncated
	}
	return a.Ranked, a.Truncated
}

// RankingLogits is the form of the logit of each text, in their order.
func RankingLogits(_ *Item, a infer.Ranking) (any, bool) { return logits(a.Logits), a.Truncated }

// pieceSpan is an answer where pieces were given: start and end are rows, and there is no text, unless it is that there is no answer.
type pieceSpan struct {
	Answer *string `json:"answer,omitempty"`
	Score  float32 `json:"score"`
	Start  int     `json:"start"`
	End    int     `json:"end"`
}

// Spans is the form of the k best answers in a context: one alone, or a list. threshold is as in [infer.Model.Best].
func Spans(m *infer.Model, k int, threshold *float64) func(*Item, infer.Answered) (any, bool) {
	return func(it *Item, a infer.Answered) (any, bool) {
		best := m.Best(&a.Spans, k, threshold)
		if it.Pieces == nil {
			return single(best, k), a.Truncated
		}
		list := make([]pieceSpan, len(best))
		for i, s := range best {
			list[i] = pieceSpan{Score: s.Score, Start: s.Start, End: s.End}
			if s.Start == s.End {
				list[i].Answer = &s.Answer
			}
		}
		return single(list, k), a.Truncated
	}
}

// single is the only one of a list, where one was asked for.
func single[T any](list []T, k int) any {
	if k == 1 {
		return list[0]
	}
	return list
}

// SpanLogits is the form of what a head for answers gives for one window, or of several in a list. The beam head has no logit of an end without a
// start: it gives "start_logits", "cls_logit" (of no answer) and its "candidates", whose "start" and "end" are rows of the window.
func SpanLogits(_ *Item, a infer.Answered) (any, bool) {
	list := make([]any, len(a.Windows))
	for i, w := range a.Windows {
		list[i] = windowLogits(w)
	}
	if len(list) == 1 {
		return list[0], a.Truncated
	}
	return object(jsonobject.Field{Name: "windows", Value: list}), a.Truncated
}

func windowLogits(w task.Output) jsonobject.Fields {
	if b := w.Beam; b != nil {
		return object(jsonobject.Field{Name: "start_logits", Value: b.Start}, jsonobject.Field{Name: "cls_logit", Value: b.NoAnswer},
			jsonobject.Field{Name: "candidates", Value: b.Candidates})
	}
	return object(jsonobject.Field{Name: "start_logits", Value: w.Logits[0]}, jsonobject.Field{Name: "end_logits", Value: w.Logits[1]})
}

// Classified is the form of what a head of a kind over whole sequences says: a number, all labels, or the likeliest.
func Classified(k model.Kind, all bool) func(*Item, infer.Classified) (any, bool) {
	switch {
	case k == model.Regress:
		return Number
	case all || k == model.MultiLabel:
		return Labels
	}
	return Label
}
