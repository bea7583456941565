package dataset

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Form says what the rows are that vectors are learned from. All rows of a set have the same.
type Form string

// The forms.
const (
	Pairs   Form = "pairs"   // an anchor and its positive, and any number of negatives
	Scored  Form = "scored"  // two texts and a score
	Targets Form = "targets" // a text and the vector that it is to have
)

// Common names of the columns that vectors are learned from, beside those of other data, in the order in which they are looked for.
var (
	anchorColumns = [][2]string{{"anchor", "positive"}, {"query", "positive"}, {"query", "document"}, {"question", "answer"}}
	targetColumns = []string{"target", "label", "embedding"}
)

// stsbHeader is what STS-B's files begin with, in which nothing is quoted.
const stsbHeader = "index\tgenre\tfilename\tyear\told_index\t"

// negative is the number of a column of negatives: "negative" is the first, then "negative_2" and so on; 0 of any other column.
func negative(name string) int {
	if name == "negative" {
		return 1
	}
	digits, ok := strings.CutPrefix(name, "negative_")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 {
		return 0
	}
	return n
}

// embedColumn tells of the columns that only the task embed looks for.
func embedColumn(name string) bool {
	return negative(name) > 0 || slices.Contains(targetColumns, name) || slices.ContainsFunc(anchorColumns, func(p [2]string) bool { return p[0] == name || p[1] == name })
}

// embedRow reads an example of the kind Embed.
func (r *reader) embedRow(w *row) error {
	e := unlabelled(w.file, w.line)
	var err error
	if e.ID, err = w.id(); err != nil {
		return err
	}
	first, second := r.embedTexts(w)
	if first == "" {
		return w.fail("no columns for texts; there are %s: anchor and positive, two texts and a score, or text and target; choose with --text-column and --pair-column", w.columns())
	}
	text, err := w.text(first)
	if err != nil {
		return err
	}
	e.Texts = []string{text}
	target, hasTarget := w.find(r.labelNames(targetColumns)...)
	form := Targets
	if second == "" && !hasTarget {
		return w.fail("a row without positive (nor target): there are %s", w.columns())
	}
	if second != "" {
		if form, err = r.embedPair(w, &e, second); err != nil {
			return err
		}
	} else if e.Target, err = w.vector(target); err != nil {
		return err
	}
	if r.set.Form == "" {
		r.set.Form, r.set.Columns = form, []string{first, second}
	}
	if r.set.Form != form {
		return w.fail("a row of the form %s, where those before it are %s", form, r.set.Form)
	}
	if list := r.set.Examples; form == Targets && len(list) > 0 && len(list[0].Target) != len(e.Target) {
		return w.fail("column %q has %d numbers, that of %s has %d", target, len(e.Target), list[0].Place(), len(list[0].Target))
	}
	return r.add(e)
}

// labelNames are the names of the column of a label: the one that is asked for, or the common ones.
func (r *reader) labelNames(common []string) []string {
	if r.o.LabelColumn != "" {
		return []string{r.o.LabelColumn}
	}
	return common
}

// embedTexts finds the columns of a row's texts; second is "" where there is one.
func (r *reader) embedTexts(w *row) (first, second string) {
	if first, second = r.o.TextColumn, r.o.PairColumn; first != "" {
		return first, second
	}
	for _, p := range slices.Concat(anchorColumns, pairColumns) {
		if _, ok := w.cells[p[0]]; !ok {
			continue
		}
		if _, ok := w.cells[p[1]]; ok || p[0] == "anchor" {
			return p[0], p[1]
		}
	}
	first, _ = w.find(append([]string{"query"}, textColumns...)...)
	return first, second
}

// embedPair reads what follows a row's first text: a second one with a score, or a positive and negatives.
func (r *reader) embedPair(w *row, e *Example, second string) (Form, error) {
	if v := w.cells[second]; v == nil || v == "" {
		return "", w.fail("a row without positive: column %q is empty or missing", second)
	}
	text, err := w.text(second)
	if err != nil {
		return "", err
	}
	e.Texts = append(e.Texts, text)
	var negatives []string
	for name := range w.cells {
		if negative(name) > 0 {
			negatives = append(negatives, name)
		}
	}
	slices.SortFunc(negatives, func(a, b string) int { return negative(a) - negative(b) })
	name, scored := w.find(r.labelNames(scoreColumns)...)
	if r.o.LabelColumn != "" && !scored {
		return "", w.fail("no column %q; there are %s", r.o.LabelColumn, w.columns())
	}
	if scored && len(negatives) == 0 && (second != "positive" || r.o.LabelColumn != "") {
		w.used = append(w.used, name)
		text, ok := scalar(w.cells[name])
		if !ok {
			return "", w.fail("column %q is not a number", name)
		}
		if e.Score, err = score(text); err != nil {
			return "", w.fail("column %q: %v", name, err)
		}
		return Scored, nil
	}
	for _, name := range negatives {
		w.used = append(w.used, name)
		if v := w.cells[name]; v == nil || v == "" { // fewer negatives than other rows have
			continue
		}
		if text, err = w.text(name); err != nil {
			return "", err
		}
		e.Texts = append(e.Texts, text)
	}
	return Pairs, nil
}

// vector reads a cell that is a list of numbers, in TSV and CSV as JSON.
func (w *row) vector(name string) ([]float32, error) {
	w.used = append(w.used, name)
	list, ok := w.cells[name].([]any)
	if text, isText := w.cells[name].(string); isText {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		ok = d.Decode(&list) == nil
	}
	if !ok || len(list) == 0 {
		return nil, w.fail("column %q is not a list of numbers", name)
	}
	out := make([]float32, len(list))
	for i, v := range list {
		n, _ := v.(json.Number)
		x, err := n.Float64()
		if err != nil || math.IsInf(float64(float32(x)), 0) {
			return nil, w.fail("column %q: value %d is not a number that a float32 can be", name, i+1)
		}
		out[i] = float32(x)
	}
	return out, nil
}
