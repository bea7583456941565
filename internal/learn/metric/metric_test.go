package metric

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"albert/internal/text/pystring"
)

func TestUndefinedSaysWhy(t *testing.T) {
	for _, c := range []struct {
		f    func() (float64, error)
		want string
	}{
		{func() (float64, error) { return Accuracy(nil, nil) }, "accuracy is undefined, because there are no examples"},
		{func() (float64, error) { return Pearson([]float64{1}, []float64{2}) }, "pearson is undefined, because there is only one example"},
		{func() (float64, error) { return Spearman([]float64{3, 3}, []float64{2, 1}) }, "spearmanr is undefined, because all labels are 3"},
		{func() (float64, error) { return Pearson([]float64{1, 2}, []float64{.5, .5}) }, "pearson is undefined, because all predictions are 0.5"},
		{func() (float64, error) { return MSE([]float64{1, 2}, []float64{1, math.NaN()}) }, "mse is undefined, because the prediction of example 1 is NaN"},
		{func() (float64, error) { return Pearson([]float64{1, math.Inf(1)}, []float64{1, 2}) },
			"pearson is undefined, because the label of example 1 is +Inf"},
		{func() (float64, error) {
			return Pearson([]float64{-1.7e308, 1.7e308, 1.7e308, 1.7e308}, []float64{1, 2, 3, 5})
		},
			"pearson is undefined, because the values are too large for a float64"},
	} {
		v, err := c.f()
		var u *Undefined
		if !errors.As(err, &u) || err.Error() != c.want || v != 0 {
			t.Errorf("got %v, %v, want %s", v, err, c.want)
		}
	}
}

