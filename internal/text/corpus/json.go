package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxValue bounds a value in JSON, and with it a row's text, which must be held whole: no book is as long.
const maxValue = 64 << 20

// isJSON tells by an input's beginning whether it is JSON: an object, or a list of objects.
func isJSON(head []byte) bool {
	const space = " \t\r\n"
	t := bytes.TrimLeft(head, space)
	if list, ok := bytes.CutPrefix(t, []byte("[")); ok {
		t = bytes.TrimLeft(list, space)
	}
	object, ok := bytes.CutPrefix(t, []byte("{"))
	if !ok {
		return false
	}
	object = bytes.TrimLeft(object, space)
	return len(object) == 0 || object[0] == '"' || object[0] == '}'
}

// jsonReader reads objects one after the other, however they are laid out in lines: JSONL, a list of rows, SQuAD, RACE.
type jsonReader struct {
	*reader
	t   *textReader
	dec *json.Decoder
}

func (r *reader) json(t *textReader) error {
	j := &jsonReader{reader: r, t: t, dec: json.NewDecoder(t)}
	inList := false
	for {
		token, err := j.token()
		switch {
		case err == io.EOF && !inList:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%s:%d: broken JSON: the file ends in the middle", t.name, t.lines.Line(j.dec.InputOffset()))
		case err != nil:
			return err
		case token == json.Delim('{'):
			err = j.object()
		case token == json.Delim('[') && !inList:
			inList = true
		case token == json.Delim(']'):
			inList = false
		default:
			err = fmt.Errorf("%s: not an object, as every row is", j.position())
		}
		if err != nil {
			return err
		}
	}
}

// position is the file and the line that is being read.
func (j *jsonReader) position() string {
	return fmt.Sprintf("%s:%d", j.t.name, j.t.lines.Line(j.dec.InputOffset()))
}

func (j *jsonReader) token() (json.Token, error) {
	j.advance()
	token, err := j.dec.Token()
	if err == io.EOF {
		return nil, err
	}
	return token, j.broken(err)
}

func (j *jsonReader) value(v any) error {
	j.advance()
	return j.broken(j.dec.Decode(v))
}

// advance allows for one more value.
func (j *jsonReader) advance() {
	at := j.dec.InputOffset()
	j.t.passed(at)
	j.t.limit = at + maxValue
}

// broken adds the line to a parser's error.
func (j *jsonReader) broken(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case j.t.err != nil && j.t.err != io.EOF: // the input's own
		return j.t.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s:%d: broken JSON: the file ends in the middle", j.t.name, j.t.lines.Line(j.t.offset))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: broken JSON: %w", j.t.name, j.t.lines.Line(syntax.Offset-1), err)
	}
	return fmt.Errorf("%s: %w", j.position(), err)
}

// passageColumns are the columns of SQuAD's and RACE's rows that hold passages, with one that tells them.
var passageColumns = []struct{ column, beside string }{{"article", "questions"}, {"article", "question"}, {"context", "question"}}

// columnOf chooses the column that holds the text. repeats tells that the same text may be in several rows, one for each question.
func (o *ReadOptions) columnOf(has func(string) bool) (column string, repeats bool) {
	if o.TextColumn != "" {
		return o.TextColumn, false
	}
	if !has("text") {
		for _, p := range passageColumns {
			if has(p.column) && has(p.beside) {
				return p.column, true
			}
		}
	}
	return "text", false
}

func noColumn(place, column string, have []string) error {
	slices.Sort(have)
	for i, n := range have {
		have[i] = fmt.Sprintf("%q", n)
	}
	return fmt.Errorf("%s: no column %q; there are %s: choose with --text-column", place, column, strings.Join(have, ", "))
}

// object reads what follows an opening brace: a row, or SQuAD's list of articles.
func (j *jsonReader) object() error {
	place := j.position()
	row := map[string]json.RawMessage{}
	var names []string
	squad := false
	for {
		token, err := j.token()
		if err == io.EOF {
			return j.broken(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			break // the closing brace
		}
		if name == "data" && j.o.TextColumn != "data" && !squad {
			if squad, err = j.articles(); err != nil {
				return err
			}
			names = append(names, name)
			continue
		}
		var raw json.RawMessage
		if err := j.value(&raw); err != nil {
			return err
		}
		names = append(names, name)
		if name == j.o.TextColumn || j.o.TextColumn == "" && (name == "text" || name == "article" || name == "context") {
			row[name] = raw
		}
	}
	if squad {
		return nil
	}
	column, repeats := j.o.columnOf(func(name string) bool { return slices.Contains(names, name) })
	raw, ok := row[column]
	if !ok {
		return noColumn(place, column, names)
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("%s: column %q is not a string", place, column)
	}
	if text == nil { // null
		j.counts.Empty++
		return nil
	}
	if repeats && !j.isNew(*text) {
		return nil
	}
	return j.passage(place, *text)
}

// article is what is read of an article of SQuAD.
type article struct {
	Paragraphs []struct {
		Context *string `json:"context"`
	} `json:"paragraphs"`
}

// articles reads the value of "data"; ok tells whether it has SQuAD's form.
func (j *jsonReader) articles() (ok bool, err error) {
	j.advance()
	first, err := j.dec.Token()
	if err != nil {
		return false, j.broken(err)
	}
	if first == json.Delim('{') {
		for j.dec.More() {
			if _, err := j.token(); err != nil {
				return false, j.broken(err)
			}
			var skip json.RawMessage
			if err := j.value(&skip); err != nil {
				return false, err
			}
		}
		_, err := j.token()
		return false, j.broken(err)
	}
	if first != json.Delim('[') {
		return false, nil
	}
	for j.more() {
		var raw json.RawMessage
		if err := j.value(&raw); err != nil {
			return false, err
		}
		var a article
		if json.Unmarshal(raw, &a) != nil || a.Paragraphs == nil {
			continue // some other list
		}
		ok = true
		place := j.position()
		for _, p := range a.Paragraphs {
			if p.Context == nil {
				return false, fmt.Errorf("%s: a paragraph without \"context\"", place)
			}
			if j.isNew(*p.Context) {
				if err := j.passage(place, *p.Context); err != nil {
					return false, err
				}
			}
		}
	}
	_, err = j.token()
	if err == io.EOF {
		err = j.broken(io.ErrUnexpectedEOF)
	}
	return ok, err
}

func (j *jsonReader) more() bool {
	j.advance()
	return j.dec.More()
}
