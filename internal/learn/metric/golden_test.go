package metric

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"albert/internal/files/jsonobject"
	"albert/internal/text/pystring"
)

// readGolden reads a file of testdata, or of METRIC_GOLDEN, where parity/metrics.sh puts large cases.
func readGolden(t testing.TB, name string, into any) {
	t.Helper()
	dir := os.Getenv("METRIC_GOLDEN")
	if dir == "" {
		dir = "testdata"
	}
	data, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// holds compares a metric with a golden value, null being undefined. The same sums give the same bits: tolerance is 0 but for
// correlations, which SciPy sums in another order.
func holds(t *testing.T, name string, got float64, err error, want *float64, tolerance float64) {
	t.Helper()
	var undefined *Undefined
	switch {
	case err != nil && !errors.As(err, &undefined):
		t.Errorf("%s: %v", name, err)
	case want == nil && err == nil:
		t.Errorf("%s: got %v, want undefined", name, got)
	case want != nil && err != nil:
		t.Errorf("%s: got %v, want %v", name, err, *want)
	case want != nil && !(math.Abs(got-*want) <= tolerance*max(1, math.Abs(*want))):
		t.Errorf("%s: got %v, want %v, %g apart", name, got, *want, got-*want)
	}
	if math.IsNaN(got) || math.IsInf(got, 0) {
		t.Errorf("%s: got %v", name, got)
	}
}

type averagesWant map[string]*PRF

func (w averagesWant) hold(t *testing.T, micro, macro, weighted PRF) {
	t.Helper()
	for name, got := range map[string]PRF{"micro": micro, "macro": macro, "weighted": weighted} {
		want, ok := w[name]
		switch {
		case !ok: // not asked
		case want == nil && got != PRF{}:
			t.Errorf("%s: got %v, want zeros", name, got)
		case want != nil && got != *want:
			t.Errorf("%s: got %v, want %v", name, got, *want)
		}
	}
}

func TestGoldenClasses(t *testing.T) {
	var cases []struct {
		Name                    string
		Gold, Predicted, Labels []int
		Accuracy, F1, Matthews  *float64
		Classes                 []PRF
		Average                 averagesWant
		Confusion               [][]int
	}
	readGolden(t, "classes", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			v, err := Accuracy(c.Gold, c.Predicted)
			holds(t, "accuracy", v, err, c.Accuracy, 0)
			v, err = F1(c.Gold, c.Predicted)
			holds(t, "f1", v, err, c.F1, 0)
			v, err = Matthews(c.Gold, c.Predicted)
			holds(t, "matthews", v, err, c.Matthews, 0)
			r, err := Report(c.Gold, c.Predicted)
			if len(c.Gold) == 0 {
				holds(t, "report", 0, err, nil, 0)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			holds(t, "accuracy of the report", r.Accuracy, nil, c.Accuracy, 0)
			if !slices.Equal(r.Labels, c.Labels) || !slices.Equal(r.Classes, c.Classes) {
				t.Errorf("classes: got %v %v, want %v %v", r.Labels, r.Classes, c.Labels, c.Classes)
			}
			c.Average.hold(t, r.Micro, r.Macro, r.Weighted)
			if c.Confusion != nil {
				m, err := Confusion(c.Gold, c.Predicted, len(c.Confusion))
				if err != nil || !slices.EqualFunc(m, c.Confusion, slices.Equal) {
					t.Errorf("confusion: got %v, %v, want %v", m, err, c.Confusion)
				}
			}
		})
	}
}

func TestGoldenMultiLabel(t *testing.T) {
	var cases []struct {
		Name            string
		Gold, Predicted [][]int
		Labels          []PRF
		SubsetAccuracy  float64 `json:"subset_accuracy"`
		Average         averagesWant
	}
	readGolden(t, "multilabel", &cases)
	bools := func(x [][]int) (b [][]bool) {
		for _, row := range x {
			var r []bool
			for _, v := range row {
				r = append(r, v != 0)
			}
			b = append(b, r)
		}
		return b
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r, err := MultiLabel(bools(c.Gold), bools(c.Predicted))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Labels, c.Labels) || r.SubsetAccuracy != c.SubsetAccuracy {
				t.Errorf("got %v %v, want %v %v", r.Labels, r.SubsetAccuracy, c.Labels, c.SubsetAccuracy)
			}
			c.Average.hold(t, r.Micro, r.Macro, r.Weighted)
		})
	}
}

func TestGoldenRegress(t *testing.T) {
	var cases []struct {
		Name                         string
		Gold, Predicted              []float64
		Pearson, Spearmanr, MSE, MAE *float64
	}
	readGolden(t, "regress", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			for _, m := range []struct {
				name string
				f    func(gold, predicted []float64) (float64, error)
				want *float64
			}{{"pearson", Pearson, c.Pearson}, {"spearmanr", Spearman, c.Spearmanr}, {"mse", MSE, c.MSE}, {"mae", MAE, c.MAE}} {
				v, err := m.f(c.Gold, c.Predicted)
				holds(t, m.name, v, err, m.want, 1e-12)
			}
		})
	}
}

