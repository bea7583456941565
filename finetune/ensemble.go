package finetune

import (
	"cmp"
	"fmt"
	"slices"

	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/text/dataset"
)

// average joins what several models predict for the same examples: the mean of the probabilities of classes, labels, tags and choices, of
// numbers, and of answers as the released code joins them (accumulate_predictions_v1 and v2): a span's score is the mean over the models
// that found it, that of no answer the mean over all.
func average(set *dataset.Set, all []*Predictions) (*Predictions, error) {
	if len(all) == 1 {
		return all[0], nil
	}
	p := &Predictions{}
	n := float64(len(all))
	for _, one := range all {
		p.Loss += one.Loss / n
	}
	for i := range set.Examples {
		switch set.Task.Kind {
		case model.Regress, model.Rank:
			v := 0.0
			for _, one := range all {
				v += one.Values[i] / n
			}
			p.Values = append(p.Values, v)
		case model.Answer:
			var found []task.Spans
			for k, one := range all {
				if one.Spans[i].Beam != all[0].Spans[i].Beam {
					return nil, fmt.Errorf("model %d has another head for answers than the first one: their scores cannot be averaged", k+1)
				}
				found = append(found, one.Spans[i])
			}
			p.Spans = append(p.Spans, joinSpans(found))
		case model.Tag:
			tags, words := make([]string, len(all[0].Tags[i])), make([][]float64, len(all[0].Tags[i]))
			for w := range tags {
				var rows [][]float64
				for _, one := range all {
					if one.Words[i][w] != nil { // a model with another tokenizer may have no pieces for the word
						rows = append(rows, one.Words[i][w])
					}
				}
				if len(rows) > 0 {
					words[w] = meanRow(rows)
					tags[w] = set.Labels[task.ArgMax(words[w])]
				}
			}
			p.Tags, p.Words = append(p.Tags, tags), append(p.Words, words)
		default:
			rows := make([][]float64, len(all))
			for k, one := range all {
				rows[k] = one.Scores[i]
				if len(rows[k]) != len(rows[0]) {
					return nil, fmt.Errorf("model %d has %d outputs, the first one %d", k+1, len(rows[k]), len(rows[0]))
				}
			}
			scores := meanRow(rows)
			p.Scores = append(p.Scores, scores)
			if set.Task.Kind != model.MultiLabel {
				p.Labels = append(p.Labels, task.ArgMax(scores))
				continue
			}
			chosen := make([]bool, len(scores))
			for k, s := range scores {
				chosen[k] = s > 0.5
			}
			p.Multi = append(p.Multi, chosen)
		}
	}
	p.tagOthers(set.Labels)
	return p, nil
}

func meanRow(rows [][]float64) []float64 {
	sum := make([]float64, len(rows[0]))
	for _, row := range rows {
		for k, x := range row {
			sum[k] += x
		}
	}
	for k := range sum {
		sum[k] /= float64(len(rows))
	}
	return sum
}

// joinSpans joins what models answer to one question.
func joinSpans(found []task.Spans) task.Spans {
	var null task.Span
	order := [][2]int{}
	lists := map[[2]int][]task.Span{}
	n := 0
	for _, s := range found {
		null.StartLogit += s.Null.StartLogit / float32(len(found))
		null.EndLogit += s.Null.EndLogit / float32(len(found))
		null.Logit += s.Null.Logit / float32(len(found))
		null.Score += s.Null.Score / float32(len(found))
		n = max(n, len(s.Best))
		for _, b := range s.Best {
			at := [2]int{b.Begin, b.End}
			if lists[at] == nil {
				order = append(order, at)
			}
			lists[at] = append(lists[at], b)
		}
	}
	out := task.Spans{Null: null, Beam: found[0].Beam}
	for _, at := range order {
		list := lists[at]
		span := list[0]
		span.StartLogit, span.EndLogit, span.Logit, span.Score = 0, 0, 0, 0
		for _, b := range list {
			span.StartLogit += b.StartLogit / float32(len(list))
			span.EndLogit += b.EndLogit / float32(len(list))
			span.Logit += b.Logit / float32(len(list))
			span.Score += b.Score / float32(len(list))
		}
		out.Best = append(out.Best, span)
	}
	slices.SortStableFunc(out.Best, func(a, b task.Span) int { return cmp.Compare(b.Logit, a.Logit) })
	seen := map[string]bool{}
	out.Best = slices.DeleteFunc(out.Best, func(s task.Span) bool {
		again := seen[s.Text]
		seen[s.Text] = true
		return again
	})
	out.Best = out.Best[:min(n, len(out.Best))]
	return out
}
