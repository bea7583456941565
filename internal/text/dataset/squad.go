package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"albert/internal/text/pystring"
)

// paragraph is a passage of SQuAD with its questions. plausible_answers are not read.
type paragraph struct {
	Context *string    `json:"context"`
	QAs     []question `json:"qas"`
}

type question struct {
	ID         json.RawMessage `json:"id"`
	Question   *string         `json:"question"`
	Answers    []answer        `json:"answers"`
	Impossible *bool           `json:"is_impossible"`
}

type answer struct {
	Text  *string `json:"text"`
	Start *int    `json:"answer_start"`
	Exact *bool   `json:"start_exact"`
}

// squad reads SQuAD's nesting of data, articles, paragraphs and questions, a paragraph at a time; or rows with a context, a question
// and answers, one after the other or in a list "data".
func (r *reader) squad(j *jsonStream) error {
	for {
		t, err := j.token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line := j.line()
		if t != json.Delim('{') {
			return fmt.Errorf("%s: not an object, as SQuAD's JSON and every row is", place(j.meter.name, line))
		}
		w := &row{file: j.meter.name, line: line, cells: map[string]any{}}
		nested := false
		err = j.object(func(name string) error {
			if name == "data" {
				t, err := j.token()
				switch t {
				case json.Delim('['):
					nested = true
					return r.articles(j)
				case json.Delim('{'): // a row of another form that has a column "data"
					return j.object(func(string) error { _, _, err := j.value(); return err })
				}
				return err
			}
			raw, _, err := j.value()
			if err != nil {
				return err
			}
			var v any
			err = w.decode(raw, &v)
			w.cells[name] = v
			return err
		})
		if err != nil {
			return err
		}
		if nested {
			continue
		}
		delete(w.cells, "")
		if err := r.answerRow(w); err != nil {
			return err
		}
	}
}

// object calls value after each name of an object whose opening brace was read.
func (j *jsonStream) object(value func(name string) error) error {
	for {
		t, err := j.token()
		if err == io.EOF {
			return j.truncated()
		}
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return nil // the closing brace
		}
		if err := value(name); err == io.EOF {
			return j.truncated()
		} else if err != nil {
			return err
		}
	}
}

// list calls item before each item of a list whose opening bracket was read.
func (j *jsonStream) list(item func(i int) error) error {
	for i := 0; j.more(); i++ {
		if err := item(i); err == io.EOF {
			return j.truncated()
		} else if err != nil {
			return err
		}
	}
	if _, err := j.token(); err == io.EOF {
		return j.truncated()
	} else if err != nil {
		return err
	}
	return nil
}

// articles reads the items of "data": articles with paragraphs or, as some write it, paragraphs or rows.
func (r *reader) articles(j *jsonStream) error {
	return j.list(func(i int) error {
		t, err := j.token()
		if err != nil {
			return err
		}
		name, line := fmt.Sprintf("article %d", i+1), j.line()
		if t != json.Delim('{') {
			return fmt.Errorf("%s: %s is not an object", place(j.meter.name, line), name)
		}
		found := false
		fields := map[string]json.RawMessage{}
		err = j.object(func(key string) error {
			if key == "paragraphs" {
				found = true
				if t, err := j.token(); err != nil {
					return err
				} else if t != json.Delim('[') {
					return fmt.Errorf("%s: %s: \"paragraphs\" is not a list", place(j.meter.name, j.line()), name)
				}
				return j.list(func(i int) error {
					raw, line, err := j.value()
					if err != nil {
						return err
					}
					return r.paragraph(j.meter.name, line, fmt.Sprintf("%s, paragraph %d", name, i+1), raw)
				})
			}
			raw, _, err := j.value()
			var title string
			if err == nil && key == "title" && json.Unmarshal(raw, &title) == nil {
				name += fmt.Sprintf(" %q", short(title))
			}
			fields[key] = raw
			return err
		})
		if err != nil || found {
			return err
		}
		_, questions := fields["qas"]
		_, question := fields["question"]
		raw, err := json.Marshal(fields)
		switch {
		case err != nil:
			return err
		case questions:
			return r.paragraph(j.meter.name, line, name, raw)
		case question:
			w, err := objectOf(j.meter.name, line, raw)
			if err != nil {
				return err
			}
			return r.answerRow(w)
		}
		return fmt.Errorf("%s: %s has no \"paragraphs\"", place(j.meter.name, j.line()), name)
	})
}

