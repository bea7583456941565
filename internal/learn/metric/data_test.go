package metric

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// dataFile reads a file of ALBERT_DATA, or skips the test.
func dataFile(t *testing.T, into any, path ...string) {
	t.Helper()
	dir := os.Getenv("ALBERT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(append([]string{dir}, path...)...))
	if err != nil {
		t.Skipf("no %s in ALBERT_DATA or ../shared/data: the official scores of real predictions are not compared", filepath.Join(path...))
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func questions(t *testing.T, file string) (q []Question) {
	t.Helper()
	var set struct {
		Data []struct {
			Paragraphs []struct {
				Qas []struct {
					ID      string
					Answers []struct{ Text string }
				}
			}
		}
	}
	dataFile(t, &set, "squad", file)
	for _, article := range set.Data {
		for _, paragraph := range article.Paragraphs {
			for _, qa := range paragraph.Qas {
				one := Question{ID: qa.ID}
				for _, a := range qa.Answers {
					one.Answers = append(one.Answers, a.Text)
				}
				q = append(q, one)
			}
		}
	}
	return q
}

// TestOfficialSQuAD holds the scores that the official scripts gave to published predictions, to the last digit.
func TestOfficialSQuAD(t *testing.T) {
	var predictions map[string]string
	q := questions(t, "dev-v1.1.json")
	dataFile(t, &predictions, "squad", "predictions", "v1.1-bert-ensemble.json")
	s, unanswered, err := SQuAD1(q, predictions)
	if err != nil || len(unanswered) > 0 {
		t.Fatal(unanswered, err)
	}
	hold := func(s Scores, want map[string]float64) {
		t.Helper()
		for name, w := range want {
			if got, err := s.Get(name); err != nil || got != w {
				t.Errorf("%s: got %v, %v, want %v", name, got, err, w)
			}
		}
	}
	hold(s, map[string]float64{"exact_match": 86.20624408703878, "f1": 92.19557978351129})

	predictions = nil
	q = questions(t, "dev-v2.0.json")
	dataFile(t, &predictions, "squad", "predictions", "v2.0-bert-single.json")
	s, err = SQuAD2(q, predictions, nil, NullThreshold)
	if err != nil {
		t.Fatal(err)
	}
	hold(s, map[string]float64{"exact": 78.74168280973637, "f1": 81.77528052374727, "total": 11873, "HasAns_exact": 74.10593792172739,
		"HasAns_f1": 80.18183293833516, "HasAns_total": 5928, "NoAns_exact": 83.36417157275021, "NoAns_f1": 83.36417157275021, "NoAns_total": 5945})
}