func TestUnequalLengthsAreAFault(t *testing.T) {
	_, err := Classify("cola", nil, []int{1, 0}, []int{1})
	var u *Undefined
	if err == nil || errors.As(err, &u) || !strings.Contains(err.Error(), "1 predictions for 2 examples") {
		t.Error(err)
	}
	for name, f := range map[string]func() error{
		"tags":        func() error { _, err := Tags([][]string{{"O"}}, [][]string{{"O", "O"}}); return err },
		"empty tag":   func() error { _, err := Tags([][]string{{""}}, [][]string{{"O"}}); return err },
		"labels":      func() error { _, err := MultiLabel([][]bool{{true}}, [][]bool{{true, false}}); return err },
		"confidence":  func() error { _, err := Calibration([]float64{math.NaN()}, []bool{true}); return err },
		"above 1":     func() error { _, err := Calibration([]float64{1.1}, []bool{true}); return err },
		"levels":      func() error { _, err := RACE([]int{1}, []int{1}, nil); return err },
		"confusion":   func() error { _, err := Confusion([]int{1}, []int{2}, 2); return err },
		"no classes":  func() error { _, err := Confusion(nil, nil, 0); return err },
		"no task":     func() error { _, err := Classify("wsc", nil, []int{1}, []int{2}); return err },
		"numbers":     func() error { _, err := Classify("stsb", nil, []int{1}, []int{2}); return err },
		"not numbers": func() error { _, err := Regress("sst2", []float64{1}, []float64{2}); return err },
	} {
		if err := f(); err == nil || errors.As(err, &u) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTasks holds the names of each task's scores, their order, and how they are printed.
func TestTasks(t *testing.T) {
	gold, predicted := []int{1, 0, 1, 1}, []int{1, 1, 1, 0}
	for task, want := range map[string]string{
		"cola": "matthews_correlation -0.3333", "sst2": "accuracy 0.5000", "mnli-mm": "accuracy 0.5000", "mrpc": "accuracy 0.5000, f1 0.6667",
		"classify": "accuracy 0.5000, f1_macro 0.3333, matthews_correlation -0.3333",
	} {
		s, err := Classify(task, nil, gold, predicted)
		if err != nil || s.String() != want {
			t.Errorf("%s: got %s, %v, want %s", task, s, err, want)
		}
		if !slices.Equal(s.Names(), Names(task)) {
			t.Errorf("%s: names %v, want %v", task, s.Names(), Names(task))
		}
	}
	s, err := Regress("stsb", []float64{1, 2, 4}, []float64{1, 3, 2})
	if err != nil || s.String() != "pearson 0.3273, spearmanr 0.5000" {
		t.Error(s, err)
	}
	s, err = RACE([]int{0, 1, 2}, []int{0, 2, 2}, []bool{true, true, true})
	if err != nil || s.String() != "accuracy 0.6667, middle_accuracy undefined, because there are no questions of middle schools, high_accuracy 0.6667" {
		t.Error(s, err)
	}
}

func TestScoresJSON(t *testing.T) {
	for _, c := range []struct {
		of   func() (Scores, error)
		want string
	}{
		{func() (Scores, error) { return Classify("mrpc", nil, []int{1, 0, 1, 1}, []int{1, 1, 1, 0}) }, `{"accuracy":0.5,"f1":0.6666666666666666}`},
		{func() (Scores, error) { return Classify("classify", nil, nil, nil) },
			`{"accuracy":null,"f1_macro":null,"matthews_correlation":null,"undefined":{"accuracy":"there are no examples",` +
				`"f1_macro":"there are no examples","matthews_correlation":"there are no examples"}}`},
		{func() (Scores, error) { return Classify("cola", nil, []int{1, 1}, []int{1, 0}) },
			`{"matthews_correlation":0,"notes":{"matthews_correlation":"by convention: all labels are 1"}}`},
		{func() (Scores, error) { return Classify("qqp", nil, []int{0, 0}, []int{0, 0}) },
			`{"accuracy":1,"f1":0,"notes":{"f1":"by convention: no label or prediction is 1"}}`},
		{func() (Scores, error) { return Regress("stsb", []float64{1, 1}, []float64{1, 2}) },
			`{"pearson":null,"spearmanr":null,"undefined":{"pearson":"all labels are 1","spearmanr":"all labels are 1"}}`},
		{func() (Scores, error) { return SQuAD2(nil, nil, nil, 1) },
			`{"exact":null,"f1":null,"total":0,"undefined":{"exact":"there are no questions","f1":"there are no questions"}}`},
		{func() (Scores, error) { return nil, nil }, `{}`},
	} {
		s, err := c.of()
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.MarshalJSON()
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s is no JSON", got)
		}
	}
	if _, err := (Scores{{Name: "a"}}).Get("b"); err == nil {
		t.Error("a metric that is not there has a value")
	}
}

func TestSQuAD1Unanswered(t *testing.T) {
	q := []Question{{"a", []string{"the cat"}}, {"b", []string{"dog"}}}
	s, unanswered, err := SQuAD1(q, map[string]string{"a": "Cat."})
	if err != nil || s.String() != "exact_match 50, f1 50" || !slices.Equal(unanswered, []string{"b"}) {
		t.Error(s, unanswered, err)
	}
	if _, _, err := SQuAD1([]Question{{"a", nil}}, map[string]string{"a": "x"}); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Error(err)
	}
}

func TestSQuAD2NamesWhatIsMissing(t *testing.T) {
	q := []Question{{"a", []string{"cat"}}, {"b", nil}}
	if _, err := SQuAD2(q, map[string]string{"a": ""}, nil, 1); err == nil || !strings.Contains(err.Error(), `1 of 2 questions have no prediction, the first is "b"`) {
		t.Error(err)
	}
	if _, err := SQuAD2(q, map[string]string{"a": "", "b": ""}, NullOdds{{"a", 1}}, 1); err == nil || !strings.Contains(err.Error(), `"b" has no null odds`) {
		t.Error(err)
	}
}