func (r *reader) paragraph(file string, line int, name string, raw json.RawMessage) error {
	where := place(file, line) + ": " + name
	var p paragraph
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("%s: %w", where, typeError(err))
	}
	if p.Context == nil {
		return fmt.Errorf("%s: no \"context\"", where)
	}
	c := newContext(*p.Context)
	for i, q := range p.QAs {
		id, err := idOf(q.ID)
		if err != nil {
			return fmt.Errorf("%s, question %d: %w", where, i+1, err)
		}
		asked := fmt.Sprintf("%s, question %d", where, i+1)
		if id != "" {
			asked = fmt.Sprintf("%s, question %q", where, short(id))
		}
		if err := r.question(file, line, asked, c, id, q); err != nil {
			return err
		}
	}
	return nil
}

// typeError names the field that has the wrong type in an error of encoding/json.
func typeError(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Errorf("%q is a %s, not a %s", t.Field, t.Value, t.Type)
	}
	return err
}

// idOf reads an id, which may be a string or a number.
func idOf(raw json.RawMessage) (string, error) {
	var s string
	var n json.Number
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"':
		return s, json.Unmarshal(raw, &s)
	case json.Unmarshal(raw, &n) == nil:
		return n.String(), nil
	}
	return "", fmt.Errorf("the id is %s, not a string or a number", jsonKind(raw))
}

// context is a passage with the byte offset of each code point.
type context struct {
	text  string
	bytes []int32 // where each code point begins, and the end; nil: one byte each
	n     int     // code points
}

func newContext(text string) *context {
	c := &context{text: text, n: utf8.RuneCountInString(text)}
	if c.n < len(text) && len(text) <= maxField {
		for i := range text {
			c.bytes = append(c.bytes, int32(i))
		}
		c.bytes = append(c.bytes, int32(len(text)))
	}
	return c
}

// slice is the text of code points [from, to).
func (c *context) slice(from, to int) string {
	if c.bytes == nil {
		return c.text[from:to]
	}
	return c.text[c.bytes[from]:c.bytes[to]]
}

// question adds a question. where names it, for errors.
func (r *reader) question(file string, line int, where string, c *context, id string, q question) error {
	e := unlabelled(file, line)
	e.ID, e.Context = id, c.text
	if q.Question == nil {
		return fmt.Errorf("%s: no \"question\"", where)
	}
	e.Question = *q.Question
	if len(c.text) > maxField {
		return r.add(e) // which says so
	}
	if err := r.unique(&e, where); err != nil {
		return err
	}
	test, task := r.set.Split == Test, &r.set.Task
	impossible := q.Impossible != nil && *q.Impossible
	for i, a := range q.Answers {
		if a.Text == nil || a.Start == nil {
			return fmt.Errorf("%s: answer %d has no \"text\" or no \"answer_start\"", where, i+1)
		}
		switch blank := strings.TrimFunc(*a.Text, isBlank) == ""; {
		case impossible && (blank || *a.Start == -1): // so some write that there is no answer
		case blank && *a.Start == -1 && task.Impossible && q.Impossible == nil:
			impossible = true
		case blank:
			r.blankAnswers++
		default:
			out, err := r.answer(c, a)
			if err != nil {
				return fmt.Errorf("%s: answer %d, %w", where, i+1, err)
			}
			e.Answers = append(e.Answers, out)
		}
	}
	switch {
	case impossible && !task.Impossible:
		return fmt.Errorf("%s: is_impossible, which SQuAD 1.1 does not have: use the task squad2", where)
	case impossible && len(e.Answers) > 0:
		return fmt.Errorf("%s: is_impossible, and yet there are answers", where)
	case !impossible && len(q.Answers) == 0 && !test && (!task.Impossible || q.Impossible != nil):
		return fmt.Errorf("%s: no answers", where)
	}
	e.Impossible = impossible || len(q.Answers) == 0 && task.Impossible && (!test || q.Impossible != nil)
	return r.add(e)
}

