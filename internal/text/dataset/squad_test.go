package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// squadOf is a file with one paragraph, whose questions are given.
func squadOf(context, qas string) string {
	return `{"version": "x", "data": [{"title": "T", "paragraphs": [{"qas": [` + qas + `], "context": "` + context + `"}]}]}`
}

func TestSQuAD(t *testing.T) {
	s := mustRead(t, "squad1", Dev, "dev.json", squadOf("Zoë 😀 met Émile.", `
		{"id": "a", "question": "Who?", "answers": [{"text": "Émile", "answer_start": 10}, {"text": "Zoë", "answer_start": 0, "start_exact": true}]},
		{"id": 7, "question": "Whom?", "answers": [{"text": "Zoë", "answer_start": 0, "start_exact": false}, {"text": "Émile", "answer_start": 9}], "more": {}}`), Options{})
	wantExamples(t, s, "1 id=a context=Zoë 😀 met Émile. question=Who? answers=[{Émile 10 15 true} {Zoë 0 3 true}]",
		"1 id=7 context=Zoë 😀 met Émile. question=Whom? answers=[{Zoë 0 3 false} {Émile 9 14 false}]")
	if len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "1 answers are not what stands at their answer_start") || !strings.Contains(s.Notes[1], "1 answers have an answer_start that is a guess") {
		t.Errorf("notes %q", s.Notes)
	}
}

func TestSQuAD2(t *testing.T) {
	s := mustRead(t, "squad2", Train, "train.json", squadOf("A b.", `
		{"id": "1", "question": "?", "answers": [], "is_impossible": true, "plausible_answers": [{"text": "no", "answer_start": 99}]},
		{"id": "2", "question": "?", "answers": [{"text": "b", "answer_start": 2}], "is_impossible": false},
		{"id": "3", "question": "?", "answers": []}`), Options{})
	wantExamples(t, s, "1 id=1 context=A b. question=? impossible=true", "1 id=2 context=A b. question=? answers=[{b 2 3 true}]",
		"1 id=3 context=A b. question=? impossible=true")
}

// A test set need not say anything about answers.
func TestSQuADTest(t *testing.T) {
	s := mustRead(t, "squad2", Test, "test.json", squadOf("A b.", `{"id": "1", "question": "?"}`), Options{})
	wantExamples(t, s, "1 id=1 context=A b. question=?")
}

// Rows with a context and a question each, as Hugging Face has them.
func TestSQuADRows(t *testing.T) {
	rows := `{"id": "1", "context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": [2]}}
{"id": "2", "context": "A b.", "question": "?", "answers": {"text": [], "answer_start": []}}
`
	want := []string{"1 id=1 context=A b. question=? answers=[{b 2 3 true}]", "2 id=2 context=A b. question=? impossible=true"}
	wantExamples(t, mustRead(t, "squad2", Train, "a.jsonl", rows, Options{}), want...)
	list := "[" + strings.Replace(strings.TrimSpace(rows), "}\n{", "},\n{", 1) + "]\n"
	wantExamples(t, mustRead(t, "squad2", Train, "a.json", list, Options{}), want...)
}

