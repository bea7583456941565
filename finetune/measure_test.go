package finetune

import (
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/text/dataset"
)

// score scores a file of predictions, whose text is given.
func score(t *testing.T, name, data, predictions string) (*Measured, error) {
	t.Helper()
	dir := t.TempDir()
	file := write(t, []string{data}, dir, "dev.jsonl")
	return ScoreFile(named(t, name), []string{file}, dataset.Dev, dataset.Options{}, write(t, []string{predictions}, dir, "predictions"), "", 2)
}

// A label that the dev file does not have is wrong, in data of one's own; GLUE's labels are known.
func TestLabelsThatTheDevFileLacks(t *testing.T) {
	m, err := score(t, "classify", `{"text": "a", "label": "x"}`+"\n"+`{"text": "b", "label": "y"}`, "index\tprediction\n0\tx\n1\tz")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.Scores.Get("accuracy"); err != nil || v != 0.5 || m.Worst[0].Predicted != "z" {
		t.Errorf("accuracy %v, %v; %+v", v, err, m.Worst)
	}
	m, err = score(t, "multilabel", `{"text": "a", "labels": ["x"]}`+"\n"+`{"text": "b", "labels": ["y"]}`, `{"0": ["x"], "1": ["y", "z"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.Scores.Get("subset_accuracy"); err != nil || v != 0.5 {
		t.Errorf("subset accuracy %v, %v", v, err)
	}
	m, err = score(t, "tag", `{"words": ["a", "b"], "tags": ["O", "B-X"]}`, `{"0": ["B-Z", "B-X"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.Scores.Get("overall_precision"); err != nil || v != 0.5 {
		t.Errorf("precision %v, %v", v, err)
	}
	_, err = score(t, "tag", `{"words": ["a", "b"], "tags": ["O", "B-X"]}`, `{"0": ["B-X"]}`)
	if err == nil || !strings.Contains(err.Error(), "1 tags for 2 words") {
		t.Error(err)
	}
	dir := t.TempDir()
	file := write(t, []string{"index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\tentailment"}, dir, "dev.tsv")
	_, err = ScoreFile(named(t, "rte"), []string{file}, dataset.Dev, dataset.Options{}, write(t, []string{"index\tprediction", "0\tz"}, dir, "p.tsv"), "", 0)
	if err == nil || !strings.Contains(err.Error(), `label "z" is none of entailment, not_entailment`) {
		t.Error(err)
	}
}

// A question without a prediction scores 0, as in the official script, and that is said; a file without any is an error.
func TestQuestionsWithoutPredictions(t *testing.T) {
	row := `{"context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": [2]}}`
	data := strings.Join([]string{row, row, row}, "\n")
	m, err := score(t, "squad1", data, `{"1": "b"}`)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.Scores.Get("f1"); err != nil || v < 33.3 || v > 33.4 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "2 of 3 questions have no prediction") {
		t.Errorf("f1 %v, %v; %q", v, err, m.Notes)
	}
	if _, err := score(t, "squad1", data, "{}"); err == nil || !strings.Contains(err.Error(), "no predictions") {
		t.Error(err)
	}
}

// The leaderboard's zip gathers test sets' predictions, and says which are missing; a dev set's are none of it.
func TestZipOfSubmissions(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"RTE.tsv", "SST-2.tsv"} {
		write(t, []string{"index\tprediction", "0\t1"}, dir, name)
	}
	note, err := zipSubmissions(dir)
	if want := "submission.zip: 2 of 11 files; missing: CoLA.tsv, MRPC.tsv, "; err != nil || !strings.HasPrefix(note, filepath.Join(dir, want)) {
		t.Errorf("%q, %v", note, err)
	}
}
