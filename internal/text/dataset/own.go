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
	textColumns  = []string{"text", "sentence", "sentence1", "question", "premise", "text_a", "content", "review", "comment_text"}
	labelColumns = []string{"label", "labels", "gold_label", "class", "category", "target", "is_duplicate"}
	scoreColumns = []string{"score", "label", "labels", "target", "similarity_score"}
	idColumns    = []string{"id", "idx", "index", "guid", "example_id"}
	wordColumns  = []string{"tokens", "words"}
	tagColumns   = []string{"tags", "ner_tags", "labels", "pos_tags", "label"}
	nameColumns  = []string{"label_names", "id2label"} // of classes by place
)

// wellKnown are all the names of columns that are looked for.
var wellKnown = func() map[string]bool {
	known := map[string]bool{}
	for _, names := range [][]string{textColumns, labelColumns, scoreColumns, idColumns, wordColumns, tagColumns, nameColumns, contextColumns, questionColumns,
		choicesColumns, choiceLabels, {"ctx_a", "ctx_b", "choices.text", "choices.label", "ind"}} {
		for _, n := range names {
			known[n] = true
		}
	}
	for _, p := range pairColumns {
		known[p[0]], known[p[1]] = true, true
	}
	return known
}()

// isNamed tells whether a column is asked for, or its name is well known.
func (r *reader) isNamed(name string) bool {
	if name == "" {
		return false
	}
	if r.set.Task.Kind == model.Embed && embedColumn(name) {
		return true
	}
	if r.set.Task.Kind == model.Rank && rankColumn(name) {
		return true
	}
	if numbered(name) || wellKnown[name] || name == r.o.TextColumn || name == r.o.PairColumn || name == r.o.LabelColumn {
		return true
	}
	return slices.Contains(splitColumns(r.o.LabelColumn), name)
}

// splitColumns are the names of several columns, which commas part.
func splitColumns(names string) []string {
	list := strings.Split(names, ",")
	for i, n := range list {
		list[i] = strings.TrimSpace(n)
	}
	return list
}

// id gives the id in a row, "" if it has none.
func (w *row) id(more ...string) (string, error) {
	name, ok := w.find(append(more, idColumns...)...)
	if !ok {
		return "", nil
	}
	w.used = append(w.used, name)
	switch v := w.cells[name].(type) {
	case error:
		return "", w.fail("column %q: %v", name, v)
	case nil:
		return "", nil
	case string:
		return strings.Clone(v), nil
	case json.Number:
		return v.String(), nil
	}
	return "", w.fail("column %q is not a string or a number", name)
}

// text gives a cell that is a string.
func (w *row) text(name string) (string, error) {
	v, ok := w.cells[name]
	if !ok {
		return "", w.fail("no column %q; there are %s", name, w.columns())
	}
	w.used = append(w.used, name)
	if err, ok := v.(error); ok {
		return "", w.fail("column %q: %v", name, err)
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
		if w.flat && len(w.cells) > 0 {
			hint += "; if the file has no header, give its columns by number: --text-column 1 --label-column 2; --delimiter says what parts columns"
		}
		return w.fail("no column for the text; there are %s: %s", w.columns(), hint)
	}
	var err error
	if e.Text, err = w.text(text); err != nil {
		return err
	}
	if v, ok := w.cells[pair]; pair != "" && (!ok || v != nil) { // null: no pair
		e.Pair, err = w.text(pair)
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
	if err == errNoClass {
		r.set.Skipped++
		return nil
	}
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

// labelCell finds the column and the value of a row's label; name is "" where a test set has none. Several columns are a list.
func (r *reader) labelCell(w *row, names []string) (name string, v any, err error) {
	test := r.set.Split == Test
	name = r.o.LabelColumn
	if name == "" {
		name, _ = w.find(names...)
	}
	v, ok := w.cells[name]
	if several := splitColumns(name); !ok && len(several) > 1 {
		v, ok, err = r.labelColumns(w, several)
	} else {
		w.used = append(w.used, name)
	}
	if err != nil {
		return "", nil, err
	}
	if !ok && (!test || r.o.LabelColumn != "") {
		what, several := "for the label", ""
		if r.o.LabelColumn != "" {
			what = strconv.Quote(r.o.LabelColumn)
		}
		if k := r.set.Task.Kind; k == model.Classify || k == model.MultiLabel {
			several = " NAME, or NAME,NAME,... where each class has a column of 0 and 1"
		}
		return "", nil, w.fail("no column %s; there are %s: choose with --label-column%s", what, w.columns(), several)
	}
	if err, ok := v.(error); ok && err != errNoClass {
		return "", nil, w.fail("column %q: %v", name, err)
	}
	switch {
	case !test && v == errNoClass:
		return "", nil, errNoClass
	case !test:
	case v == nil || v == "" || v == errNoClass:
		return "", nil, nil
	case isMinus(v):
		r.minus = append(r.minus, minusOne{len(r.set.Examples), row{file: w.file, line: w.line}, name})
		return "", nil, nil
	default:
		r.scored++
	}
	return name, v, nil
}

// setLabel gives an example the label or the score that a cell holds.
func (r *reader) setLabel(w *row, e *Example, name string, v any) error {
	k := &r.set.Task.Kind
	items, isList := v.([]any)
	if text, ok := v.(string); ok && !isList && (*k == model.Classify || *k == model.MultiLabel) {
		items, isList = hotText(text)
	}
	if *k == model.Classify && isList && !r.kindKnown {
		*k = model.MultiLabel
	}
	if *k == model.Classify || *k == model.MultiLabel {
		r.kindKnown = true
	}
	switch *k {
	case model.Regress, model.Rank:
		text, ok := scalar(v)
		if truth, is := v.(bool); is && *k == model.Rank {
			text = map[bool]string{false: "0", true: "1"}[truth]
		}
		if !ok {
			return w.fail("column %q is not a number", name)
		}
		x, err := score(text)
		if err != nil {
			return w.fail("column %q: %v", name, err)
		}
		r.labelRange.add(w, name, x)
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
	if text, ok := v.(string); ok && !isList {
		items = barred(text)
	}
	if hot, err := r.addHot(w, name, items, isList); hot || err != nil {
		return err
	}
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
	return r.addLabels(w, e, name, texts)
}

// addLabels gives an example several labels.
func (r *reader) addLabels(w *row, e *Example, name string, texts []string) error {
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
