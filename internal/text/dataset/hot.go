package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"albert/internal/model"
)

// minusLabel is what data sets on the hub write for a label that is not given; it may also be a class.
const minusLabel = "-1"

// minusOne is a row of a test set whose label is -1.
type minusOne struct {
	example int // in the set
	at      row
	column  string
}

// isMinus tells whether a label is -1, or a list of nothing else.
func isMinus(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return !isMinus(v) })
	}
	text, ok := scalar(v)
	return ok && strings.TrimSpace(text) == minusLabel
}

// finishMinus takes -1 as no label where every row of a test set has it and no training example does; else it is a label like others.
func (r *reader) finishMinus() error {
	_, known := r.labels.index[minusLabel]
	if len(r.minus) == 0 {
		return nil
	}
	if !known && r.scored == 0 {
		r.note("%d of %d examples have the label -1, which no training example has: they are not labelled", len(r.minus), len(r.set.Examples))
		return nil
	}
	for _, m := range r.minus {
		if k := r.set.Task.Kind; k != model.Classify && k != model.Regress {
			return m.at.fail("column %q: the label is -1, where other rows have one", m.column)
		}
		if err := r.setLabel(&m.at, &r.set.Examples[m.example], m.column, json.Number(minusLabel)); err != nil {
			return err
		}
	}
	return nil
}

// hotLabels are the labels of a MultiLabel set that are lists of 0 and 1: classes by place (multi-hot), unless other lists show that 0 and 1 are the
// names of classes. What they are is known at the end.
type hotLabels struct {
	rows  []hotRow
	sure  *hotRow  // the first that can be nothing but multi-hot
	other string   // the place of a list that is none; "": there is none
	names []string // of the classes: those of columns, of label_names or of id2label; nil: they have none
}

type hotRow struct {
	example int // in the set
	at      row
	column  string
	bits    []bool
}

// bit reads 0 or 1, or a truth value.
func bit(v any) (b, ok bool) {
	text, ok := scalar(v)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "0", "0.0", "0.", "false":
		return false, ok
	case "1", "1.0", "1.", "true":
		return true, ok
	}
	return false, false
}

// hotText reads a list of 0 and 1 that is written as text, as programs write one into a column of CSV: [1, 0], [1. 0.], [True, False].
func hotText(s string) (list []any, ok bool) {
	s, begins := strings.CutPrefix(strings.TrimSpace(s), "[")
	s, ends := strings.CutSuffix(s, "]")
	if !begins || !ends {
		return nil, false
	}
	list = []any{}
	for f := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' }) {
		b, ok := bit(f)
		if !ok {
			return nil, false
		}
		list = append(list, b)
	}
	return list, true
}

// barred are labels with bars between, as a list.
func barred(s string) (list []any) {
	for f := range strings.SplitSeq(s, "|") {
		list = append(list, f)
	}
	return list
}

// labelColumns makes a list of the values of columns that hold 0 and 1, a class each; ok is false where a test set has none of them.
func (r *reader) labelColumns(w *row, names []string) (v any, ok bool, err error) {
	var list []any
	missing := ""
	for _, n := range names {
		x, ok := w.cells[n]
		switch b, isBit := bit(x); {
		case !ok:
			missing = n
			continue
		case isBit:
			x = b
		case !isMinus(x) && x != nil && x != "":
			text, _ := scalar(x)
			return nil, false, w.fail("column %q: %q is neither 0 nor 1", n, short(text))
		}
		w.used, list = append(w.used, n), append(list, x)
	}
	empty := !slices.ContainsFunc(list, func(x any) bool { return x != nil && x != "" })
	switch {
	case r.set.Split == Test && empty:
		return nil, list != nil, nil
	case missing != "":
		return nil, false, w.fail("no column %q; there are %s", missing, w.columns())
	case r.hot.names == nil:
		r.hot.names = names
	}
	return list, true, nil
}

