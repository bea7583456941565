package metric

import (
	"errors"
	"math"
	"testing"
)

// The values are those of the formulas by hand: trec_eval's ndcg_cut_10, recip_rank, map_cut_100, recall_100.
func TestRetrieval(t *testing.T) {
	late := make([]int, 120)
	late[10], late[110] = 1, 1
	s, err := Retrieval([]Ranking{
		{Found: []int{0, 2, 0, 1}, Judged: []int{2, 1, 1, 0}},
		{Found: late, Judged: []int{1, 1}},
		{Found: []int{0, 0}, Judged: []int{0}}, // no answer
		{Found: []int{-1, 1}, Judged: []int{1, -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	log3, log5 := math.Log2(3), math.Log2(5)
	for name, sum := range map[string]float64{
		"ndcg@10":    (2/log3+1/log5)/(2+1/log3+1.0/2) + 1/log3,
		"mrr@10":     1.0/2 + 0 + 1.0/2,
		"map@100":    (1.0/2+2.0/4)/3 + 1.0/11/2 + 1.0/2,
		"recall@100": 2.0/3 + 1.0/2 + 1,
	} {
		if got, err := s.Get(name); err != nil || math.Abs(got-sum/4) > 1e-12 {
			t.Errorf("%s %v (%v), want %v", name, got, err, sum/4)
		}
	}
	var u *Undefined
	if _, err := Retrieval(nil); !errors.As(err, &u) {
		t.Errorf("no queries: %v", err)
	}
}