func TestEntities(t *testing.T) {
	got, err := Entities(strings.Fields("B-PER I-PER O I-LOC B-LOC E-LOC S-ORG"))
	want := []Entity{{"PER", 0, 1}, {"LOC", 3, 3}, {"LOC", 4, 5}, {"ORG", 6, 6}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := Entities([]string{"O", ""}); err == nil {
		t.Error("an empty tag is read")
	}
}

// Tags that name no entities are classes of words, reported as they are; "O" is none of them.
func TestWordTags(t *testing.T) {
	for _, c := range []struct {
		tags string
		want bool
	}{{"NOUN VERB O", false}, {"0 1 2", false}, {"O PER b-LOC X-Y", false}, {"O", false}, {"", false}, {"O B-PER", true}, {"I-X", true}, {"S-X O", true}, {"B I O", true}} {
		if got := EntityTags(strings.Fields(c.tags)); got != c.want {
			t.Errorf("%q name entities: %v", c.tags, got)
		}
	}
	r, err := WordTags([][]string{{"NOUN", "NOUN", "O", "INTJ"}, {"SYM"}}, [][]string{{"NOUN", "SYM", "O", "INTJ"}, {"O"}})
	if err != nil || !slices.Equal(r.Types, []string{"INTJ", "NOUN", "SYM"}) || r.Accuracy != 0.6 || r.Micro.Precision != 2./3 || r.Micro.Recall != 0.5 || r.Micro.Support != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Notes name a class by its label.
func TestNotesNameLabels(t *testing.T) {
	s, err := Classify("classify", []string{"x", "y", "z"}, []int{0, 1}, []int{2, 2})
	if err != nil || !strings.Contains(s.String(), "all predictions are z") {
		t.Errorf("%s, %v", s, err)
	}
}

// FuzzNormalizeAnswer holds that normalising twice changes nothing, and that no capital, article or double space is left.
func FuzzNormalizeAnswer(f *testing.F) {
	for _, s := range []string{"The cat's a-an", "ΑΣ'Β İ", "a\u0301the\x1cA\xff", "\u00a0an\u200ba", "_a_ the_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := NormalizeAnswer(s)
		if !utf8.ValidString(n) {
			t.Errorf("%q: %q is not UTF-8", s, n)
		}
		if again := NormalizeAnswer(n); again != n {
			t.Errorf("%q: %q, then %q", s, n, again)
		}
		for _, w := range strings.Split(n, " ") {
			if w == "" && n != "" || w == "a" || w == "an" || w == "the" || strings.IndexFunc(w, pystring.IsSpace) >= 0 {
				t.Errorf("%q: word %q in %q", s, w, n)
			}
		}
		if i := strings.IndexFunc(n, func(r rune) bool { return pystring.IsPunctuation(r) || unicode.ToLower(r) != r }); i >= 0 {
			t.Errorf("%q: %q has %q", s, n, n[i:])
		}
	})
}

// FuzzTags holds that any tags are read, and that a report's counts fit together.
func FuzzTags(f *testing.F) {
	f.Add("B-PER I-PER O", "B-PER O X-")
	f.Fuzz(func(t *testing.T, gold, predicted string) {
		g, p := strings.Fields(gold), strings.Fields(predicted)
		n := min(len(g), len(p))
		r, err := Tags([][]string{g[:n]}, [][]string{p[:n]})
		if n == 0 {
			var u *Undefined
			if !errors.As(err, &u) {
				t.Errorf("got %v, %v", r, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		support := 0
		for _, e := range r.Entities {
			support += e.Support
			if !(e.F1 >= 0 && e.F1 <= 1) {
				t.Errorf("%v", e)
			}
		}
		if support != r.Micro.Support {
			t.Errorf("%d entities, %d in the average", support, r.Micro.Support)
		}
		if same, err := Tags([][]string{g[:n]}, [][]string{g[:n]}); err != nil || same.Accuracy != 1 || same.Micro.Support > 0 && same.Micro.F1 != 1 {
			t.Errorf("against itself: %v, %v", same, err)
		}
	})
}