func TestGoldenTags(t *testing.T) {
	var cases []struct {
		Name            string
		Gold, Predicted []string
		Types           []string
		Entities        []PRF
		Average         averagesWant
		Accuracy        *float64
	}
	readGolden(t, "tags", &cases)
	split := func(x []string) (s [][]string) {
		for _, line := range x {
			s = append(s, strings.Fields(line))
		}
		return s
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r, err := Tags(split(c.Gold), split(c.Predicted))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Types, c.Types) || !slices.Equal(r.Entities, c.Entities) {
				t.Errorf("got %q %v, want %q %v", r.Types, r.Entities, c.Types, c.Entities)
			}
			c.Average.hold(t, r.Micro, r.Macro, r.Weighted)
			holds(t, "accuracy", r.Accuracy, nil, c.Accuracy, 0)
		})
	}
}

func TestGoldenCalibration(t *testing.T) {
	var cases []struct {
		Name       string
		Confidence []float64
		Correct    []int
		ECE        float64
		Bins       [][3]float64
	}
	readGolden(t, "calibration", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var correct []bool
			for _, v := range c.Correct {
				correct = append(correct, v != 0)
			}
			r, err := Calibration(c.Confidence, correct)
			if err != nil {
				t.Fatal(err)
			}
			if r.ECE != c.ECE {
				t.Errorf("ece: got %v, want %v", r.ECE, c.ECE)
			}
			for i, b := range r.Bins {
				if got := [3]float64{float64(b.Count), b.Confidence, b.Accuracy}; got != c.Bins[i] {
					t.Errorf("bin %d: got %v, want %v", i, got, c.Bins[i])
				}
			}
		})
	}
}

func TestGoldenSQuAD(t *testing.T) {
	var cases []struct {
		Name        string
		Questions   []Question
		Predictions map[string]string
		Odds        jsonobject.Fields // the order of the file decides among equal odds
		Threshold   float64
		Want        map[string]float64
		V1          *struct {
			Predictions map[string]string
			ExactMatch  float64 `json:"exact_match"`
			F1          float64
		}
	}
	readGolden(t, "squad", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var odds NullOdds
			for _, f := range c.Odds {
				v, err := strconv.ParseFloat(string(f.Value.(json.RawMessage)), 64)
				if err != nil {
					t.Fatal(err)
				}
				odds = append(odds, NullOdd{f.Name, v})
			}
			s, err := SQuAD2(c.Questions, c.Predictions, odds, c.Threshold)
			if err != nil {
				t.Fatal(err)
			}
			if len(s) != len(c.Want) {
				t.Errorf("got %v, want %v", s, c.Want)
			}
			for name, want := range c.Want {
				if got, err := s.Get(name); err != nil || got != want {
					t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
				}
			}
			if c.V1 == nil {
				return
			}
			asked := slices.DeleteFunc(c.Questions, func(q Question) bool { return len(q.Answers) == 0 })
			s, unanswered, err := SQuAD1(asked, c.V1.Predictions)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]float64{"exact_match": c.V1.ExactMatch, "f1": c.V1.F1} {
				if got, err := s.Get(name); err != nil || got != want {
					t.Errorf("1.1 %s: got %v, %v, want %v", name, got, err, want)
				}
			}
			for _, id := range unanswered {
				if _, ok := c.V1.Predictions[id]; ok {
					t.Errorf("%s is answered", id)
				}
			}
		})
	}
}

func TestGoldenAnswers(t *testing.T) {
	var cases [][2]string
	readGolden(t, "answers", &cases)
	for _, c := range cases {
		if got := NormalizeAnswer(c[0]); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
}

// TestGoldenCharacters goes through every character that Python's tables know.
func TestGoldenCharacters(t *testing.T) {
	var want struct {
		Assigned, Word, Space [][2]rune
		Upper, Lower          string
		Cased                 [][2]rune
		CasedOrIgnorable      [][2]rune `json:"cased_or_ignorable"`
	}
	readGolden(t, "characters", &want)
	set := func(ranges [][2]rune) map[rune]bool {
		m := map[rune]bool{}
		for _, r := range ranges {
			for c := r[0]; c <= r[1]; c++ {
				m[c] = true
			}
		}
		return m
	}
	lowered := map[rune]string{}
	lowers := strings.Split(want.Lower, " ")
	for i, c := range []rune(want.Upper) {
		lowered[c] = lowers[i]
	}
	word, space, cased, passed := set(want.Word), set(want.Space), set(want.Cased), set(want.CasedOrIgnorable)
	last := func(s ...rune) bool { return strings.HasSuffix(pystring.Lower(string(s)), "ς") }
	wrong := 0
	for c := range set(want.Assigned) {
		l, ok := lowered[c]
		if !ok {
			l = string(c)
		}
		if got := pystring.LowerRune(c); got != l {
			t.Errorf("%U: lower case %q, want %q", c, got, l)
			wrong++
		}
		if isWord(c) != word[c] || pystring.IsSpace(c) != space[c] || last(c, 'Σ') != cased[c] || last('A', c, 'Σ') != passed[c] {
			t.Errorf("%U: word %t, space %t, sigma after it %t, sigma after A and it %t; want %t %t %t %t", c,
				isWord(c), pystring.IsSpace(c), last(c, 'Σ'), last('A', c, 'Σ'), word[c], space[c], cased[c], passed[c])
			wrong++
		}
		if wrong > 20 {
			t.Fatal("...")
		}
	}
}
