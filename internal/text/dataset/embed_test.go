package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rows that vectors are learned from, by the names of their columns and in every form.
func TestRowsOfVectors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		o          Options
		want       string
	}{
		{"a.jsonl", `{"anchor": "A", "positive": "B", "negative_2": "D", "negative": "C", "id": 7}` + "\n" + `{"anchor": "A", "positive": "B", "negative": null}`, Options{},
			"pairs [A B C D] [A B]"},
		{"a.tsv", "query\tdocument\tnegative\nA\tB\tC\nD\tE\t\n", Options{}, "pairs [A B C] [D E]"},
		{"a.csv", "sentence1,sentence2\nA,B\n", Options{}, "pairs [A B]"},
		{"a.csv", "sentence1,sentence2,score\nA,B,3.5\n", Options{}, "scored [A B]3.5"},
		{"a.csv", "query,document,label\nA,B,1\n", Options{}, "scored [A B]1"},
		{"a.csv", "anchor,positive,score\nA,B,1\n", Options{}, "pairs [A B]"},
		{"a.csv", "left,right,mark\nA,B,1\n", Options{TextColumn: "left", PairColumn: "right", LabelColumn: "mark"}, "scored [A B]1"},
		{"a.csv", "left,right,mark\nA,B,1\n", Options{TextColumn: "left", PairColumn: "right"}, "pairs [A B]"},
		{"a.jsonl", `{"text": "A", "target": [1, -2.5]}`, Options{}, "targets [A][1 -2.5]"},
		{"a.tsv", "text\ttarget\nA\t[1, -2.5]\n", Options{}, "targets [A][1 -2.5]"},
		{"dev.tsv", stsbHeader + "source1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\t1\t2\tn\tn\t\"A\"\tB\t3.8\n", Options{}, `scored ["A" B]3.8`},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Read(taskNamed(t, "embed"), Train, []string{path}, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := string(s.Form)
		for _, e := range s.Examples {
			got += " " + fmt.Sprint(e.Texts)
			if s.Form == Scored {
				got += fmt.Sprint(e.Score)
			}
			if e.Target != nil {
				got += fmt.Sprint(e.Target)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// A collection is read in its order, packed or not; a title stands before its text, and only queries with judgements count.
func TestCollections(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"corpus.jsonl":   `{"_id": "d1", "title": "T", "text": "A "}` + "\n" + `{"_id": 2, "text": "B", "metadata": {}}` + "\n",
		"queries.jsonl":  `{"_id": "q1", "text": "X"}` + "\n" + `{"_id": "q2", "text": "Y"}` + "\n",
		"qrels/test.tsv": "query-id\tcorpus-id\tscore\r\nq2\td1\t2\r\nq2\t2\t0\r\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	defer func(old int) { KeptTexts = old }(KeptTexts)
	for _, KeptTexts = range []int{4, 3} { // bytes; all texts are 4
		c, err := LoadRetrieval(dir, Test)
		if err != nil {
			t.Fatal(err)
		}
		if kept := c.texts != nil; kept != (KeptTexts == 4) {
			t.Errorf("texts of 4 bytes are kept: %v, where %d may be", kept, KeptTexts)
		}
		got := fmt.Sprint(c.IDs, c.Queries, len(c.Files))
		for text, err := range c.Documents() {
			got += fmt.Sprintf(" %q %v", text, err)
		}
		if want := `[d1 2] [{q2 Y map[0:2 1:0]}] 3 "T A" <nil> "B" <nil>`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for range c.Documents() { // no more are wanted
			break
		}
	}
	if _, err := LoadRetrieval(dir, Dev); err == nil || !strings.Contains(err.Error(), "qrels/dev.tsv") {
		t.Errorf("a split that is not there: %v", err)
	}
}

func FuzzQrels(f *testing.F) {
	f.Add([]byte("query-id\tcorpus-id\tscore\nq1\td1\t1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for name, text := range map[string]string{"corpus.jsonl": `{"_id": "d1", "text": "A"}`, "queries.jsonl": `{"_id": "q1", "text": "X"}`, "qrels/dev.tsv": string(data)} {
			path := filepath.Join(dir, name)
			_ = os.MkdirAll(filepath.Dir(path), 0o777)
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := LoadRetrieval(dir, Dev); err == nil && len(c.Queries) != 1 {
			t.Errorf("%d queries", len(c.Queries))
		}
	})
}
