package finetune

import (
	"os"
	"path/filepath"
	"testing"

	"albert/internal/learn/metric"
	"albert/internal/learn/task"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// The best span that the pieces of SQuAD's dev set can express, scored by the official metric against the gold answers: nothing is lost
// to alignment.
func TestPiecesExpressTheAnswers(t *testing.T) {
	data := os.Getenv("ALBERT_DATA")
	if data == "" {
		data = "../../shared/data"
	}
	path := filepath.Join(data, "squad", "dev-v1.1.json")
	tok, err := tokenizer.Open(filepath.Join(data, "spiece.model"))
	if _, missing := os.Stat(path); err != nil || missing != nil {
		t.Skip("ALBERT_DATA has no squad/dev-v1.1.json and spiece.model: ", err, missing)
	}
	tok = tok.With(tokenizer.DefaultOptions)
	squad, err := dataset.TaskNamed("squad1")
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Read(squad, dataset.Dev, []string{path}, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept := set.Examples[:0]
	for _, e := range set.Examples {
		exact := e.Answers[:0]
		for _, a := range e.Answers {
			if a.Exact {
				exact = append(exact, a)
			}
		}
		if e.Answers = exact; len(exact) > 0 {
			kept = append(kept, e)
		}
	}
	set.Examples = kept
	f, err := NewFeatures(set, tok, Settings{MaxSeqLength: 384, SpanOptions: task.DefaultSpanOptions}, true)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for i := range f.Examples {
		w, e := f.Examples[i].Window, &set.Examples[f.Of[i]]
		for j := range w.MaxContext {
			w.MaxContext[j] = true
		}
		for _, a := range e.Answers {
			first, last := w.Rows(a.Start, a.End)
			if first == 0 || metric.NormalizeAnswer(answers[e.ID]) == metric.NormalizeAnswer(a.Text) {
				continue
			}
			rows := [][]float32{make([]float32, len(w.IDs)), make([]float32, len(w.IDs))}
			rows[0][first], rows[1][last] = 1, 1
			o := task.DefaultSpanOptions
			o.MaxAnswerLength = len(w.IDs)
			text := task.BestSpans([]task.Window{*w}, rows[:1], rows[1:], e.Context, o).Best[0].Text
			if answers[e.ID] == "" || metric.NormalizeAnswer(text) == metric.NormalizeAnswer(a.Text) {
				answers[e.ID] = text
			}
		}
	}
	scores, unanswered, err := metric.SQuAD1(Questions(set), answers)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range set.Examples {
		same := false
		for _, a := range e.Answers {
			same = same || metric.NormalizeAnswer(a.Text) == metric.NormalizeAnswer(answers[e.ID])
		}
		if !same {
			t.Logf("%s: %q of %q", e.ID, answers[e.ID], e.Answers[0].Text)
		}
	}
	em, err := scores.Get("exact_match")
	if err != nil || em < 99.9 {
		t.Errorf("%d questions: %v, %d without a span", len(set.Examples), scores, len(unanswered))
	}
	t.Logf("%d questions: %v, %d without a span", len(set.Examples), scores, len(unanswered))
}
