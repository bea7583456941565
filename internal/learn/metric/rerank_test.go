package metric

import (
	"math"
	"strings"
	"testing"
)

// average_precision is scikit-learn's, equal scores together; queries with one kind of text alone are in it, but not in the ranking.
func TestRerank(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		queries      string // a letter each
		gold, scores []float64
		want         string
	}{
		{"aaabbb", []float64{1, 0, 0, 0.5, 0.25, 1}, []float64{.9, .9, .2, .6, .6, .1}, "average_precision 0.5000, accuracy 0.5000, mrr@10 0.5000, ndcg@10 0.6622"},
		{"aaaaa", []float64{1, 0, 1, 1, 0}, []float64{.9, .8, .7, .6, .5}, "average_precision 0.8056, accuracy 0.6000, mrr@10 1.0000"},
		{"aabb", []float64{0, 0, 1, 1}, []float64{.5, .5, .5, .5}, "average_precision 0.5000, accuracy 0.5000, mrr@10 undefined, because no query has both relevant texts and others, ndcg@10 undefined, because no query has both relevant texts and others"},
		{"aaa", []float64{1, 0, 0}, []float64{.8, .1, nan}, "average_precision 1.0000, accuracy 1.0000, mrr@10 1.0000, ndcg@10 1.0000"},
		{"ab", []float64{0, 0}, []float64{.1, .2}, "average_precision undefined, because no text is relevant, accuracy 1.0000, mrr@10 undefined"},
	} {
		s, err := Rerank(strings.Split(c.queries, ""), c.gold, c.scores)
		if err != nil || !strings.HasPrefix(s.String(), c.want) {
			t.Errorf("%s %v: %v (%v), want %s", c.queries, c.scores, s, err, c.want)
		}
	}
	if _, err := Rerank([]string{"a"}, []float64{1}, nil); err == nil {
		t.Error("no error for a missing prediction")
	}
}
