package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/text/dataset"
)

// runOn trains for some steps on a file that is the dev set too, and gives the result and what was said.
func runOn(t *testing.T, name, file string, more func(*Config)) (*Result, string) {
	t.Helper()
	c := config(t, name, pretrained(t), filepath.Join(t.TempDir(), "run"), splits{Train: []string{file}, Dev: []string{file}})
	var said bytes.Buffer
	c.Quiet, c.Messages, c.Steps, c.EvalEvery = false, &said, 60, 20
	if more != nil {
		more(&c)
	}
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r, said.String()
}

// holdNote holds a note to be said once, and to stand in the log and in result.json.
func holdNote(t *testing.T, r *Result, said, want string) {
	t.Helper()
	if n := strings.Count(said, want); n != 1 {
		t.Errorf("%q is said %d times in %q", want, n, said)
	}
	dir := r.Runs[0].Dir
	log, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(want)
	inside := string(quoted[1 : len(quoted)-1])
	if !bytes.Contains(log, []byte(`"data_notes":["`)) || strings.Count(string(log), inside) != 1 || !strings.Contains(string(text), inside) {
		t.Errorf("%q: log %.300s\nresult %s", want, log, text)
	}
}

// Tags without B- and I- are classes of words: accuracy chooses the best step, and the report has them as they are. A word without
// pieces is tagged as most of the others are, not as something that is no tag here.
func TestTagsThatNameNoEntities(t *testing.T) {
	rows := []string{`{"tokens": ["good", "\u0301", "bad"], "tags": ["NOUN", "SYM", "VERB"]}`, `{"tokens": ["good", "bad"], "tags": ["NOUN", "VERB"]}`}
	file := write(t, rows, t.TempDir(), "a.jsonl")
	r, said := runOn(t, "tag", file, nil)
	if r.Metric != "overall_accuracy" || r.Median == nil || *r.Median != 0.8 {
		t.Errorf("%s %v", r.Metric, r.Median)
	}
	holdNote(t, r, said, "overall_accuracy decides which evaluation is best")
	holdNote(t, r, said, "train: 1 of 5 words have no pieces: nothing is learned from them")
	holdNote(t, r, said, "dev: 1 of 5 words have no pieces: they are tagged as most of the other words are")
	out := t.TempDir()
	m := evaluate(t, Evaluation{Model: r.Runs[0].Dir, Task: named(t, "tag"), Data: []string{file}, Split: dataset.Dev, Settings: Settings{MaxSeqLength: 64}, Output: out})
	var labels []string
	for _, row := range m.Report.Rows {
		labels = append(labels, row.Label)
	}
	if !slices.Equal(labels, []string{"NOUN", "SYM", "VERB"}) || len(m.Notes) != 1 {
		t.Errorf("rows %q, notes %q", labels, m.Notes)
	}
	lists, err := dataset.ReadLists(filepath.Join(out, "predictions.json"))
	if err != nil || !slices.Equal(lists["0"], []string{"NOUN", "NOUN", "VERB"}) {
		t.Errorf("%q, %v", lists, err)
	}
	numbers := write(t, []string{`{"tokens": ["good", "bad"], "tags": [0, 1]}`}, t.TempDir(), "a.jsonl")
	if r, _ := runOn(t, "tag", numbers, nil); r.Metric != "overall_accuracy" || *r.Median != 1 {
		t.Errorf("tags that are numbers: %s %v", r.Metric, *r.Median)
	}
	entities := write(t, []string{`{"tokens": ["good", "\u0301", "bad"], "tags": ["O", "O", "B-X"]}`}, t.TempDir(), "a.jsonl")
	r, said = runOn(t, "tag", entities, nil)
	if r.Metric != "overall_f1" {
		t.Errorf("tags that name entities: %s", r.Metric)
	}
	holdNote(t, r, said, `dev: 1 of 3 words have no pieces: they are tagged "O"`)
}

