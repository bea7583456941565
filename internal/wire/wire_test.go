package wire

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"albert/internal/infer"
)

// ask answers each question with its text's length; "bad" fails.
func ask(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) {
	return func(yield func(infer.Embedded, error) bool) {
		for x := range q {
			err := x.Err
			if x.Text == "bad" {
				err = errors.New("bad text")
			}
			if !yield(infer.Embedded{Vectors: [][]float32{{float32(len(x.Text))}}, Truncated: len(x.Text) > 5}, err) {
				return
			}
		}
	}, nil
}

// A line comes back for each line, in order, with its id or with what is wrong and where.
func TestLinesAreAnsweredInOrder(t *testing.T) {
	in := "a\n\n{\"text\": \"bcd\", \"id\": 7}\n{\"text\": 3, \"id\": \"x\"}\nbad\n{broken\nlonger text"
	want := `{"embedding":[1]}
{"embedding":[0]}
{"id":7,"embedding":[3]}
{"id":"x","error":"\"text\" is a number, want a text","line":4,"file":"f.txt"}
{"error":"bad text","line":5,"file":"f.txt"}
{"error":"broken JSON: invalid character 'b' looking for beginning of object key string","line":6,"file":"f.txt"}
{"truncated":true,"embedding":[11]}
`
	var out bytes.Buffer
	err := Answer(context.Background(), NewWriter(&out), Lines(strings.NewReader(in), "f.txt"), ask, Embedding)
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "3 texts could not be answered") {
		t.Error(err)
	}
}

// A list with an id becomes the result of an object.
func TestListsWithIDs(t *testing.T) {
	it := Parse(`{"text": "a", "id": [1]}`, "", 1)
	for want, value := range map[string]any{`{"id":[1],"result":[1,2]}`: []int{1, 2}, `{"id":[1]}`: struct{}{}, `{"id":[1],"a":"<"}`: map[string]string{"a": "<"}} {
		if got, err := answerLine(it, value, false, nil); string(got) != want || err != nil {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}

func TestPiecesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{"input_ids": [1, 2], "token_type_ids": [[0, 1]]}`:  "another shape",
		`{"input_ids": [[1]], "token_type_ids": [[0], [1]]}`: "another shape",
		`{"input_ids": "x"}`:                  `"input_ids" is not a list of whole numbers`,
		`{"input_ids": [1.5]}`:                `"input_ids" is not a list of whole numbers`,
		`{"input_ids": [[1], 2]}`:             "not a list of lists",
		`{"question": "q"}`:                   `"question" without "context"`,
		`{"choices": ["a", 3], "text": "b"}`:  `"choices" is not a list of texts`,
		`{"id": 3}`:                           `no field "text"`,
		`{"query": "q"}`:                      `"query" without "texts"`,
		`{"texts": ["a"]}`:                    `"texts" without "query"`,
		`{"query": 1, "texts": ["a"]}`:        `"query" is not a text`,
		`{"query": "q", "texts": "a"}`:        `"texts" is not a list of texts`,
		`{"query": "q", "texts": null}`:       `"texts" is not a list of texts`,
		`{"query": "q", "texts": ["a", 1]}`:   `"texts" is not a list of texts`,
		`{"query": "q", "texts": ["", null]}`: `element 1 is null`,
		`{"query": "q", "texts": []}`:         `"texts" is empty`,
	} {
		if it := Parse(text, "", 1); it.Err == nil || !strings.Contains(it.Err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, it.Err, want)
		}
	}
	it := Parse(`{"input_ids": [[2, 3], [2]]}`, "", 1)
	if it.Err != nil || !it.List || len(it.Pieces) != 2 || len(it.Pieces[0].Types) != 2 {
		t.Errorf("%+v", it)
	}
	it = Parse(`{"query": "q", "texts": ["a", ""], "id": 1}`, "", 1)
	if it.Err != nil || it.Text != "q" || len(it.Texts) != 2 || it.Texts[0] != "a" {
		t.Errorf("%+v", it)
	}
	it = Parse(`{"text": "a", "query": 5, "texts": {}}`, "", 1) // fields that nobody asked for
	if it.Err != nil || it.Text != "a" || it.Texts != nil {
		t.Errorf("%+v", it)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a text", `{"text": "a", "id": 1}`, `{"input_ids": [[1,2],[3]], "token_type_ids": [[0,1],[0]]}`, `{"question": "q", "context": "c", "choices": ["a"]}`,
		`{"query": "q", "texts": ["a"]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		it := Parse(line, "f", 3)
		if it.Err == nil && !it.List && len(it.Pieces) > 1 {
			t.Errorf("%d inputs of no list", len(it.Pieces))
		}
		for _, e := range it.Pieces {
			if it.Err == nil && e.IDs == nil && !it.List {
				t.Error("pieces without ids")
			}
		}
		if _, err := answerLine(it, []int{1}, true, it.Err); err != nil {
			t.Error(err)
		}
	})
}
