package dataset

import (
	"bytes"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestTexts(t *testing.T) {
	for _, c := range []struct {
		name, task, file, text string
		o                      Options
		want                   []string
	}{
		{"quotes of TSV are characters", "classify", "a.tsv", "id\ttext\tlabel\nx\t\"so\" it \"is\t1\n", Options{}, []string{`2 id=x text="so" it "is label=1`}},
		{"quotes of CSV part fields", "classify", "a.csv", "label,text\nyes,\"a, \"\"b\"\"\nc\"\nno,d\n", Options{}, []string{"2 text=a, \"b\"\nc label=yes", "4 text=d label=no"}},
		{"pairs", "classify", "a.tsv", "sentence1\tsentence2\tlabel\nA\tB\t1\n", Options{}, []string{"2 text=A pair=B label=1"}},
		{"question and sentence", "classify", "a.tsv", "question\tsentence\tlabel\nA\tB\t1\n", Options{}, []string{"2 text=A pair=B label=1"}},
		{"chosen columns", "classify", "a.csv", "text,body,note,kind\nA,B,C,1\n", Options{TextColumn: "body", PairColumn: "note", LabelColumn: "kind"},
			[]string{"2 text=B pair=C label=1"}},
		{"one column chosen: no pair is assumed", "classify", "a.csv", "text,text_pair,label\nA,B,1\n", Options{TextColumn: "text"}, []string{"2 text=A label=1"}},
		{"no header", "classify", "a.tsv", "A\tx\nB\ty\n", Options{TextColumn: "1", LabelColumn: "2"}, []string{"1 text=A label=x", "2 text=B label=y"}},
		{"no header, CSV", "classify", "a.csv", "A,x\n", Options{TextColumn: "1", LabelColumn: "2"}, []string{"1 text=A label=x"}},
		{"JSON lines", "classify", "a.jsonl", "{\"text\": \"A\", \"label\": true, \"idx\": 3}\n\n{\"text\": \"B\", \"text_pair\": null, \"label\": false}\n", Options{},
			[]string{"1 id=3 text=A label=true", "3 text=B label=false"}},
		{"a list over several lines", "classify", "a.json", "[\n{\"text\": \"A\",\n\"text_pair\": \"B\", \"label\": 1.0},\n{\"text\": \"C\", \"label\": 2}\n]\n", Options{},
			[]string{"2 text=A pair=B label=1", "4 text=C label=2"}},
		{"JSON by content", "classify", "a.data", "{\"text\": \"A\", \"label\": \"x\"}", Options{}, []string{"1 text=A label=x"}},
		{"lists of labels", "classify", "a.jsonl", `{"text": "A", "labels": ["y", "x"]}` + "\n" + `{"text": "B", "labels": []}`, Options{},
			[]string{"1 text=A labels=x|y", "2 text=B labels="}},
		{"bars between labels", "classify", "a.tsv", "text\tlabels\nA\ty| x|y\nB\t\nC\tx\n", Options{Multi: true}, []string{"2 text=A labels=x|y", "3 text=B labels=", "4 text=C labels=x"}},
		{"the task multilabel", "multilabel", "a.csv", "text,label\nA,y|x\n", Options{}, []string{"2 text=A labels=x|y"}},
		{"a bar is no separator for one label", "classify", "a.tsv", "text\tlabel\nA\ty|x\n", Options{}, []string{"2 text=A label=y|x"}},
		{"scores", "regress", "a.tsv", "text\tscore\nA\t-1.5e0\n", Options{}, []string{"2 text=A score=-1.5"}},
		{"scores called labels", "regress", "a.jsonl", `{"text": "A", "text_pair": "", "label": 2}`, Options{}, []string{"1 text=A pair= score=2"}},
		{"choices", "choice", "a.jsonl", `{"id": "q", "context": "C", "question": "Q", "choices": ["a", "b"], "label": 1}` + "\n" + `{"question": "Q", "choices": ["a", "b"], "label": "A"}`,
			Options{}, []string{"1 id=q label=1 context=C question=Q choices=a|b", "2 label=0 question=Q choices=a|b"}},
		{"tags", "tag", "a.jsonl", `{"tokens": ["Ann", "runs"], "tags": ["B-PER", "O"]}` + "\n" + `{"words": ["x"], "ner_tags": [3]}`, Options{},
			[]string{"1 words=Ann|runs labels=B-PER|O", "2 words=x labels=3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantExamples(t, mustRead(t, c.task, Train, c.file, c.text, c.o), c.want...)
		})
	}
}

func TestEmptyTextIsTold(t *testing.T) {
	s := mustRead(t, "classify", Train, "a.tsv", "text\tlabel\n\t1\nb\t0\n", Options{})
	if s.Examples[0].Text != "" || len(s.Notes) != 1 || s.Notes[0] != "1 of 2 examples have an empty text" {
		t.Errorf("%+v, %q", s.Examples[0], s.Notes)
	}
}

func TestUnlabelledTest(t *testing.T) {
	for file, text := range map[string]string{"a.tsv": "text\nA\n", "b.tsv": "text\tlabel\nA\t\n", "c.jsonl": `{"text": "A", "label": -1}`, "d.jsonl": `{"text": "A", "label": null}`} {
		s := mustRead(t, "classify", Test, file, text, Options{Labels: []string{"x", "y"}})
		if e := s.Examples[0]; e.Text != "A" || e.Label != -1 {
			t.Errorf("%s: %+v", file, e)
		}
	}
	s := mustRead(t, "tag", Test, "a.conll", "Ann\nruns\n\nAgain\n", Options{})
	wantExamples(t, s, "1 words=Ann|runs", "4 words=Again")
}

func TestCoNLL(t *testing.T) {
	want := []string{"3 words=Ann|runs labels=B-PER|O", "6 words=Bob labels=B-PER"}
	wantExamples(t, mustRead(t, "tag", Train, "a.txt", "-DOCSTART- -X- O\n\nAnn NNP B-PER\nruns VBZ O\n\nBob NNP B-PER\n", Options{}), want...)
	wantExamples(t, mustRead(t, "tag", Train, "eng.train", "-DOCSTART- -X- O\n \nAnn  NNP B-PER \r\nruns VBZ O\r\n\r\nBob NNP B-PER", Options{}), want...)
	s := mustRead(t, "tag", Train, "a.conll", "1\tNew York\tX\tB\n2\tis\tY\tO\n", Options{TextColumn: "2", LabelColumn: "3"})
	wantExamples(t, s, "1 words=New York|is labels=X|Y")
	if !slices.Equal(s.Labels, []string{"X", "Y"}) {
		t.Errorf("labels %q", s.Labels)
	}
}

// Lines before a sentence's first word that begin with # are comments where they cannot be rows.
func TestCoNLLComments(t *testing.T) {
	want := []string{"2 words=anna|sings labels=B-PER|O", "6 words=#|berlin labels=O|B-LOC", "9 words=#now labels=B-T"}
	s := mustRead(t, "tag", Train, "a.conll", "# id 1 domain=en\nanna _ _ B-PER\nsings _ _ O\n\n# id 2 domain=en\n# _ _ O\nberlin _ _ B-LOC\n\n#now _ _ B-T\n\n# end\n", Options{})
	wantExamples(t, s, want...)
	if !slices.Equal(s.Labels, []string{"B-LOC", "B-PER", "B-T", "O"}) {
		t.Errorf("labels %q", s.Labels)
	}
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "a.conll: 2 lines that begin with # are taken for comments") || !strings.Contains(s.Notes[0], "line 1)") {
		t.Errorf("notes %q", s.Notes)
	}
	s = mustRead(t, "tag", Dev, "a.tsv", "# newdoc 7\n#\tSYM\n1\tNUM\n", Options{Labels: []string{"NUM", "SYM"}})
	wantExamples(t, s, "2 words=#|1 labels=SYM|NUM")
	s = mustRead(t, "tag", Train, "a.conll", "#a O\n\n#b B-X\n", Options{}) // no other line tells how many columns there are
	wantExamples(t, s, "1 words=#a labels=O", "3 words=#b labels=B-X")
}