func TestSQuADErrors(t *testing.T) {
	ask := func(q string) string { return squadOf("A b.", "\n"+q) }
	for _, c := range []struct {
		task, text string
		want       []string
	}{
		{"squad1", ask(`{"id": "q", "question": "?", "answers": [{"text": "b", "answer_start": 4}]}`),
			[]string{"a.json:1:", `article 1 "T"`, "paragraph 1", `question "q"`, `answer 1, "b" at answer_start 4, lies outside`, "4 characters"}},
		{"squad1", ask(`{"id": "q", "question": "?", "answers": [{"text": "b", "answer_start": -1}]}`), []string{`question "q"`, "outside"}},
		{"squad1", ask(`{"id": "q", "question": "?", "answers": [{"text": "b", "answer_start": 9223372036854775807}]}`), []string{`question "q"`, "outside"}},
		{"squad1", ask(`{"id": "q", "question": "?", "answers": [{"text": "b"}]}`), []string{`question "q"`, `no "answer_start"`}},
		{"squad1", ask(`{"id": "q", "question": "?", "answers": []}`), []string{`question "q"`, "no answers"}},
		{"squad1", ask(`{"id": "q", "question": "?", "answers": [], "is_impossible": true}`), []string{`question "q"`, "use the task squad2"}},
		{"squad2", ask(`{"id": "q", "question": "?", "answers": [{"text": "b", "answer_start": 2}], "is_impossible": true}`), []string{"yet there are answers"}},
		{"squad2", ask(`{"id": "q", "question": "?", "answers": [], "is_impossible": false}`), []string{"no answers"}},
		{"squad1", ask(`{"id": "q", "answers": []}`), []string{`no "question"`}},
		{"squad1", ask(`{"question": "?", "answers": []}`), []string{"paragraph 1, question 1", "no answers"}},
		{"squad1", ask(`{"id": ["q"], "question": "?"}`), []string{"the id is a list"}},
		{"squad2", ask(`{"id": "q", "question": "?"}, {"id": "q", "question": "?"}`), []string{`question "q"`, "the id q was used before, in"}},
		{"squad1", ask(`{"id": "q", "question": 3}`), []string{"paragraph 1", `"qas.question" is a number, not a string`}},
		{"squad1", `{"data": [{"title": "T"}]}`, []string{`article 1 "T" has no "paragraphs"`}},
		{"squad1", `{"data": [{"paragraphs": 3}]}`, []string{`"paragraphs" is not a list`}},
		{"squad1", `{"data": [{"paragraphs": [{"qas": []}]}]}`, []string{"article 1, paragraph 1", `no "context"`}},
		{"squad1", `{"data": [3]}`, []string{"article 1 is not an object"}},
		{"squad1", `{"data": {"a": 1}}`, []string{`no column "context", nor SQuAD's "data"`}},
		{"squad1", `{"text": "a"}`, []string{`no column "context", nor SQuAD's "data"; there are "text"`}},
		{"squad1", `{"data": []}`, []string{"no examples"}},
		{"squad2", `{"id": "a", "context": "A b.", "question": "?", "answer": {"text": ["b"], "answer_start": [2]}}`, []string{"a.json:1", `no column "answers"; there are "answer"`}},
		{"squad1", "{\"data\": [\n{\"title\": \"T\",\n\"paragraphs\": [\n{\"context\": \"A\" \"qas\": []}]}]}", []string{"a.json:4: broken JSON"}},
		{"squad1", "{\"data\": [\n{\"title\": \"T\",\n\"paragraphs\": [\n{\"context\": \"A\",", []string{"a.json:4: broken JSON: the file ends in the middle"}},
		{"squad1", "{\"data\": [\n{\"title\": \"T\",\n", []string{"a.json:3: broken JSON: the file ends"}},
		{"squad1", "3", []string{"a.json:1: not an object"}},
		{"squad1", `{"context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": []}}`, []string{"1 texts of answers and 0 answer_start"}},
		{"squad1", `{"context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": [1.5]}}`, []string{"no answer_start that is a whole number"}},
	} {
		_, err := readText(t, c.task, Train, "a.json", c.text, Options{})
		wantError(t, err, c.want...)
	}
	_, err := readText(t, "squad1", Train, "a.csv", "context,question\n", Options{})
	wantError(t, err, "a.csv: answer data is JSON or Parquet, not csv")
}

