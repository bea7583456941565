package dataset

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"albert/internal/model"
)

// Common names of columns, in the order in which they are looked for.
var (
	// pairColumns hold two texts; where both are, they are a pair.
	pairColumns = [][2]string{{"text", "text_pair"}, {"text", "text_b"}, {"sentence1", "sentence2"}, {"sentence_1", "sentence_2"},
		{"premise", "hypothesis"}, {"question1", "question2"}, {"question", "sentence"}, {"question", "context"}, {"question", "passage"},
		{"text_a", "text_b"}, {"text1", "text2"}, {"query", "passage"}}
	textColumns  = []string{"text", "sentence", "sentence1", "question", "premise", "text_a", "content", "review"}
	labelColumns = []string{"label", "labels", "gold_label", "class", "category", "target", "is_duplicate"}
	scoreColumns = []string{"score", "label", "labels", "target", "similarity_score"}
	idColumns    = []string{"id", "idx", "index", "guid", "example_id"}
	wordColumns  = []string{"tokens", "words"}
	tagColumns   = []string{"tags", "ner_tags", "labels", "pos_tags", "label"}
)

// id gives the id in a row, "" if it has none.
func (w *row) id() (string, error) {
	name, ok := w.find(idColumns...)
	if !ok {
		return "", nil
	}
	switch v := w.cells[name].(type) {
	case nil:
		return "", nil
	case string:
		return strings.Clone(v), nil
	case json.Number:
		return v.String(), nil
	}
	return "", w.fail("column %q is not a string or a number", name)
}

// texts puts a row's text, and the second one of a pair, into an example.
func (r *reader) texts(w *row, e *Example) error {
	text, pair := r.o.TextColumn, r.o.PairColumn
	if text == "" && pair == "" {
		for _, p := range pairColumns {
			_, hasFirst := w.cells[p[0]]
			second, hasSecond := w.cells[p[1]]
			if hasFirst && hasSecond && (w.flat || second != nil) {
				text, pair = p[0], p[1]
				break
			}
		}
	}
	if text == "" {
		text, _ = w.find(textColumns...)
	}
	if text == "" {
		hint := "choose with --text-column"
		if w.flat && len(w.cells) > 1 {
			hint += "; if the file has no header, give its columns by number: --text-column 1 --label-column 2"
		}
		return w.fail("no column for the text; there are %s: %s", w.columns(), hint)
	}
	get := func(name string) (string, error) {
		v, ok := w.cells[name]
		if !ok {
			return "", w.fail("no column %q; there are %s", name, w.columns())
		}
		s, ok := v.(string)
		if !ok {
			return "", w.fail("column %q is not a string", name)
		}
		if w.flat {
			s = strings.Clone(s) // or the whole row would stay in memory
		}
		return s, nil
	}
	var err error
	if e.Text, err = get(text); err != nil {
		return err
	}
	if v, ok := w.cells[pair]; pair != "" && (!ok || v != nil) { // null: no pair
		e.Pair, err = get(pair)
		e.HasPair = true
	}
	return err
}

// textRow reads an example of the kinds Classify, MultiLabel and Regress.
func (r *reader) textRow(w *row) error {
	e := unlabelled(w.file, w.line)
	var err error
	if e.ID, err = w.id(); err != nil {
		return err
	}
	if err := r.texts(w, &e); err != nil {
		return err
	}
	names := labelColumns
	if r.set.Task.Kind == model.Regress {
		names = scoreColumns
	}
	name, v, err := r.labelCell(w, names)
	if err != nil {
		return err
	}
	if name == "" {
		return r.add(e)
	}
	if err := r.setLabel(w, &e, name, v); err != nil {
		return err
	}
	return r.add(e)
}

// labelCell finds the column and the value of a row's label; name is "" where a test set has none.
func (r *reader) labelCell(w *row, names []string) (name string, v any, err error) {
	name = r.o.LabelColumn
	if name == "" {
		name, _ = w.find(names...)
	}
	v, ok := w.cells[name]
	test := r.set.Split == Test
	if !ok && (!test || r.o.LabelColumn != "") {
		what := "for the label"
		if r.o.LabelColumn != "" {
			what = strconv.Quote(r.o.LabelColumn)
		}
		return "", nil, w.fail("no column %s; there are %s: choose with --label-column", what, w.columns())
	}
	if test && (v == nil || v == "" || v == json.Number("-1")) {
		return "", nil, nil
	}
	return name, v, nil
}

