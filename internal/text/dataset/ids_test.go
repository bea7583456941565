package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	asked  = `{"context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": [2]}}`
	choose = `{"context": "A b.", "choices": ["x", "y"], "label": 1}`
)

// Rows without an id are numbered over all files, and predictions of them are read back one by one.
func TestRowsWithoutIDs(t *testing.T) {
	for task, row := range map[string]string{"squad1": asked, "choice": choose, "classify": `{"text": "a", "label": "x"}`} {
		dir := write(t, "a.jsonl", row+"\n"+row+"\n", "b.jsonl", row+"\n")
		s, err := Read(taskNamed(t, task), Dev, []string{filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl")}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Examples) != 3 || s.Examples[0].ID != "0" || s.Examples[1].ID != "1" || s.Examples[2].ID != "2" {
			t.Errorf("%s: %+v", task, s.Examples)
		}
		path := filepath.Join(dir, "predictions.json")
		if err := WriteAnswers(path, s, []string{"x", "y", "z"}); err != nil {
			t.Fatal(err)
		}
		if back, err := ReadPredictions(path); err != nil || len(back) != 3 || back["2"] != "z" {
			t.Errorf("%s: read back %v, %v", task, back, err)
		}
	}
}

// Questions and choices are scored by id, so that one stands for one.
func TestIDsUsedTwice(t *testing.T) {
	for task, row := range map[string]string{"squad1": asked, "choice": choose} {
		named := func(id string) string { return strings.Replace(row, "{", `{"id": "`+id+`", `, 1) + "\n" }
		_, err := readText(t, task, Dev, "a.jsonl", named("q")+named("q"), Options{})
		wantError(t, err, "a.jsonl:2", "the id q was used before, in", "a.jsonl:1")
		_, err = readText(t, task, Dev, "a.jsonl", named("1")+row+"\n", Options{}) // the second row's number
		wantError(t, err, "a.jsonl:2", "the id 1 was used before, in", "a.jsonl:1")
	}
}

// Only test sets and questions that are said to have no answer go without the column.
func TestRowsWithoutAnswers(t *testing.T) {
	row := `{"context": "A b.", "question": "?", "answer": "b"}`
	for _, task := range []string{"squad1", "squad2"} {
		for _, split := range []Split{Train, Dev} {
			_, err := readText(t, task, split, "a.jsonl", asked+"\n"+row, Options{})
			wantError(t, err, "a.jsonl:2", `no column "answers"; there are "answer", "context", "question"`)
		}
		mustRead(t, task, Test, "a.jsonl", row, Options{})
	}
	s := mustRead(t, "squad2", Dev, "a.jsonl", `{"context": "A b.", "question": "?", "is_impossible": true}`, Options{})
	wantExamples(t, s, "1 context=A b. question=? impossible=true")
}

// Predictions that a table cannot hold, or a file does not, are errors.
func TestPredictionsThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.tsv")
	s := mustRead(t, "classify", Test, "a.jsonl", `{"id": "a\tb", "text": "a"}`, Options{})
	wantError(t, WriteTable(path, s, []string{"x"}), "a.jsonl:1", "has a tab or a line break")
	s = mustRead(t, "classify", Test, "a.jsonl", `{"text": "a"}`, Options{})
	wantError(t, WriteTable(path, s, []string{"x\ty"}), `"x\ty" has a tab or a line break`)
	if _, err := os.Stat(path); err == nil {
		t.Error("a part of the table was left")
	}
	for text, words := range map[string]string{"{}": "there are no predictions", "index\tprediction\n": "there are no predictions"} {
		_, err := ReadPredictions(filepath.Join(write(t, "a", text), "a"))
		wantError(t, err, words)
	}
	for text, words := range map[string]string{`{"a": "x"}`: "is a string, not a list of labels", `{"a": null}`: "is null, not a list", `{"a": [], "a": []}`: "appears twice"} {
		_, err := ReadLists(filepath.Join(write(t, "a.json", text), "a.json"))
		wantError(t, err, words)
	}
}
