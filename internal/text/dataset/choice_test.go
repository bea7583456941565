package dataset

import "testing"

// Questions with choices are read under the names that they are published with.
func TestPublishedChoices(t *testing.T) {
	for name, c := range map[string]struct {
		task, file, text string
		want             []string
	}{
		"RACE": {"choice", "a.jsonl", `{"example_id": "high1.txt", "article": "C", "question": "Q", "options": ["a", "b"], "answer": "B"}
{"example_id": "high1.txt", "article": "C", "question": "R", "options": ["c", "d"], "answer": "A"}`,
			[]string{"1 id=high1.txt-0 label=1 context=C question=Q choices=a|b", "2 id=high1.txt-1 label=0 context=C question=R choices=c|d"}},
		"RACE's task": {"race", "a.jsonl", `{"example_id": "high1.txt", "article": "C", "question": "Q", "options": ["a", "b"], "answer": "B"}`,
			[]string{"1 id=high1.txt-0 label=1 context=C question=Q choices=a|b"}},
		"RACE, list": {"race", "a.json", `[{"example_id": "high1.txt", "article": "C", "question": "Q", "options": ["a", "b"], "answer": "B"}]`,
			[]string{"1 id=high1.txt-0 label=1 context=C question=Q choices=a|b"}},
		"SWAG": {"choice", "a.jsonl", `{"video-id": "v", "sent1": "C.", "sent2": "She", "ending0": "a", "ending1": "b", "ending2": "c", "ending3": "d", "label": 2}`,
			[]string{"1 label=2 context=C. question=She choices=a|b|c|d"}},
		"SWAG, CSV": {"choice", "train.csv", ",video-id,sent1,sent2,ending0,ending1,label\n0,v,C.,She,a,b,1\n", []string{"2 label=1 context=C. question=She choices=a|b"}},
		"HellaSwag": {"choice", "a.jsonl", `{"ind": 4, "ctx_a": "C.", "ctx_b": "she", "ctx": "C. she", "endings": ["a", "b"], "label": "1"}`,
			[]string{"1 id=4 label=1 context=C. she choices=a|b"}},
		"halves of a context": {"choice", "a.jsonl", `{"ctx_a": "C.", "ctx_b": "she", "endings": ["a", "b"], "label": 1}`, []string{"1 label=1 context=C. question=she choices=a|b"}},
		"CommonsenseQA": {"choice", "a.jsonl", `{"id": "x", "question": "Q", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": "B"}`,
			[]string{"1 id=x label=1 question=Q choices=a|b"}},
		"CommonsenseQA as its authors have it": {"choice", "a.jsonl", `{"id": "x", "answerKey": "A", "question": {"stem": "Q", "choices": [{"label": "B", "text": "a"}, {"label": "A", "text": "b"}]}}`,
			[]string{"1 id=x label=1 question=Q choices=a|b"}},
		"ARC":             {"choice", "a.jsonl", `{"id": "x", "question": "Q", "choices": {"label": ["1", "2"], "text": ["a", "b"]}, "answerKey": "1"}`, []string{"1 id=x label=0 question=Q choices=a|b"}},
		"columns from 1":  {"choice", "a.csv", "premise,choice1,choice2,label\nC,a,b,0\n", []string{"2 label=0 context=C choices=a|b"}},
		"ids of one text": {"choice", "a.jsonl", `{"id": "t", "context": "C", "question": "Q", "choices": ["a", "b"], "label": 0}{"id": "t", "context": "C", "question": "R", "choices": ["a", "b"], "label": 0}`, []string{"1 id=t label=0 context=C question=Q choices=a|b", "1 id=t-1 label=0 context=C question=R choices=a|b"}},
	} {
		t.Run(name, func(t *testing.T) { wantExamples(t, mustRead(t, c.task, Train, c.file, c.text, Options{}), c.want...) })
	}
	type row struct {
		ID       string   `parquet:"example_id"`
		Article  string   `parquet:"article"`
		Question string   `parquet:"question"`
		Options  []string `parquet:"options,list"`
		Answer   string   `parquet:"answer"`
	}
	rows := parquetOf(t, "", row{"middle1.txt", "C", "Q", []string{"a", "b"}, "B"}, row{"high1.txt", "D", "Q", []string{"a", "b"}, "A"})
	wantExamples(t, mustRead(t, "race", Train, "a.parquet", rows, Options{}),
		"1 id=middle1.txt-0 label=1 context=C question=Q choices=a|b", "2 id=high1.txt-0 label=0 context=D question=Q choices=a|b")
	wantExamples(t, mustRead(t, "race", Train, "a.parquet", rows, Options{Level: "high"}), "2 id=high1.txt-0 label=0 context=D question=Q choices=a|b")
	type asked struct {
		Question string `parquet:"question"`
		Choices  struct {
			Label []string `parquet:"label,list"`
			Text  []string `parquet:"text,list"`
		} `parquet:"choices"`
		Key string `parquet:"answerKey"`
	}
	q := asked{Question: "Q", Key: "B"}
	q.Choices.Label, q.Choices.Text = []string{"A", "B"}, []string{"a", "b"}
	wantExamples(t, mustRead(t, "choice", Train, "a.parquet", parquetOf(t, "", q), Options{}), "1 label=1 question=Q choices=a|b")
	_, err := readText(t, "choice", Train, "a.jsonl", `{"id": "t", "context": "C", "choices": ["a", "b"], "label": 0}{"id": "t", "context": "D", "choices": ["a", "b"], "label": 0}`, Options{})
	wantError(t, err, "the id t was used before")
}
