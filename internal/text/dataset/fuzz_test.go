package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"albert/internal/files/stream"
	"albert/internal/model"
)

// fuzzText reads data as a file of some name for each task and split, and holds what comes out to what the fields promise.
func fuzzText(t *testing.T, data []byte, name string, tasks ...string) {
	for _, task := range tasks {
		for _, split := range []Split{Train, Test} {
			r, err := newReader(taskNamed(t, task), split, Options{})
			if err != nil {
				t.Fatal(err)
			}
			read := func(in *input) error {
				switch k := &r.set.Task; {
				case k.glue != nil:
					return r.glue(in)
				case k.Name == "race":
					return r.passages(in)
				case k.Kind == model.Answer:
					return r.table(in, r.answerRow)
				case k.Kind == model.Tag:
					return r.table(in, r.tagRow)
				case k.Kind == model.Choice:
					return r.table(in, r.choiceRow)
				case k.Kind == model.Rank:
					return r.table(in, r.rankRow)
				}
				return r.table(in, r.textRow)
			}
			if err := r.unpack(name, bytes.NewReader(data), stream.BufferSize, read); err != nil {
				if err.Error() == "" {
					t.Fatal("an error without words")
				}
				continue
			}
			if r.finish() != nil {
				continue
			}
			for _, e := range r.set.Examples {
				checkExample(t, r.set, &e)
			}
		}
	}
}

func checkExample(t *testing.T, s *Set, e *Example) {
	t.Helper()
	fail := func(what string) { t.Fatalf("%s: %+v", what, e) }
	for _, text := range append([]string{e.Text, e.Pair, e.Context, e.Question}, append(e.Words, e.Choices...)...) {
		if !utf8.ValidString(text) || len(text) > maxField {
			fail("text")
		}
	}
	labels := len(s.Labels)
	if s.Task.Kind == model.Choice {
		labels = len(e.Choices)
	}
	if e.Label < -1 || e.Label >= labels || s.Split == Train && e.Label < 0 && (s.Task.Kind == model.Classify || s.Task.Kind == model.Choice) {
		fail("label")
	}
	for i, l := range e.Labels {
		if l < 0 || l >= len(s.Labels) || s.Task.Kind == model.MultiLabel && i > 0 && l <= e.Labels[i-1] {
			fail("labels")
		}
	}
	if s.Task.Kind == model.Tag && e.Labels != nil && len(e.Labels) != len(e.Words) {
		fail("tags")
	}
	runes := []rune(e.Context)
	for _, a := range e.Answers {
		if a.Start < 0 || a.End > len(runes) || a.End <= a.Start || a.Exact && string(runes[a.Start:a.End]) != a.Text {
			fail("answer")
		}
	}
	if s.Split == Train && s.Task.Kind == model.Answer && (len(e.Answers) == 0) != e.Impossible {
		fail("impossible")
	}
	if s.Task.Kind == model.Rank && (!e.HasPair || e.Score < 0 || e.Score > 1 || s.Split == Train && e.Score != e.Score) {
		fail("label of a pair")
	}
	if e.Line < 1 {
		fail("line")
	}
}

func FuzzTSV(f *testing.F) {
	f.Add([]byte("text\tlabel\nA\tx\nB\ty|z\n"))
	f.Add([]byte("\ufeffsentence1\tsentence2\tscore\r\nA\tB\t1.5\r\n"))
	f.Add([]byte("index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n"))
	f.Add([]byte("src\t1\t\tA b.\nsrc\t0\t*\tB a.\n"))
	f.Add([]byte("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWhat?\tWhich\nbroken?\t0\n2\t1\t2\tWho?\tWhom?\t1\n"))
	f.Add([]byte(mnliHeader + "\tgold_label\n9\tp\tq\tg\ta\tb\tc\td\tA.\tB.\t-\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzText(t, data, "a.tsv", "rerank", "classify", "multilabel", "regress", "cola", "rte", "qqp", "mnli", "stsb")
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("text,label\n\"a, \"\"b\"\"\nc\",x\nd,y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzText(t, data, "a.csv", "classify", "multilabel", "regress", "embed", "rerank")
	})
}

func FuzzCoNLL(f *testing.F) {
	f.Add([]byte("-DOCSTART- -X- O\n\nAnn NNP B-PER\nruns VBZ O\n\nBob NNP B-PER\n"))
	f.Add([]byte("New York\tB\nis\tO\n"))
	f.Add([]byte("# id 1 x\n# O X O\nAnn _ _ O\n\n# global.columns = ID FORM\n1-2\tA\t_\t_\n"))
	f.Add([]byte("# global.columns = FORM\na\tO\n"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzText(t, data, "a.conll", "tag") })
}

func FuzzSQuAD(f *testing.F) {
	f.Add([]byte(squadOf("Zoë met Émile.", `{"id": "a", "question": "Who?", "answers": [{"text": "Émile", "answer_start": 8, "start_exact": false}], "is_impossible": false}`)))
	f.Add([]byte(`{"id": "1", "context": "A b.", "question": "?", "answers": {"text": ["b"], "answer_start": [2]}}`))
	f.Add([]byte(`{"data": [{"context": "A b.", "question": "?", "answers": {"text": " b", "answer_start": -1}}, {"context": "", "qas": [{"question": ""}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzText(t, data, "a.json", "squad1", "squad2") })
}

func FuzzRACE(f *testing.F) {
	f.Add([]byte(raceMiddle + "\n" + raceHigh + "\n" + raceNone))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzText(t, data, "a.txt", "race") })
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"text": "A", "label": "x", "id": 1}` + "\n" + `{"text": "B", "text_pair": "C", "label": "y"}`))
	f.Add([]byte(`[{"text": "A", "labels": ["x", "y"]}, {"text": "B", "labels": []}]`))
	f.Add([]byte(`{"query": "A", "document": "B", "label": 0.5}` + "\n" + `{"question": "A", "answer": "B", "label": true}`))
	f.Add([]byte(`{"tokens": ["a", "b"], "ner_tags": [1, 0]}`))
	f.Add([]byte(`{"context": "C", "question": "Q", "choices": ["a", "b"], "label": 1}`))
	f.Add([]byte(`{"anchor": "A", "positive": "B", "negative": "C", "negative_2": null}` + "\n" + `{"text": "A", "target": [1, 2.5]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzText(t, data, "a.jsonl", "classify", "multilabel", "regress", "tag", "choice", "embed", "rerank")
	})
}

func FuzzParquet(f *testing.F) {
	type text struct {
		Text  string   `parquet:"text"`
		Label []string `parquet:"labels,list"`
	}
	f.Add([]byte(parquetOf(f, "", text{"A", []string{"x"}}, text{"B", nil})))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.parquet")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Read(taskNamed(t, "multilabel"), Train, []string{path}, Options{})
		if err != nil {
			return
		}
		for _, e := range s.Examples {
			checkExample(t, s, &e)
		}
	})
}