func TestAnswerFiles(t *testing.T) {
	dir := t.TempDir()
	s := mustRead(t, "squad2", Test, "test.json", squadOf("A b.", `{"id": "z", "question": "?"}, {"id": "a", "question": "?"}`), Options{})
	path := filepath.Join(dir, "predictions.json")
	if err := WriteAnswers(path, s, []string{"a \"<b>\" é", ""}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "{\n    \"z\": \"a \\\"<b>\\\" é\",\n    \"a\": \"\"\n}\n" {
		t.Errorf("%s", text)
	}
	back, err := ReadPredictions(path)
	if err != nil || back["z"] != "a \"<b>\" é" || len(back) != 2 {
		t.Errorf("read back: %v, %v", back, err)
	}
	path = filepath.Join(dir, "null_odds.json")
	if err := WriteNullOdds(path, s, []float64{-1.5, 2}); err != nil {
		t.Fatal(err)
	}
	odds, err := ReadNullOdds(path)
	if err != nil || odds["z"] != -1.5 || odds["a"] != 2 {
		t.Errorf("read back: %v, %v", odds, err)
	}
	path = filepath.Join(dir, "nbest_predictions.json")
	if err := WriteNBest(path, s, [][]Candidate{{{"b", 0.75, -1, -2}}, nil}); err != nil {
		t.Fatal(err)
	}
	want := `{
    "z": [
        {
            "text": "b",
            "probability": 0.75,
            "start_log_prob": -1,
            "end_log_prob": -2
        }
    ],
    "a": []
}
`
	if text, _ := os.ReadFile(path); string(text) != want {
		t.Errorf("%s", text)
	}
	wantError(t, WriteAnswers(path, s, nil), "0 predictions for 2 examples")
	for text, words := range map[string]string{`{"a": 1}`: `a.json:1: the prediction of "a" is a number`, `{"a": "x", "a": "y"}`: `"a" appears twice`,
		`{"a": "x"`: "the file ends in the middle", `{"a": "x"} 3`: "something follows", "index\tprediction\n1": "a.json:2: no tab"} {
		_, err := ReadPredictions(filepath.Join(write(t, "a.json", text), "a.json"))
		wantError(t, err, words)
	}
}

// White space around an answer is no part of it, whether or not answer_start counts it; an answer of nothing else is left out and counted.
func TestBlanksAroundAnswers(t *testing.T) {
	const want = "1 id=0 context=x=A\u3000\u00a0b. question=? answers=[{b 5 6 true}]"
	for _, a := range []string{`"\u00a0b", "answer_start": 4`, `"\u3000\u00a0b", "answer_start": 3`, `" b\r\n", "answer_start": 5`, `"b\u200b", "answer_start": 5`,
		`"\ufeffb\u2028", "answer_start": 4`} {
		s := mustRead(t, "squad1", Train, "a.json", squadOf("x=A\u3000\u00a0b.", `{"question": "?", "answers": [{"text": `+a+`}]}`), Options{})
		wantExamples(t, s, want)
	}
	for _, task := range []string{"squad1", "squad2"} {
		s := mustRead(t, task, Dev, "a.json", squadOf("A b.", `{"question": "?", "answers": [{"text": " \u2003\n", "answer_start": 1}, {"text": "b", "answer_start": 2}]},
			{"question": "?", "answers": [{"text": "", "answer_start": 0}]}`), Options{})
		wantExamples(t, s, "1 id=0 context=A b. question=? answers=[{b 2 3 true}]", "1 id=1 context=A b. question=?")
		if len(s.Notes) != 1 || s.Notes[0] != "2 answers are nothing but white space: left out" {
			t.Errorf("%s: notes %q", task, s.Notes)
		}
	}
}

// "data" may be a list of rows or of paragraphs; ids are numbers where there are none.
func TestSQuADFlat(t *testing.T) {
	want := []string{"2 id=0 context=A b. question=? answers=[{b 2 3 true}]", "3 id=q context=A b. question=! answers=[{A 0 1 true}]"}
	rows := `{"version": "1", "data": [
{"title": "T", "context": "A b.", "question": "?", "answers": {"text": "b", "answer_start": 2}},
{"question": "!", "id": "q", "answers": [{"text": "A", "answer_start": 0}], "context": "A b."}]}`
	wantExamples(t, mustRead(t, "squad1", Train, "a.json", rows, Options{}), want...)
	paragraphs := `{"data": [
{"context": "A b.", "qas": [{"question": "?", "answers": [{"text": "b", "answer_start": 2}]}]},
{"context": "A b.", "qas": [{"id": "q", "question": "!", "answers": [{"text": "A", "answer_start": 0}]}]}]}`
	wantExamples(t, mustRead(t, "squad1", Train, "a.json", paragraphs, Options{}), want...)
	_, err := readText(t, "squad1", Train, "a.json", `{"data": [`+"\n"+`{"question": "?", "answers": {"text": ["b"], "answer_start": [2]}}]}`, Options{})
	wantError(t, err, "a.json:2", `no column "context"`)
}

// Some write that there is no answer as one at -1.
func TestNoAnswerAtMinusOne(t *testing.T) {
	for _, q := range []string{`"is_impossible": true, "answers": [{"text": "", "answer_start": -1}]`, `"is_impossible": true, "answers": [{"text": "none", "answer_start": -1}]`,
		`"answers": [{"text": "", "answer_start": -1}]`, `"is_impossible": true, "answers": [{"text": "", "answer_start": 0}]`} {
		s := mustRead(t, "squad2", Train, "a.json", squadOf("A b.", `{"id": "q", "question": "?", `+q+`}`), Options{})
		wantExamples(t, s, "1 id=q context=A b. question=? impossible=true")
	}
	s := mustRead(t, "squad2", Train, "a.jsonl", `{"context": "A b.", "question": "?", "is_impossible": true, "answers": {"text": [""], "answer_start": [-1]}}`, Options{})
	wantExamples(t, s, "1 id=0 context=A b. question=? impossible=true")
}
