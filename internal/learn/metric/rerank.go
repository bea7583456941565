package metric

import (
	"cmp"
	"fmt"
	"slices"
)

// relevant is the label, and the score, from which on a text is relevant for its query.
const relevant = 0.5

// Rerank gives the scores of texts that were scored for queries, a query for each text; gold are the labels, from 0 to 1. Over all texts:
// average_precision as scikit-learn's average_precision_score has it, and accuracy. Over the queries that have texts of both kinds, as
// [Retrieval] has them: mrr@10 and ndcg@10; of equal scores the text that is not relevant comes first, so that a model that
// says the same of all gains nothing.
func Rerank(queries []string, gold, scores []float64) (Scores, error) {
	if err := sameLength("average_precision", len(gold), len(scores)); err != nil {
		return nil, err
	}
	if len(queries) != len(gold) {
		return nil, fmt.Errorf("average_precision: %d queries for %d examples", len(queries), len(gold))
	}
	labels, predicted, order := make([]int, len(gold)), make([]int, len(gold)), make([]int, len(gold))
	for i := range gold {
		order[i] = i
		if gold[i] >= relevant {
			labels[i] = 1
		}
		if scores[i] >= relevant {
			predicted[i] = 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { // NaN last
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(labels[a], labels[b]))
	})
	var s Scores
	precision, err := averagePrecision(labels, scores, order)
	if err := s.add("average_precision", precision, err); err != nil {
		return nil, err
	}
	accuracy, err := Accuracy(labels, predicted)
	if err := s.add("accuracy", accuracy, err); err != nil {
		return nil, err
	}
	ranked, err := Retrieval(rankings(queries, labels, order))
	for _, name := range []string{"mrr@10", "ndcg@10"} {
		value, why := 0.0, error(&Undefined{name, "no query has both relevant texts and others"})
		if err == nil {
			value, why = ranked.Get(name)
		}
		if err := s.add(name, value, why); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// averagePrecision is the precision at each score, weighted by the share of relevant texts that have it; order is by descending score.
func averagePrecision(labels []int, scores []float64, order []int) (sum float64, err error) {
	all := answers(labels)
	if all == 0 {
		return 0, &Undefined{"average_precision", "no text is relevant"}
	}
	hits, before := 0, 0
	for k, i := range order {
		hits += labels[i]
		if k+1 == len(order) || scores[order[k+1]] != scores[i] {
			sum += float64(float64(hits-before) / float64(all) * (float64(hits) / float64(k+1)))
			before = hits
		}
	}
	return sum, nil
}

// rankings are those of the queries that have relevant texts and others, in the order in which they first occur.
func rankings(queries []string, labels, order []int) (list []Ranking) {
	number := map[string]int{}
	var all []Ranking
	for _, q := range queries {
		if _, ok := number[q]; !ok {
			number[q] = len(all)
			all = append(all, Ranking{})
		}
	}
	for _, i := range order {
		r := &all[number[queries[i]]]
		r.Found = append(r.Found, labels[i])
	}
	for _, r := range all {
		if n := answers(r.Found); n > 0 && n < len(r.Found) {
			r.Judged = slices.SortedFunc(slices.Values(r.Found), func(a, b int) int { return b - a })
			list = append(list, r)
		}
	}
	return list
}
