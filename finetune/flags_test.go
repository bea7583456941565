package finetune

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"albert/internal/text/dataset"
)

// shown writes what examples hold, whatever split they are of.
func shown(s *dataset.Set) string {
	var b strings.Builder
	for _, e := range s.Examples {
		var labels []string
		for _, l := range e.Labels {
			labels = append(labels, s.Labels[l])
		}
		fmt.Fprint(&b, e.Text, " ", e.Pair, " ", e.Context, " ", e.Question, " ", e.Words, " ", e.Score, " ", labels)
		if e.Label >= 0 && s.Labels != nil {
			fmt.Fprint(&b, " ", s.Labels[e.Label])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// writeTable writes two rows of strings under a header in the form of a file's ending.
func writeTable(t *testing.T, path string, names []string, rows ...[]string) {
	t.Helper()
	var text string
	switch filepath.Ext(path) {
	case ".csv", ".tsv":
		for _, r := range append([][]string{names}, rows...) {
			text += strings.Join(r, map[string]string{".csv": ",", ".tsv": "\t"}[filepath.Ext(path)]) + "\n"
		}
	case ".jsonl":
		for _, r := range rows {
			object := map[string]string{}
			for i, n := range names {
				object[n] = r[i]
			}
			line, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			text += string(line) + "\n"
		}
	case ".parquet":
		group := parquet.Group{}
		for _, n := range names {
			group[n] = parquet.String()
		}
		var b strings.Builder
		w := parquet.NewWriter(&b, parquet.NewSchema("row", group))
		for _, r := range rows {
			var row parquet.Row
			for i, n := range slices.Sorted(slices.Values(names)) { // as the columns of a group are
				row = append(row, parquet.ByteArrayValue([]byte(r[slices.Index(names, n)])).Level(0, 0, i))
			}
			if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Every flag that says how data is read holds for training, dev and test set, of every task and type of file that it is about, in fine-tuning and
// in evaluation. A flag of [Source] without a case here may be one that nobody reads.
func TestDataFlagsReachEverySplit(t *testing.T) {
	names := []string{"text", "text_pair", "label", "body", "more", "kind", "ending0", "ending1"}
	rows := [][]string{{"no", "no", "9", "Yes", "Aye", "0", "c", "d"}, {"no", "no", "9", "Yeah", "Yep", "1", "c", "d"}}
	columns := []string{".csv", ".tsv", ".jsonl", ".parquet"}
	passage := `{"id": "%s1", "article": "%s", "questions": ["Q"], "options": [["c", "d"]], "answers": ["A"]}` + "\n"
	raceRow := `{"example_id": "%s1", "article": "%s", "question": "Q", "options": ["c", "d"], "answer": "A"}` + "\n"
	type try struct {
		tasks, files []string
		text         string // of the file; "": the table
		change       func(c *Config)
		want, not    string // what the examples show
	}
	both := func(form string) string { return fmt.Sprintf(form+form, "middle", "Yes", "high", "No") }
	all := func(c *Config) { c.TextColumn, c.PairColumn, c.LabelColumn = "body", "more", "kind" }
	cases := map[string][]try{
		"TextColumn":  {{[]string{"classify", "multilabel", "regress", "choice", "rerank"}, columns, "", all, "Yes", "no"}, {[]string{"tag"}, []string{".conll"}, "no Yes O\nno Yeah B-X\n", func(c *Config) { c.TextColumn = "2" }, "[Yes Yeah]", "no"}, {[]string{"tag"}, []string{".jsonl"}, `{"tokens": ["no"], "body": ["Yes"], "tags": ["O"]}`, func(c *Config) { c.TextColumn = "body" }, "[Yes]", "no"}},
		"PairColumn":  {{[]string{"classify", "multilabel", "regress", "choice", "rerank"}, columns, "", all, "Aye", "no"}},
		"LabelColumn": {{[]string{"classify", "multilabel", "regress", "choice", "rerank"}, columns, "", all, "Aye", "9"}, {[]string{"tag"}, []string{".conll"}, "Yes Z O\nYeah Y B-X\n", func(c *Config) { c.LabelColumn = "2" }, "[Z Y]", "B-X"}, {[]string{"tag"}, []string{".jsonl"}, `{"tokens": ["Yes"], "kind": ["Z"], "tags": ["O"]}`, func(c *Config) { c.LabelColumn = "kind" }, "[Z]", "O"}},
		"Multi":       {{[]string{"classify"}, []string{".csv", ".tsv"}, "text|x\tlabel\nA\ta|b\nB\ta\n", func(c *Config) { c.Multi, c.TextColumn = true, "text|x" }, "[a b]", "a|b"}},
		"Level":       {{[]string{"race"}, []string{".txt", ".jsonl"}, both(passage), func(c *Config) { c.Level = "middle" }, "Yes", "No"}, {[]string{"race"}, []string{".txt", ".jsonl"}, both(raceRow), func(c *Config) { c.Level = "middle" }, "Yes", "No"}},
		"Delimiter": {{[]string{"classify", "regress"}, []string{".csv", ".tsv", ".txt"}, "text,x^label\nYes,\t;^1\nNo,^2\n", func(c *Config) { c.Delimiter, c.TextColumn, c.LabelColumn = "^", "text,x", "label" }, "Yes,\t;", "^"},
			{[]string{"rerank"}, []string{".csv", ".tsv", ".txt"}, "query^document^label\nYes,\t;^a^1\nNo,^b^0\n", func(c *Config) { c.Delimiter = "^" }, "Yes,\t;", "^"}},
		"Quotes": {{[]string{"classify", "regress"}, []string{".tsv", ".txt"}, "text\tlabel\n\"Yes\"\t1\nA\t2\n", func(c *Config) { c.Quotes = "none" }, `"Yes"`, "?"},
			{[]string{"rerank"}, []string{".tsv", ".csv"}, "query\tdocument\tlabel\n\"Yes\"\ta\t1\nA\tb\t0.5\n", func(c *Config) { c.Quotes = "none" }, `"Yes"`, "?"},
			{[]string{"classify", "regress"}, []string{".tsv", ".csv"}, "text\tlabel\n\"Yes\"\t1\nA \"B\"\t2\n", func(c *Config) { c.Quotes = "none" }, `A "B"`, "?"}},
	}
	source := reflect.TypeFor[Source]()
	for i := range source.NumField() {
		if name := source.Field(i).Name; name != "Data" && cases[name] == nil {
			t.Errorf("whether %s reaches every split is not tested", name)
		}
	}
	for field, list := range cases {
		for _, x := range list {
			for _, task := range x.tasks {
				for _, ending := range x.files {
					at := fmt.Sprintf("%s, %s, %s", field, task, ending)
					dir := t.TempDir()
					file := func(name string) []string {
						path := filepath.Join(dir, name+ending)
						if x.text == "" {
							writeTable(t, path, names, rows...)
						} else if err := os.WriteFile(path, []byte(x.text), 0o666); err != nil {
							t.Fatal(err)
						}
						return []string{path}
					}
					c := config(t, task, "m", filepath.Join(dir, "run"), splits{Train: file("train"), Dev: file("dev"), Test: file("test")})
					x.change(&c)
					j, err := newJob(c)
					if err != nil {
						t.Errorf("%s: %v", at, err)
						continue
					}
					got, err := j.read()
					if err != nil && !strings.Contains(err.Error(), "nothing to learn") {
						t.Errorf("%s: %v", at, err)
						continue
					}
					evaluated, err := load(named(t, task), c.Dev, dataset.Test, j.Data.Options)
					if err != nil {
						t.Errorf("%s: eval: %v", at, err)
						continue
					}
					for split, s := range map[string]*dataset.Set{"train": got.train, "dev": got.dev, "test": got.test, "eval": evaluated} {
						if text := shown(s); !strings.Contains(text, x.want) || strings.Contains(text, x.not) {
							t.Errorf("%s, %s: %q, want %q, not %q", at, split, text, x.want, x.not)
						}
					}
				}
			}
		}
	}
}
