package dataset

import (
	"cmp"
	"fmt"
	"slices"

	"albert/internal/model"
)

// Common names of the columns of a query and a document, beside those of other pairs, and of their label.
var (
	rankColumns     = [][2]string{{"query", "document"}, {"query", "passage"}, {"query", "text"}, {"question", "answer"}}
	relevantColumns = append([]string{"label", "relevance", "score"}, labelColumns...)
)

// rankColumn tells of the columns that only the task rerank looks for.
func rankColumn(name string) bool {
	return slices.Contains(relevantColumns, name) || slices.ContainsFunc(rankColumns, func(p [2]string) bool { return p[0] == name || p[1] == name })
}

// rankTexts finds the columns of a row's query and document.
func (r *reader) rankTexts(w *row) (query, document string) {
	query, document = r.o.TextColumn, r.o.PairColumn
	for _, p := range slices.Concat(rankColumns, pairColumns) {
		_, first := w.cells[p[0]]
		_, second := w.cells[p[1]]
		if (first || query != "") && (second || document != "") {
			return cmp.Or(query, p[0]), cmp.Or(document, p[1])
		}
	}
	return cmp.Or(query, "query"), cmp.Or(document, "document")
}

// rankRow reads an example of the kind Rank.
func (r *reader) rankRow(w *row) error {
	e := unlabelled(w.file, w.line)
	e.HasPair = true
	var err error
	if e.ID, err = w.id(); err != nil {
		return err
	}
	query, document := r.rankTexts(w)
	for _, f := range []struct {
		what, name string
		text       *string
	}{{"query", query, &e.Text}, {"document", document, &e.Pair}} {
		if w.cells[f.name] == nil {
			return w.fail("a row without %s: column %q is missing or null; there are %s: choose with --text-column and --pair-column", f.what, f.name, w.columns())
		}
		if *f.text, err = w.text(f.name); err != nil {
			return err
		}
	}
	name, v, err := r.labelCell(w, relevantColumns)
	if err == nil && name != "" {
		err = r.setLabel(w, &e, name, v)
	}
	if err == errNoClass {
		return w.fail("column %q has no label in it", name)
	}
	if err != nil {
		return err
	}
	return r.add(e)
}

// labelRange is the range of the labels of the kind Rank, and where the first stands that is not from 0 to 1.
type labelRange struct {
	least, most float64
	outside     string
}

// add notes a label.
func (l *labelRange) add(w *row, name string, x float64) {
	l.least, l.most = min(l.least, x), max(l.most, x)
	if l.outside == "" && (x < 0 || x > 1) {
		l.outside = fmt.Sprintf("%s: column %q: the label is %v", w.place(), name, x)
	}
}

// check refuses labels that are no shares.
func (l *labelRange) check(k model.Kind) error {
	if k != model.Rank || l.outside == "" {
		return nil
	}
	return fmt.Errorf("%s; the labels here are from %v to %v, task rerank wants 0 (not relevant) to 1 (relevant)", l.outside, l.least, l.most)
}
