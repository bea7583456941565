package metric

import (
	"fmt"
	"slices"
)

// Question is what a SQuAD file says of one question: its id and the texts of its right answers, none where SQuAD 2.0 has no answer.
type Question struct {
	ID      string
	Answers []string
}

// SQuAD1 gives exact_match and f1 in percent, as the official script of SQuAD 1.1 (evaluate-v1.1.py) to the last digit: of each question
// the best over its answers. questions stand in the file's order. A question without prediction counts as 0 and is listed in unanswered; a
// question without answers that has a prediction is an error.
func SQuAD1(questions []Question, predictions map[string]string) (s Scores, unanswered []string, err error) {
	exact, f1 := 0, 0.0
	for _, q := range questions {
		p, ok := predictions[q.ID]
		if !ok {
			unanswered = append(unanswered, q.ID)
			continue
		}
		if len(q.Answers) == 0 {
			return nil, nil, fmt.Errorf("question %q has no answers: SQuAD 1.1 needs at least one", q.ID)
		}
		words := answerWords(p)
		bestExact, best := 0, 0.0
		for _, a := range q.Answers {
			gold := answerWords(a)
			if slices.Equal(words, gold) {
				bestExact = 1
			}
			best = max(best, wordF1(gold, words))
		}
		exact += bestExact
		f1 += best
	}
	n := len(questions)
	if n == 0 {
		return Scores{{Name: "exact_match", Undefined: noQuestions}, {Name: "f1", Undefined: noQuestions}}, nil, nil
	}
	return Scores{{Name: "exact_match", Value: 100 * float64(exact) / float64(n)}, {Name: "f1", Value: 100 * f1 / float64(n)}}, unanswered, nil
}

const noQuestions = "there are no questions"

// wordF1 is the F1 of two bags of words; 0 where they share none.
func wordF1(gold, predicted []string) float64 {
	left := make(map[string]int, len(gold))
	for _, w := range gold {
		left[w]++
	}
	same := 0
	for _, w := range predicted {
		if left[w] > 0 {
			left[w]--
			same++
		}
	}
	if same == 0 {
		return 0
	}
	precision := float64(same) / float64(len(predicted))
	recall := float64(same) / float64(len(gold))
	return 2 * precision * recall / (precision + recall)
}

// NullOdds are the odds, of questions in the order of their file, that a question has no answer: probabilities or differences of scores.
// The order decides among equal odds.
type NullOdds []NullOdd

// NullOdd is the entry of one question.
type NullOdd struct {
	ID   string
	Odds float64
}

// NullThreshold is the official script's default. No probability is above it, so that with odds that are probabilities every answer stays.
const NullThreshold = 1.0

// SQuAD2 gives what the official script of SQuAD 2.0 (evaluate-v2.0.py) prints, to the last digit: exact, f1 (percent) and total; the same
// with HasAns_ and NoAns_ where there are such questions. With odds it answers "" where they are above the threshold, and adds
// best_exact, best_exact_thresh, best_f1 and best_f1_thresh, the best that any threshold reaches; odds may be nil. questions stand in the
// file's order; each must have a prediction ("" for no answer) and, with odds, its odds.
func SQuAD2(questions []Question, predictions map[string]string, odds NullOdds, threshold float64) (Scores, error) {
	e := squad2{index: map[string]int{}}
	missing, first := 0, ""
	for _, q := range questions {
		p, ok := predictions[q.ID]
		if !ok {
			if missing++; missing == 1 {
				first = q.ID
			}
			continue
		}
		e.add(q, p)
	}
	if missing > 0 {
		return nil, fmt.Errorf("%d of %d questions have no prediction, the first is %q (\"\" says that there is no answer)", missing, len(questions), first)
	}
	exact, f1 := e.exact, e.f1
	if odds != nil {
		of := map[string]float64{}
		for _, o := range odds {
			of[o.ID] = o.Odds
		}
		exact, f1 = slices.Clone(exact), slices.Clone(f1)
		for id, i := range e.index {
			v, ok := of[id]
			if !ok {
				return nil, fmt.Errorf("question %q has no null odds", id)
			}
			if v > threshold {
				right := 0.0
				if !e.hasAnswer[i] {
					right = 1
				}
				exact[i], f1[i] = right, right
			}
		}
	}
	var s Scores
	e.summary(&s, "", exact, f1, func(bool) bool { return true })
	e.summary(&s, "HasAns_", exact, f1, func(has bool) bool { return has })
	e.summary(&s, "NoAns_", exact, f1, func(has bool) bool { return !has })
	if odds != nil && len(e.exact) > 0 {
		for _, m := range []struct {
			name   string
			scores []float64
		}{{"best_exact", e.exact}, {"best_f1", e.f1}} {
			best, at := e.best(m.scores, predictions, odds)
			s = append(s, Score{Name: m.name, Value: best}, Score{Name: m.name + "_thresh", Value: at})
		}
	}
	return s, nil
}