// setLabel gives an example the label or the score that a cell holds.
func (r *reader) setLabel(w *row, e *Example, name string, v any) error {
	k := &r.set.Task.Kind
	items, isList := v.([]any)
	if *k == model.Classify && isList && !r.kindKnown {
		*k = model.MultiLabel
	}
	if *k == model.Classify || *k == model.MultiLabel {
		r.kindKnown = true
	}
	switch *k {
	case model.Regress:
		text, ok := scalar(v)
		if !ok {
			return w.fail("column %q is not a number", name)
		}
		x, err := score(text)
		if err != nil {
			return w.fail("column %q: %v", name, err)
		}
		e.Score = x
		return nil
	case model.Classify:
		if isList {
			return w.fail("column %q is a list, where it was one label before", name)
		}
		text, ok := scalar(v)
		if !ok {
			return w.fail("column %q has no label in it", name)
		}
		i, err := r.ownLabel(text)
		if err != nil {
			return w.fail("column %q: %v", name, err)
		}
		e.Label = i
		return nil
	}
	// MultiLabel: a list, or labels separated by bars. An empty list is a valid value.
	e.Labels = []int{}
	var texts []string
	switch s, isText := v.(string); {
	case isList:
		for _, item := range items {
			text, ok := scalar(item)
			if !ok {
				return w.fail("column %q holds something that is no label", name)
			}
			texts = append(texts, text)
		}
	case isText && strings.TrimSpace(s) != "":
		texts = strings.Split(s, "|")
	case isText:
	default:
		return w.fail("column %q is neither a list nor labels with \"|\" between them", name)
	}
	for _, text := range texts {
		i, err := r.ownLabel(text)
		if err != nil {
			return w.fail("column %q: %v", name, err)
		}
		if !slices.Contains(e.Labels, i) {
			e.Labels = append(e.Labels, i)
		}
	}
	slices.Sort(e.Labels)
	return nil
}

// ownLabel gives the index of a label in the user's own data.
func (r *reader) ownLabel(text string) (int, error) {
	text = strings.TrimSpace(text)
	if _, ok := r.labels.index[text]; text == noGold && !ok {
		return 0, errNoLabel
	}
	return r.labels.id(text)
}

// scalar is the text of a value that is no list and no object. A whole number loses its fraction: 1.0 is 1.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		if x, err := v.Float64(); err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return strconv.FormatInt(int64(x), 10), true
		}
		return v.String(), true
	}
	return "", false
}

// tagRow reads words and their tags.
func (r *reader) tagRow(w *row) error {
	e := unlabelled(w.file, w.line)
	var err error
	if e.ID, err = w.id(); err != nil {
		return err
	}
	name := r.o.TextColumn
	if name == "" {
		name, _ = w.find(wordColumns...)
	}
	words, ok := w.cells[name].([]any)
	if !ok {
		if name == "" {
			return w.fail("no column for the words; there are %s: choose with --text-column", w.columns())
		}
		return w.fail("no column %q that is a list; there are %s", name, w.columns())
	}
	e.Words = make([]string, len(words))
	for i, v := range words {
		if e.Words[i], ok = v.(string); !ok {
			return w.fail("column %q: word %d is not a string", name, i+1)
		}
	}
	name, v, err := r.labelCell(w, tagColumns)
	if err != nil {
		return err
	}
	if name == "" {
		return r.add(e)
	}
	tags, ok := v.([]any)
	if !ok {
		return w.fail("column %q is not a list", name)
	}
	if len(tags) != len(words) {
		return w.fail("%d words and %d tags", len(words), len(tags))
	}
	e.Labels = make([]int, len(tags))
	for i, v := range tags {
		text, ok := scalar(v)
		if !ok {
			return w.fail("column %q: tag %d is not a string or a number", name, i+1)
		}
		if e.Labels[i], err = r.labels.id(text); err != nil {
			return w.fail("word %d, %q: %v", i+1, short(e.Words[i]), err)
		}
	}
	return r.add(e)
}

// choiceRow reads a context, a question, choices and the right one of them.
func (r *reader) choiceRow(w *row) error {
	e := unlabelled(w.file, w.line)
	var err error
	if e.ID, err = w.id(); err != nil {
		return err
	}
	texts := 0
	for _, f := range []struct {
		to     *string
		chosen string
		names  []string
	}{{&e.Context, r.o.TextColumn, []string{"context", "article", "passage", "text"}}, {&e.Question, r.o.PairColumn, []string{"question"}}} {
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
		if *f.to, ok = v.(string); !ok {
			return w.fail("column %q is not a string", name)
		}
	}
	if texts == 0 {
		return w.fail("neither a context nor a question; there are %s", w.columns())
	}
	name, _ := w.find("choices", "options", "endings")
	choices, ok := w.cells[name].([]any)
	if !ok {
		return w.fail("no column \"choices\" that is a list; there are %s", w.columns())
	}
	for i, v := range choices {
		s, ok := v.(string)
		if !ok {
			return w.fail("choice %d is not a string", i+1)
		}
		e.Choices = append(e.Choices, s)
	}
	name, v, err := r.labelCell(w, []string{"label", "answer"})
	if err != nil {
		return err
	}
	if name != "" {
		text, _ := scalar(v)
		if e.Label, err = choiceIndex(strings.TrimSpace(text)); err != nil {
			return w.fail("column %q: %v", name, err)
		}
	}
	return r.addChoice(e, place(w.file, w.line))
}
