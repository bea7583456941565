package metric

import "math"

// Ranking is what was found for a query.
type Ranking struct {
	// Found are the relevances of the documents found, best first, 0 of one that was not judged: 100, or all there are.
	Found []int
	// Judged are the relevances of all documents judged, best first.
	Judged []int
}

// Retrieval gives the scores of rankings as trec_eval computes ndcg_cut_10, recip_rank of the first ten, map_cut_100 and recall_100: means over
// all queries; a relevance above 0 is an answer, and nDCG's gain; a query without any answer counts 0.
func Retrieval(list []Ranking) (Scores, error) {
	formulas := []func(*Ranking) float64{
		func(r *Ranking) float64 { return ratio(gain(r.Found, 10), gain(r.Judged, 10)) },
		func(r *Ranking) float64 {
			for i, x := range first(r.Found, 10) {
				if x > 0 {
					return 1 / float64(i+1)
				}
			}
			return 0
		},
		func(r *Ranking) float64 {
			hits, sum := 0, 0.0
			for i, x := range first(r.Found, 100) {
				if x > 0 {
					hits++
					sum += float64(hits) / float64(i+1)
				}
			}
			return ratio(sum, float64(answers(r.Judged)))
		},
		func(r *Ranking) float64 {
			return ratio(float64(answers(first(r.Found, 100))), float64(answers(r.Judged)))
		},
	}
	var s Scores
	for i, name := range names["retrieval"] {
		if len(list) == 0 {
			return nil, &Undefined{name, "there are no queries"}
		}
		sum := 0.0
		for k := range list {
			sum += formulas[i](&list[k])
		}
		if err := s.add(name, sum/float64(len(list)), nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func first(x []int, n int) []int { return x[:min(n, len(x))] }

// gain is the discounted cumulative gain of the first n: relevance by log2(rank + 1).
func gain(relevance []int, n int) (sum float64) {
	for i, x := range first(relevance, n) {
		if x > 0 {
			sum += float64(x) / math.Log2(float64(i+2))
		}
	}
	return sum
}

func answers(relevance []int) (n int) {
	for _, x := range relevance {
		if x > 0 {
			n++
		}
	}
	return n
}