// CoNLL-U's words are FORM and their tags UPOS, or columns chosen by number or name; ranges and empty nodes are no words.
func TestCoNLLU(t *testing.T) {
	row := func(id, form, upos, xpos string) string {
		return strings.Join([]string{id, form, "_", upos, xpos, "_", "_", "_", "_", "_"}, "\t") + "\n"
	}
	text := "# sent_id = 1\n" + row("1-2", "don't", "_", "_") + row("1", "do", "AUX", "VB") + row("2", "n't", "PART", "RB") + row("2.1", "sing", "VERB", "VB") +
		"\n# text = #\n" + row("1", "#", "SYM", "NN")
	for name, o := range map[string]Options{"a.conllu": {}, "a.conll": {LabelColumn: "4"}, "a.txt": {TextColumn: "form", LabelColumn: "upos"}} {
		s := mustRead(t, "tag", Train, name, text, o)
		wantExamples(t, s, "3 words=do|n't labels=AUX|PART", "8 words=# labels=SYM")
		if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "2 rows of CoNLL-U left out") {
			t.Errorf("notes %q", s.Notes)
		}
	}
	wantExamples(t, mustRead(t, "tag", Train, "a.conllu", text, Options{LabelColumn: "5"}), "3 words=do|n't labels=VB|RB", "8 words=# labels=NN")
	plus := "# global.columns = ID FORM UPOS MWE\n1\tdo\tAUX\t*\n"
	wantExamples(t, mustRead(t, "tag", Train, "a.conllup", plus, Options{}), "2 words=do labels=AUX")
	wantExamples(t, mustRead(t, "tag", Train, "a.conllup", plus, Options{LabelColumn: "MWE"}), "2 words=do labels=*")
	wantExamples(t, mustRead(t, "tag", Test, "a.conllu", row("1", "do", "_", "_"), Options{}), "1 words=do")
	_, err := readText(t, "tag", Train, "a.conllu", row("1", "do", "_", "VB"), Options{})
	wantError(t, err, "a.conllu:1", `"do"`, "UPOS", "--label-column")
	_, err = readText(t, "tag", Train, "a.conllu", text, Options{LabelColumn: "ner"})
	wantError(t, err, `no column "ner"`, `"XPOS"`)
	for _, names := range []string{"FORM", "ID FORM UPOS", "A B C ID"} { // fewer and more than a row has
		_, err = readText(t, "tag", Train, "a.conllup", "# global.columns = "+names+"\na\tO\n", Options{})
		wantError(t, err, "a.conllup:2", "2 columns, where there should be "+strconv.Itoa(len(strings.Fields(names))))
	}
}