// addHot keeps the labels of the next example if they are a list of 0 and 1. isList is false of labels with bars between: 0|1 are the classes 0 and
// 1, and only 0|0|1 can be no such list.
func (r *reader) addHot(w *row, column string, items []any, isList bool) (hot bool, err error) {
	at := row{file: w.file, line: w.line}
	h := hotRow{len(r.set.Examples), at, column, make([]bool, len(items))}
	all, ascending, sure := true, true, false
	for i, v := range items {
		b, ok := bit(v)
		_, isText := v.(string)
		number, _ := v.(json.Number)
		all = all && ok && (isText == !isList)
		if n := string(number); strings.ContainsAny(n, ".eE") || !isText && number == "" {
			sure = true // no number of a class
		}
		ascending = ascending && (i == 0 || b && !h.bits[i-1])
		h.bits[i] = b
	}
	if !all {
		if r.hot.other == "" {
			r.hot.other = at.fail("a list that is not of 0 and 1").Error()
		}
		return false, nil
	}
	if !isList && ascending {
		return false, nil
	}
	if sure = (sure || !ascending) && len(items) > 0; sure && r.hot.sure == nil {
		r.hot.sure = &h
	}
	if err := r.placeNames(w); err != nil {
		return true, err
	}
	r.hot.rows = append(r.hot.rows, h)
	return true, nil
}

// placeNames reads the names of classes by place from the row's label_names or id2label, where the first of these rows has them.
func (r *reader) placeNames(w *row) error {
	name, ok := w.find(nameColumns...)
	if !ok || r.hot.names != nil {
		return nil
	}
	w.used = append(w.used, name)
	switch v := w.cells[name].(type) {
	case []any:
		for _, x := range v {
			text, ok := x.(string)
			if !ok {
				return w.fail("column %q holds something that is no name", name)
			}
			r.hot.names = append(r.hot.names, text)
		}
	case map[string]any:
		for i := range len(v) {
			text, ok := v[strconv.Itoa(i)].(string)
			if !ok {
				return w.fail("column %q has no name for %q", name, strconv.Itoa(i))
			}
			r.hot.names = append(r.hot.names, text)
		}
	}
	return nil
}

// finishHot makes labels of the lists of 0 and 1.
func (r *reader) finishHot() error {
	h := &r.hot
	if len(h.rows) == 0 {
		return nil
	}
	n := len(h.rows[0].bits)
	odd := slices.IndexFunc(h.rows, func(x hotRow) bool { return len(x.bits) != n })
	named01 := slices.Equal(r.labels.names, []string{"0", "1"}) && !r.o.ByPlace // classes that are called so
	byPlace := odd < 0 && h.other == "" && n > 0 && (h.sure != nil || r.o.ByPlace || !r.labels.fixed || n == len(r.labels.names) && !named01)
	switch {
	case !byPlace && h.sure == nil && !r.o.ByPlace:
		return r.hotByName()
	case h.other != "":
		return fmt.Errorf("%s, where other rows have lists of 0 and 1, a class each", h.other)
	case odd >= 0:
		return h.rows[odd].at.fail("column %q: %d entries, where %s has %d: lists of 0 and 1 have one for each class", h.rows[odd].column, len(h.rows[odd].bits),
			h.rows[0].at.place(), n)
	}
	r.set.ByPlace = true
	names := h.names
	if known := r.labels.names; r.labels.fixed && (names == nil || len(known) == n && otherName(known[0]) != "" && otherName(names[0]) == "") {
		if names != nil {
			r.note("the classes %s are taken by their place as the model's %s", list(names), list(known))
		}
		names = known
	}
	if names == nil {
		r.set.Unnamed = true
		for i := range n {
			names = append(names, strconv.Itoa(i))
		}
	}
	if len(names) != n {
		return h.rows[0].at.fail("column %q: %d entries for %d classes: %s", h.rows[0].column, n, len(names), list(names))
	}
	index := make([]int, n)
	for i, name := range names {
		k, err := r.labels.id(name)
		if err != nil {
			return h.rows[0].at.fail("column %q: %v", h.rows[0].column, err)
		}
		index[i] = k
	}
	for _, x := range h.rows {
		e := &r.set.Examples[x.example]
		e.Labels = []int{}
		for i, b := range x.bits {
			if b {
				e.Labels = append(e.Labels, index[i])
			}
		}
		slices.Sort(e.Labels)
	}
	r.labels.fixed = true // their order is that of the places
	return nil
}

// hotByName takes lists of 0 and 1 as lists of the classes 0 and 1.
func (r *reader) hotByName() error {
	for _, x := range r.hot.rows {
		var texts []string
		for _, b := range x.bits {
			texts = append(texts, map[bool]string{false: "0", true: "1"}[b])
		}
		if err := r.addLabels(&x.at, &r.set.Examples[x.example], x.column, texts); err != nil {
			return err
		}
	}
	return nil
}
