package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of the columns of questions with choices, as RACE, SWAG, HellaSwag, CommonsenseQA and the like are published.
var (
	contextColumns  = []string{"context", "article", "passage", "text", "ctx", "sent1", "premise"}
	questionColumns = []string{"question", "question_stem", "question.stem", "sent2"}
	choicesColumns  = []string{"choices", "options", "endings"}
	choiceLabels    = []string{"label", "answer", "answerKey"}
	choicePrefixes  = []string{"ending", "choice", "option"} // of columns with a choice each, numbered from 0 or 1
)

// numbered tells whether a column holds one of several choices.
func numbered(name string) bool {
	return slices.ContainsFunc(choicePrefixes, func(p string) bool {
		n, ok := strings.CutPrefix(name, p)
		return ok && n != "" && strings.Trim(n, "0123456789") == ""
	})
}

// sharedID is the id of a text that several questions are about.
type sharedID struct {
	context   string
	questions []string
}

// choiceRow reads a context, a question, choices and the right one of them.
func (r *reader) choiceRow(w *row) error {
	e := unlabelled(w.file, w.line)
	id, err := w.id("ind")
	if err != nil {
		return err
	}
	if r.o.Level != "" && levelOf(w.file, id) != r.o.Level {
		return nil
	}
	if q, ok := w.cells["question"].(map[string]any); ok { // CommonsenseQA as its authors have it
		w.cells["question"] = q["stem"]
		if _, ok := w.cells["choices"]; !ok {
			w.cells["choices"] = q["choices"]
		}
	}
	if err := r.choiceTexts(w, &e); err != nil {
		return err
	}
	var letters []string
	if e.Choices, letters, err = w.choices(); err != nil {
		return err
	}
	name, v, err := r.labelCell(w, choiceLabels)
	if err != nil {
		return err
	}
	if name != "" {
		text, _ := scalar(v)
		text = strings.TrimSpace(text)
		if e.Label = slices.Index(letters, text); e.Label < 0 {
			if e.Label, err = choiceIndex(text); err != nil {
				return w.fail("column %q: %v", name, err)
			}
		}
	}
	if id != "" {
		e.ID = r.questionID(w, id, &e)
	}
	return r.addChoice(e, place(w.file, w.line))
}

// questionID makes an id of a row's: the questions of one text share it, and are numbered. RACE's rows get the ids that its passages give.
func (r *reader) questionID(w *row, id string, e *Example) string {
	text, ok := r.shared[id]
	if !ok {
		text = &sharedID{context: e.Context}
		r.shared[id] = text
	}
	_, article := w.cells["article"]
	_, example := w.cells["example_id"]
	race := article && example
	question := strings.Join(append(e.Choices[:len(e.Choices):len(e.Choices)], e.Question), "\n")
	if text.context != e.Context || e.Context == "" || !race && slices.Contains(text.questions, question) {
		return id // used twice
	}
	e.Context = text.context
	text.questions = append(text.questions, question)
	if n := len(text.questions) - 1; race || n > 0 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

// choiceTexts reads the context and the question.
func (r *reader) choiceTexts(w *row, e *Example) error {
	contexts, questions := contextColumns, questionColumns
	if _, whole := w.cells["ctx"]; !whole {
		contexts, questions = append(slices.Clone(contexts), "ctx_a"), append(slices.Clone(questions), "ctx_b")
	}
	texts := 0
	for _, f := range []struct {
		to     *string
		chosen string
		names  []string
	}{{&e.Context, r.o.TextColumn, contexts}, {&e.Question, r.o.PairColumn, questions}} {
		name := f.chosen
		if name == "" {
			name, _ = w.find(f.names...)
		}
		v, ok := w.cells[name]
		if !ok || v == nil {
			if f.chosen != "" {
				return w.fail("no column %q; there are %s", name, w.columns())
			}
			continue
		}
		texts++
		w.used = append(w.used, name)
		if err, ok := v.(error); ok {
			return w.fail("column %q: %v", name, err)
		}
		text, ok := v.(string)
		if !ok {
			return w.fail("column %q is not a string", name)
		}
		*f.to = strings.Clone(text)
	}
	if texts == 0 {
		return w.fail("neither a context nor a question; there are %s: choose with --text-column and --pair-column", w.columns())
	}
	return nil
}

// choices reads the choices: a list of texts or of objects with a label and a text, an object with the lists "label" and "text", or a column each.
// letters are their labels, where they have some.
func (w *row) choices() (choices, letters []string, err error) {
	name, _ := w.find(choicesColumns...)
	items, ok := w.cells[name].([]any)
	var labels []any
	if object, isObject := w.cells[name].(map[string]any); isObject {
		items, ok = object["text"].([]any)
		labels, _ = object["label"].([]any)
	}
	if list, inParquet := w.cells["choices.text"].([]any); !ok && inParquet {
		name, items, ok = "choices.text", list, true
		labels, _ = w.cells["choices.label"].([]any)
		w.used = append(w.used, "choices.label")
	}
	if ok {
		w.used = append(w.used, name)
	} else {
		items = w.numberedChoices()
	}
	if items == nil {
		return nil, nil, w.fail("no column \"choices\" that is a list, nor ending0, ending1, ...; there are %s", w.columns())
	}
	for i, v := range items {
		if object, ok := v.(map[string]any); ok {
			v, labels = object["text"], append(labels, object["label"])
		}
		s, ok := v.(string)
		if !ok {
			return nil, nil, w.fail("choice %d is not a string", i+1)
		}
		choices = append(choices, strings.Clone(s))
	}
	for _, l := range labels {
		text, _ := scalar(l)
		letters = append(letters, text)
	}
	return choices, letters, nil
}

// numberedChoices are those that stand in columns of their own.
func (w *row) numberedChoices() (items []any) {
	for _, prefix := range choicePrefixes {
		i := 0
		if _, ok := w.cells[prefix+"0"]; !ok {
			i = 1
		}
		for ; ; i++ {
			name := prefix + strconv.Itoa(i)
			v, ok := w.cells[name]
			if !ok {
				break
			}
			w.used, items = append(w.used, name), append(items, v)
		}
		if items != nil {
			return items
		}
	}
	return nil
}

var errNoLabel = errors.New(`no label ("-")`)

// maxChoices bounds the choices of one example: each is a pass through the model.
const maxChoices = 100

// choiceIndex reads which choice is right: an index from 0, or a letter from A.
func choiceIndex(s string) (int, error) {
	if len(s) == 1 && s[0] >= 'A' && s[0] <= 'Z' {
		return int(s[0] - 'A'), nil
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil
	}
	if s == "" {
		return 0, errors.New("no label")
	}
	return 0, fmt.Errorf("%q is neither the index of a choice, from 0, nor its letter", short(s))
}

// addChoice adds an example of the kind Choice. where names it, for errors.
func (r *reader) addChoice(e Example, where string) error {
	switch n := len(e.Choices); {
	case n < 2:
		return fmt.Errorf("%s: %d choices; there must be two at least", where, n)
	case n > maxChoices:
		return fmt.Errorf("%s: %d choices; the limit is %d", where, n, maxChoices)
	case e.Label < -1 || e.Label >= n || e.Label == -1 && r.set.Split != Test:
		return fmt.Errorf("%s: the right choice is %d; there are %d choices, counted from 0", where, e.Label, n)
	}
	if err := r.unique(&e, where); err != nil {
		return err
	}
	return r.add(e)
}