// squad2 holds a value for each question, in order. Of questions with the same id the last one counts, at the index of the first.
type squad2 struct {
	index     map[string]int // of a question's id in the slices below
	hasAnswer []bool
	exact, f1 []float64
}

func (e *squad2) add(q Question, prediction string) {
	words := answerWords(prediction)
	exact, f1 := 0.0, 0.0
	compare := func(gold []string) {
		if slices.Equal(gold, words) { // both may be empty: no answer, rightly
			exact, f1 = 1, 1
			return
		}
		f1 = max(f1, wordF1(gold, words))
	}
	compared := false
	for _, a := range q.Answers {
		if gold := answerWords(a); len(gold) > 0 {
			compare(gold)
			compared = true
		}
	}
	if !compared {
		compare(nil)
	}
	i, ok := e.index[q.ID]
	if !ok {
		i = len(e.exact)
		e.index[q.ID] = i
		e.exact, e.f1, e.hasAnswer = append(e.exact, 0), append(e.f1, 0), append(e.hasAnswer, false)
	}
	e.exact[i], e.f1[i], e.hasAnswer[i] = exact, f1, len(q.Answers) > 0
}

// summary adds the mean scores of the chosen questions. Where there are none it adds nothing, or, with the empty prefix, undefined scores.
func (e *squad2) summary(s *Scores, prefix string, exact, f1 []float64, chosen func(hasAnswer bool) bool) {
	n, exacts, f1s := 0, 0.0, 0.0
	for i, has := range e.hasAnswer {
		if chosen(has) {
			n++
			exacts += exact[i]
			f1s += f1[i]
		}
	}
	switch {
	case n > 0:
		*s = append(*s, Score{Name: prefix + "exact", Value: 100 * exacts / float64(n)},
			Score{Name: prefix + "f1", Value: 100 * f1s / float64(n)}, Score{Name: prefix + "total", Value: float64(n)})
	case prefix == "":
		*s = append(*s, Score{Name: "exact", Undefined: noQuestions}, Score{Name: "f1", Undefined: noQuestions}, Score{Name: "total"})
	}
}

// best tries every threshold: it goes through the questions by rising odds, answering one more at each. It gives the highest score, in
// percent, and the odds at which it is reached; 0 where answering nothing is best.
func (e *squad2) best(scores []float64, predictions map[string]string, odds NullOdds) (best, threshold float64) {
	score := 0.0
	for _, has := range e.hasAnswer {
		if !has {
			score++
		}
	}
	best = score
	odds = slices.Clone(odds)
	slices.SortStableFunc(odds, func(a, b NullOdd) int {
		switch {
		case a.Odds < b.Odds:
			return -1
		case a.Odds > b.Odds:
			return 1
		}
		return 0
	})
	for _, o := range odds {
		i, ok := e.index[o.ID]
		if !ok {
			continue
		}
		switch {
		case e.hasAnswer[i]:
			score += scores[i]
		case predictions[o.ID] != "":
			score--
		}
		if score > best {
			best, threshold = score, o.Odds
		}
	}
	return 100 * best / float64(len(scores)), threshold
}