func TestOwnErrors(t *testing.T) {
	for _, c := range []struct {
		task, file, text string
		o                Options
		want             []string
	}{
		{"classify", "a.tsv", "A film.\t1\nB\t0\n", Options{}, []string{"a.tsv:2: no column for the text", `"1", "A film."`, "--text-column 1 --label-column 2"}},
		{"classify", "a.tsv", "text\tkind\nA\t0\n", Options{}, []string{"a.tsv:2: no column for the label", `"kind", "text"`, "--label-column"}},
		{"classify", "a.tsv", "text\tkind\nA\t0\n", Options{LabelColumn: "sort"}, []string{`no column "sort"`, `"kind", "text"`}},
		{"classify", "a.tsv", "text\tlabel\nA\t0\nB\n", Options{}, []string{"a.tsv:3: 1 columns, where there are 2", `"text", "label"`}},
		{"classify", "a.tsv", "text\tlabel\nA\t0\nB\tC\t1\n", Options{}, []string{"a.tsv:3: 3 columns"}},
		{"classify", "a.tsv", "text\tlabel\ttext\nA\t0\tB\n", Options{}, []string{`a.tsv:1: two columns are called "text"`}},
		{"classify", "a.tsv", "text\tlabel\nA\t \n", Options{}, []string{"a.tsv:2:", "no label"}},
		{"classify", "a.tsv", "text\tlabel\nA\t1\nB\t-\n", Options{}, []string{"a.tsv:3:", `no label ("-")`}},
		{"classify", "a.csv", "text,label\n\"A,0\nB,1\n", Options{}, []string{"a.csv:3: CSV", "begins in line 2"}},
		{"classify", "a.csv", "text,label\nA \"b\" c,0\n", Options{}, []string{"a.csv:2: CSV"}},
		{"classify", "a.jsonl", `{"text": "A", "label": "x"}` + "\n" + `{"text": "B", "label": "y"` + "\n" + `{"text": "C", "label": "x"}`, Options{}, []string{"a.jsonl:2: broken JSON, seen in line 3"}},
		{"classify", "a.jsonl", `{"text": "A", "label": "x"}` + "\n" + `{"text": "B", "label": "y"`, Options{}, []string{"a.jsonl:2: broken JSON: the file ends"}},
		{"classify", "a.jsonl", `{"text": "A", "label": "x"}` + "\n3\n", Options{}, []string{"a.jsonl:2: a number, where an object is wanted"}},
		{"classify", "a.json", "[{\"text\": \"A\", \"label\": \"x\"}\n", Options{}, []string{"broken JSON: the file ends"}},
		{"classify", "a.json", "[{\"text\": \"A\", \"label\": \"x\"}\n{}]", Options{}, []string{"a.json:2: broken JSON"}},
		{"classify", "a.json", "[{\"text\": \"A\", \"label\": \"x\"}]\n{}", Options{}, []string{"a.json:2:", "something follows"}},
		{"classify", "a.jsonl", `{"text": 3, "label": "x"}`, Options{}, []string{`a.jsonl:1: column "text" is not a string`}},
		{"classify", "a.jsonl", `{"text": "A", "label": null}`, Options{}, []string{`a.jsonl:1: column "label" has no label`}},
		{"classify", "a.jsonl", `{"text": "A", "label": "x"}` + "\n" + `{"text": "A", "label": ["x"]}`, Options{}, []string{"a.jsonl:2:", "is a list, where it was one label"}},
		{"multilabel", "a.jsonl", `{"text": "A", "labels": ["x", ""]}`, Options{}, []string{"a.jsonl:1:", "no label"}},
		{"regress", "a.tsv", "text\tscore\nA\thigh\n", Options{}, []string{`a.tsv:2: column "score": the score "high" is not a number`}},
		{"regress", "a.tsv", "text\tscore\nA\t\n", Options{}, []string{"a.tsv:2:", "no score"}},
		{"regress", "a.jsonl", `{"text": "A", "score": [1]}`, Options{}, []string{"is not a number"}},
		{"tag", "a.conll", "Ann NNP O\nruns O\n", Options{}, []string{"a.conll:2: 2 columns, where there were 3"}},
		{"tag", "a.conll", "Ann\n", Options{}, []string{"a.conll:1: one column"}},
		{"tag", "a.conll", "Ann O\nruns X\n", Options{Labels: []string{"O", "Y"}}, []string{`a.conll:2: word "runs": label "X"`, `"O", "Y"`}},
		{"tag", "a.conll", "Ann O\n", Options{LabelColumn: "3"}, []string{"a.conll:1: no column 3"}},
		{"tag", "a.conll", "Ann O\n", Options{LabelColumn: "ner"}, []string{"by number"}},
		{"tag", "a.jsonl", `{"tokens": ["a", "b"], "tags": ["O"]}`, Options{}, []string{"a.jsonl:1: 2 words and 1 tags"}},
		{"tag", "a.jsonl", `{"tokens": "a b", "tags": ["O"]}`, Options{}, []string{`no column "tokens" that is a list`}},
		{"tag", "a.jsonl", `{"text": "a b", "tags": ["O"]}`, Options{}, []string{"no column for the words", `"tags", "text"`}},
		{"choice", "a.jsonl", `{"context": "C", "choices": ["a", "b"], "label": 2}`, Options{}, []string{"a.jsonl:1: the right choice is 2; there are 2"}},
		{"choice", "a.jsonl", `{"context": "C", "choices": ["a", "b"], "label": "second"}`, Options{}, []string{`"second" is neither the index`}},
		{"choice", "a.jsonl", `{"context": "C", "choices": ["a"], "label": 0}`, Options{}, []string{"1 choices; there must be two"}},
		{"choice", "a.jsonl", `{"context": "C", "choices": ["a", "b"]}`, Options{}, []string{"no column for the label"}},
		{"choice", "a.jsonl", `{"choices": ["a", "b"], "label": 0}`, Options{}, []string{"neither a context nor a question"}},
		{"choice", "a.tsv", "context\tchoices\nC\ta|b\n", Options{}, []string{`no column "choices" that is a list, nor ending0, ending1`}},
		{"squad1", "a.tsv", "context\tquestion\n", Options{}, []string{"answer data is JSON or Parquet, not tsv"}},
		{"regress", "a.tsv", "text\tscore\nA\t1\n", Options{Multi: true}, []string{"cannot have several labels"}},
		{"classify", "a.tsv", "text\tlabel\nA\t1\n", Options{Labels: []string{"1", "1"}}, []string{`"1" is given twice`}},
	} {
		_, err := readText(t, c.task, Train, c.file, c.text, c.o)
		wantError(t, err, c.want...)
	}
}