// A sentence longer than the model takes is learned and measured whole, in windows; every word counts once.
func TestLongSentencesAreTaggedWhole(t *testing.T) {
	var words, tags []string
	for i := range 50 {
		words, tags = append(words, `"`+[]string{"good", "bad"}[i%2]+`"`), append(tags, []string{`"A"`, `"B"`}[i%2])
	}
	row := `{"tokens": [` + strings.Join(words, ",") + `], "tags": [` + strings.Join(tags, ",") + `]}`
	file := write(t, []string{row}, t.TempDir(), "a.jsonl")
	r, said := runOn(t, "tag", file, func(c *Config) { c.MaxSeqLength = 12 })
	if *r.Median != 1 || strings.Contains(said, "cut to") {
		t.Errorf("accuracy %v; %s", *r.Median, said)
	}
	tagger, err := infer.Open(r.Runs[0].Dir, infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer tagger.Close()
	for _, long := range []bool{false, true} {
		question := slices.Values([]*infer.Question{{Text: strings.Repeat("good bad ", 50)}})
		answers, err := tagger.Tag(context.Background(), question, infer.TagOptions{Long: long})
		if err != nil {
			t.Fatal(err)
		}
		for a, err := range answers {
			if err != nil || a.Truncated == long || len(a.Entities) != map[bool]int{false: 62, true: 100}[long] {
				t.Errorf("in windows %v: %d pieces tagged, cut %v, %v", long, len(a.Entities), a.Truncated, err)
			}
			if last := a.Entities[len(a.Entities)-1]; long && (last.Word != "▁bad" || last.Index != 100 || last.Start != 446) {
				t.Errorf("the last one is %+v", last)
			}
		}
	}
	m, err := formats.Open(filepath.Join(r.Runs[0].Dir, "model"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Read(named(t, "tag"), dataset.Train, []string{file}, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFeatures(set, m.Tokenizer, Settings{MaxSeqLength: 12}, true)
	if err != nil {
		t.Fatal(err)
	}
	learned := 0
	for _, x := range f.Examples {
		if x.Pieces() > 12 {
			t.Errorf("a window of %d pieces", x.Pieces())
		}
		for _, tag := range x.Tags {
			if tag != task.NoLabel {
				learned++
			}
		}
	}
	if learned != 50 || len(f.Examples) < 5 {
		t.Errorf("%d tags in %d windows", learned, len(f.Examples))
	}
}

// What is cut off of texts, pairs, choices and questions is counted in pieces.
func TestCutPiecesAreCounted(t *testing.T) {
	long := strings.Repeat("good ", 100)
	for _, c := range []struct {
		task, rows string
		want       []string
	}{
		{"classify", `{"text": "` + long + `", "label": "x"}` + "\n" + `{"text": "bad", "label": "y"}`,
			[]string{"train: 1 of 2 examples cut to 20 pieces (max_seq_length): 82 pieces cut off", "dev: 1 of 2 examples cut to 20"}},
		{"classify", `{"text": "` + long + `", "text_pair": "bad", "label": "x"}` + "\n" + `{"text": "bad", "text_pair": "bad", "label": "y"}`,
			[]string{"train: 1 of 2 examples cut to 20 pieces (max_seq_length): 84 pieces cut off"}},
		{"choice", `{"context": "` + long + `", "question": "bad", "choices": ["good", "bad"], "label": 0}`,
			[]string{"train: 1 of 1 examples cut to 20 pieces (max_seq_length): 170 pieces cut off"}},
		{"squad1", `{"context": "good bad", "question": "` + long + `", "answers": {"text": ["bad"], "answer_start": [5]}}`,
			[]string{"train: 1 of 1 examples have a question cut to 16 pieces (max_query_length): 84 pieces cut off"}},
		{"squad1", `{"context": "good bad", "question": "a", "answers": {"text": ["bad", "bad"], "answer_start": [1, 5]}}` + "\n" +
			`{"context": "good \u0301 bad", "question": "a", "answers": {"text": ["\u0301"], "answer_start": [5]}}` + "\n" +
			`{"context": "good bad", "question": "a", "answers": {"text": [" \u2003bad\u00a0"], "answer_start": [3]}}` + "\n" +
			`{"context": "good bad", "question": "a", "answers": {"text": [" "], "answer_start": [4]}}`,
			[]string{"train: 1 answers are nothing but white space: left out", "train: 3 of 4 examples without a usable label left out",
				"train: 1 of 4 answers have no pieces", "dev: 1 of 4 examples have no label: they are not measured"}},
	} {
		r, said := runOn(t, c.task, write(t, []string{c.rows}, t.TempDir(), "a.jsonl"), func(o *Config) {
			o.MaxSeqLength, o.MaxQueryLength, o.Steps = 20, 16, 2
		})
		for _, w := range c.want {
			holdNote(t, r, said, w)
		}
	}
}
