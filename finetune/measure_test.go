package finetune

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/learn/task"
	"albert/internal/text/dataset"
)

// A model from elsewhere calls its classes LABEL_0, ...: numbers are these, and which of them MNLI's classes are is said, or told by the user.
func TestClassesOfModelsFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	texts := []string{`{"text": "good film", "label": 0}`, `{"text": "bad film", "label": 1}`, `{"text": "the film", "label": 2}`}
	file := write(t, texts, dir, "a.jsonl")
	c := config(t, "classify", pretrained(t), filepath.Join(dir, "run"), splits{Train: []string{file}, Dev: []string{file}})
	c.Steps, c.EvalEvery, *c.WarmupSteps = 1, 1, 0
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "run", "model", "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["id2label"], fields["label2id"] = map[string]string{"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, map[string]int{"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
	if text, err = json.Marshal(fields); err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	spans := task.DefaultSpanOptions
	evaluate := func(name, data string, labels ...string) *Measured {
		t.Helper()
		m, err := Evaluate(context.Background(), Evaluation{Model: filepath.Join(dir, "run"), Task: named(t, name), Data: []string{data}, Split: dataset.Dev, Labels: labels,
			Settings: Settings{MaxSeqLength: 16, SpanOptions: spans}, Threads: 1, Worst: 3})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := evaluate("classify", file)
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], `"0" is taken as "LABEL_0"`) {
		t.Errorf("%q", m.Notes)
	}
	words := write(t, []string{`{"text": "good film", "label": "x"}`, `{"text": "bad film", "label": "y"}`}, dir, "b.jsonl")
	if m := evaluate("classify", words, "x", "y", "z"); m.Notes != nil {
		t.Errorf("%q", m.Notes)
	}
	lines := []string{"index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"}
	for i, l := range []string{"entailment", "neutral", "contradiction"} {
		lines = append(lines, fmt.Sprintf("%d\tp\tq\tg\ta\tb\tc\td\tgood film\tbad film\t%s\t%s", i, l, l))
	}
	mnli := write(t, lines, dir, "dev_matched.tsv")
	predicted := func(m *Measured) string { return fmt.Sprint(m.Worst[0].Predicted) } // of texts that are all the same
	byOrder := evaluate("mnli", mnli)
	if len(byOrder.Notes) != 1 || !strings.Contains(byOrder.Notes[0], "LABEL_0, LABEL_1, LABEL_2: they are taken in this order as contradiction, entailment, neutral; --labels") {
		t.Errorf("%q", byOrder.Notes)
	}
	order := []string{"contradiction", "entailment", "neutral"}
	asked := []string{"entailment", "neutral", "contradiction"}
	told := evaluate("mnli", mnli, asked...)
	if told.Notes != nil || predicted(told) != asked[slices.Index(order, predicted(byOrder))] {
		t.Errorf("%q; %s, by order %s", told.Notes, predicted(told), predicted(byOrder))
	}
	_, err = Evaluate(context.Background(), Evaluation{Model: filepath.Join(dir, "run"), Task: named(t, "mnli"), Data: []string{mnli}, Split: dataset.Dev, Labels: []string{"a", "b"}, Threads: 1})
	if err == nil || !strings.Contains(err.Error(), "2 names for the 3 classes") {
		t.Error(err)
	}
}

// What is left out of the data, cut or assumed is said in the log, in result.json and once to the person.
func TestNotesOfTheData(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) []string {
		return []string{write(t, []string{"title,text,label", "x,good film,1", "x,bad film and a very long day in the house of the man and the film,0", "x,,1"}, dir, name)}
	}
	c := config(t, "classify", pretrained(t), filepath.Join(dir, "run"), splits{Train: file("train.csv"), Dev: file("dev.csv")})
	c.Steps, c.EvalEvery, *c.WarmupSteps, c.MaxSeqLength = 2, 1, 0, 10
	var said strings.Builder
	c.Messages = &said
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	result, err := os.ReadFile(filepath.Join(dir, "run", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "run", "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"train.csv: 1 of 3 columns are not used: ", "dev.csv: 1 of 3 columns", "train: 1 of 3 examples have an empty text", "train: 1 of 3 examples cut to 10 pieces", "dev: 1 of 3 examples cut to 10 pieces"} {
		if n := strings.Count(said.String(), want); n != 1 || !strings.Contains(string(result), want) || strings.Count(string(log), want) != 1 {
			t.Errorf("%q: %d times in %q; result %s; log %s", want, n, said.String(), result, log)
		}
	}
	if len(r.Notes) < 4 {
		t.Errorf("%q", r.Notes)
	}
}

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