func TestOwnFolders(t *testing.T) {
	dir := write(t, "train.jsonl.gz", "", "validation.csv", "", "trainer.log", "", "test-00000-of-00002.parquet", "", "test-00001-of-00002.parquet", "")
	for split, want := range map[Split][]string{Train: {"train.jsonl.gz"}, Dev: {"validation.csv"}, Test: {"test-00000-of-00002.parquet", "test-00001-of-00002.parquet"}} {
		files, err := Files(taskNamed(t, "classify"), dir, split)
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		if err != nil || !slices.Equal(files, want) {
			t.Errorf("%s: %q, %v", split, files, err)
		}
	}
	_, err := Files(taskNamed(t, "classify"), write(t, "dev.tsv", "", "dev.csv", ""), Dev)
	wantError(t, err, "several files could be the dev set of classify")
	_, err = Files(taskNamed(t, "classify"), write(t, "dev.tsv", ""), Train)
	wantError(t, err, "no file train.tsv")
	files, err := Files(taskNamed(t, "tag"), write(t, "eng.testa", "", "eng.train", ""), Dev)
	if err != nil || filepath.Base(files[0]) != "eng.testa" {
		t.Errorf("%q, %v", files, err)
	}
}

// parquetOf writes rows and, as Hugging Face does, the names of classes.
func parquetOf[T any](t testing.TB, features string, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if features != "" {
		w.SetKeyValueMetadata("huggingface", `{"info": {"features": `+features+`}}`)
	}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestParquet(t *testing.T) {
	type pair struct {
		S1    string `parquet:"sentence1"`
		S2    string `parquet:"sentence2"`
		Label int64  `parquet:"label"`
		Idx   int32  `parquet:"idx"`
	}
	s := mustRead(t, "classify", Train, "a.parquet", parquetOf(t, `{"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}`, pair{"A", "B", 1, 7}, pair{"C", "D", 0, 8}), Options{})
	wantExamples(t, s, "1 id=7 text=A pair=B label=yes", "2 id=8 text=C pair=D label=no")
	s = mustRead(t, "classify", Train, "a.parquet", parquetOf(t, "", pair{"A", "B", 1, 7}), Options{})
	wantExamples(t, s, "1 id=7 text=A pair=B label=1")
	type tagged struct {
		Tokens []string `parquet:"tokens,list"`
		Tags   []int64  `parquet:"ner_tags,list"`
	}
	s = mustRead(t, "tag", Train, "a.parquet", parquetOf(t, `{"ner_tags": {"feature": {"names": ["O", "B-PER"]}}}`, tagged{[]string{"Ann", "runs"}, []int64{1, 0}}, tagged{}), Options{})
	wantExamples(t, s, "1 words=Ann|runs labels=B-PER|O", "2 words= labels=")
	type scored struct {
		Text  string  `parquet:"text"`
		Score float32 `parquet:"score"`
		Pair  *string `parquet:"text_pair,optional"`
	}
	s = mustRead(t, "regress", Train, "a.parquet", parquetOf(t, "", scored{"A", 0.5, nil}), Options{})
	wantExamples(t, s, "1 text=A score=0.5")
	type asked struct {
		ID       string `parquet:"id"`
		Context  string `parquet:"context"`
		Question string `parquet:"question"`
		Answers  struct {
			Text  []string `parquet:"text,list"`
			Start []int32  `parquet:"answer_start,list"`
		} `parquet:"answers"`
	}
	q := asked{ID: "q", Context: "A b.", Question: "?"}
	q.Answers.Text, q.Answers.Start = []string{"b"}, []int32{2}
	s = mustRead(t, "squad1", Train, "a.parquet", parquetOf(t, "", q), Options{})
	wantExamples(t, s, "1 id=q context=A b. question=? answers=[{b 2 3 true}]")
	type chosen struct {
		Article string   `parquet:"article"`
		Options []string `parquet:"options,list"`
		Answer  string   `parquet:"answer"`
	}
	s = mustRead(t, "choice", Train, "a.parquet", parquetOf(t, "", chosen{"A", []string{"x", "y"}, "B"}), Options{})
	wantExamples(t, s, "1 label=1 context=A choices=x|y")

	_, err := readText(t, "classify", Train, "a.parquet", parquetOf(t, "", scored{"A\xff", 0.5, nil}), Options{LabelColumn: "score"})
	wantError(t, err, `a.parquet:1: column "text": not UTF-8`)
	whole := parquetOf(t, "", pair{"A", "B", 1, 7})
	_, err = readText(t, "classify", Train, "a.parquet", whole[:len(whole)-9], Options{})
	wantError(t, err, "a.parquet: Parquet:")
	_, err = readText(t, "classify", Train, "a.parquet.gz", zipped(whole), Options{})
	wantError(t, err, "Parquet, which is read unpacked")
}

// Nothing of a long file is lost between the batches that rows are read in.
func TestParquetManyRows(t *testing.T) {
	type text struct {
		Text  string `parquet:"text"`
		Label string `parquet:"label"`
	}
	rows := make([]text, 1000)
	for i := range rows {
		rows[i] = text{strings.Repeat("x", i), "abc"[i%3 : i%3+1]}
	}
	s := mustRead(t, "classify", Train, "a.parquet", parquetOf(t, "", rows...), Options{})
	if len(s.Examples) != len(rows) {
		t.Fatalf("%d rows", len(s.Examples))
	}
	for i, e := range s.Examples {
		if len(e.Text) != i || s.Labels[e.Label] != rows[i].Label || e.Line != i+1 {
			t.Fatalf("row %d: %+v", i, e)
		}
	}
}