// isBlank tells of white space of any kind: Python's, which includes Unicode's, and spaces without a width.
func isBlank(r rune) bool {
	return pystring.IsSpace(r) || strings.ContainsRune("\u180e\u200b\u2060\ufeff", r)
}

// answer finds an answer in its context: its text without the white space around it, which need not count in answer_start.
func (r *reader) answer(c *context, a answer) (Answer, error) {
	rest := strings.TrimLeftFunc(*a.Text, isBlank)
	text := strings.TrimRightFunc(rest, isBlank)
	n := utf8.RuneCountInString(text)
	at := func(start int) (inside, there bool) {
		inside = start >= 0 && start <= c.n && n <= c.n-start
		return inside, inside && c.slice(start, start+n) == text
	}
	start := *a.Start
	inside, there := at(start)
	if blanks := utf8.RuneCountInString(*a.Text) - utf8.RuneCountInString(rest); blanks > 0 && !there {
		start += blanks
		inside, there = at(start)
	}
	if !inside {
		return Answer{}, fmt.Errorf("%q at answer_start %d, lies outside of the context, which has %d characters", short(*a.Text), *a.Start, c.n)
	}
	guess := a.Exact != nil && !*a.Exact
	if guess {
		r.guessed++
	} else if !there {
		r.misplaced++
	}
	return Answer{Text: text, Start: start, End: start + n, Exact: there && !guess}, nil
}

// answerRow reads a row with a context, a question and, in lists, the texts and starts of its answers.
func (r *reader) answerRow(w *row) error {
	var q question
	text := func(name string) (*string, error) {
		v, ok := w.cells[name]
		if !ok {
			return nil, w.fail("no column %q, nor SQuAD's \"data\"; there are %s", name, w.columns())
		}
		s, ok := v.(string)
		if !ok {
			return nil, w.fail("column %q is not a string", name)
		}
		return &s, nil
	}
	context, err := text("context")
	if err != nil {
		return err
	}
	if q.Question, err = text("question"); err != nil {
		return err
	}
	texts, starts := w.cells["answers.text"], w.cells["answers.answer_start"]
	switch a := w.cells["answers"].(type) {
	case map[string]any:
		texts, starts = a["text"], a["answer_start"]
	case []any: // SQuAD's own form
		var t, s []any
		for _, x := range a {
			m, _ := x.(map[string]any)
			t, s = append(t, m["text"]), append(s, m["answer_start"])
		}
		texts, starts = t, s
	}
	ts, ss := asList(texts), asList(starts)
	if len(ts) != len(ss) {
		return w.fail("%d texts of answers and %d answer_start", len(ts), len(ss))
	}
	for i := range ts {
		t, ok1 := ts[i].(string)
		n, ok2 := ss[i].(json.Number)
		at, err := n.Int64()
		if !ok1 || !ok2 || err != nil || int64(int(at)) != at {
			return w.fail("answer %d has no text or no answer_start that is a whole number", i+1)
		}
		start := int(at)
		q.Answers = append(q.Answers, answer{Text: &t, Start: &start})
	}
	if b, ok := w.cells["is_impossible"].(bool); ok {
		q.Impossible = &b
	}
	_, a := w.cells["answers"]
	_, b := w.cells["answers.text"]
	if !a && !b && (q.Impossible == nil || !*q.Impossible) && r.set.Split != Test {
		return w.fail("no column \"answers\"; there are %s", w.columns())
	}
	id, err := w.id()
	if err != nil {
		return err
	}
	where := place(w.file, w.line)
	if id != "" {
		where += fmt.Sprintf(": question %q", short(id))
	}
	return r.question(w.file, w.line, where, newContext(*context), id, q)
}

// asList is a list of values, which may be given as the only one.
func asList(v any) []any {
	if list, ok := v.([]any); ok || v == nil {
		return list
	}
	return []any{v}
}
