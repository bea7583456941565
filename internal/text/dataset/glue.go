package dataset

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"albert/internal/model"
)

// glueForm is how a task of GLUE is distributed: tab-separated files in a folder, nothing quoted.
type glueForm struct {
	folders          []string // names of the task's folder
	train, dev, test []string // names of its files; the first that exists is read
	text, pair       string   // columns by name; pair may be ""
	label            string
	lastLabel        bool // the label is a row's last field, and rows may be longer than the header
	noHeader         bool // train and dev have no header; their columns are source, label, the author's mark, sentence
	skipBroken       bool // rows of train and dev with too few columns, cut by line breaks in texts, are left out
}

var (
	colaForm = glueForm{folders: []string{"CoLA"}, text: "sentence", label: "label", noHeader: true}
	sst2Form = glueForm{folders: []string{"SST-2", "SST"}, text: "sentence", label: "label"}
	mrpcForm = glueForm{folders: []string{"MRPC"}, test: []string{"test.tsv", "msr_paraphrase_test.txt"},
		text: "#1 String", pair: "#2 String", label: "Quality"}
	stsbForm = glueForm{folders: []string{"STS-B", "STS"}, text: "sentence1", pair: "sentence2", label: "score"}
	qqpForm  = glueForm{folders: []string{"QQP"}, text: "question1", pair: "question2", label: "is_duplicate", skipBroken: true}
	mnliForm = glueForm{folders: []string{"MNLI"}, dev: []string{"dev_matched.tsv", "dev.tsv"}, test: []string{"test_matched.tsv", "test.tsv"},
		text: "sentence1", pair: "sentence2", label: "gold_label", lastLabel: true}
	mnliMMForm = glueForm{folders: []string{"MNLI"}, dev: []string{"dev_mismatched.tsv"}, test: []string{"test_mismatched.tsv"},
		text: "sentence1", pair: "sentence2", label: "gold_label", lastLabel: true}
	qnliForm = glueForm{folders: []string{"QNLI"}, text: "question", pair: "sentence", label: "label"}
	rteForm  = glueForm{folders: []string{"RTE"}, text: "sentence1", pair: "sentence2", label: "label"}
	wnliForm = glueForm{folders: []string{"WNLI"}, text: "sentence1", pair: "sentence2", label: "label"}
	axForm   = glueForm{folders: []string{"AX", "diagnostic"}, test: []string{"diagnostic.tsv"},
		text: "sentence1", pair: "sentence2", label: "label"}
)

// names lists the names that a split's file may have.
func (g *glueForm) names(s Split) []string {
	names := map[Split][]string{Train: g.train, Dev: g.dev, Test: g.test}[s]
	if names == nil {
		names = []string{string(s) + ".tsv"}
	}
	return names
}

// noGold stands for the label in MNLI where the annotators did not agree: such pairs are left out.
const noGold = "-"

// glueTable is one of GLUE's files while it is read.
type glueTable struct {
	*glueForm
	file                  string
	header                []string
	text, pair, label, id int // columns, from 0; -1: there is none
	rows                  int
	broken, firstBroken   int // number of lines with too few columns that were left out, and the first of these lines
	withoutGold           int // pairs without a gold label that were left out
}

// glue reads one of GLUE's files.
func (r *reader) glue(in *input) error {
	switch in.kind {
	case ".csv", ".json", ".jsonl", ".parquet":
		return fmt.Errorf("%s: task %s is read from GLUE's tab-separated files; for other files of the same data use the task %s",
			in.name, r.set.Task.Name, r.set.Task.Kind)
	}
	l := linesOf(in)
	line, err := l.next()
	if err == io.EOF {
		return fmt.Errorf("%s: %w", in.name, errEmpty)
	}
	if err != nil {
		return err
	}
	t := &glueTable{glueForm: r.set.Task.glue, file: in.name}
	isRow, err := t.readHeader(line, r.set.Split)
	for ; err == nil; line, err = l.next() {
		if isRow && line != "" {
			if err := r.glueRow(t, line, l.Number); err != nil {
				return err
			}
		}
		isRow = true
	}
	if err != io.EOF {
		return err
	}
	r.set.Skipped += t.broken + t.withoutGold
	if t.broken > 0 {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %d lines with too few columns left out (the first is line %d)", t.file, t.broken, t.firstBroken))
	}
	if t.withoutGold > 0 {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %d pairs without a gold label (%q) left out", t.file, t.withoutGold, noGold))
	}
	return nil
}

// readHeader finds the columns by the first line, and tells whether that is a row itself, as in files without a header.
func (t *glueTable) readHeader(line string, split Split) (isRow bool, err error) {
	t.header = strings.Split(line, "\t")
	for i, name := range t.header {
		t.header[i] = strings.TrimSpace(name)
	}
	column := func(name string) int {
		if name == "" {
			return -1
		}
		return slices.Index(t.header, name)
	}
	t.text, t.pair, t.label = column(t.glueForm.text), column(t.glueForm.pair), column(t.glueForm.label)
	t.id = max(column("index"), column("id"))
	texts := t.text >= 0 && (t.glueForm.pair == "" || t.pair >= 0)
	switch {
	case texts && (t.label >= 0 || split == Test):
		return false, nil
	case t.noHeader && len(t.header) == 4 && t.text < 0:
		t.text, t.label, t.id = 3, 1, -1
		return true, nil
	case texts:
		return false, fmt.Errorf("%s: no column %q: is this a test set? There are %s", place(t.file, 1), t.glueForm.label, list(t.header))
	}
	what := fmt.Sprintf("%q", t.glueForm.text)
	if t.glueForm.pair != "" {
		what += fmt.Sprintf(" and %q", t.glueForm.pair)
	}
	return false, fmt.Errorf("%s: not a file of %s, which has the columns %s; there are %s", place(t.file, 1), t.folders[0], what, list(t.header))
}

// glueRow adds the example of a line.
func (r *reader) glueRow(t *glueTable, line string, number int) error {
	f := strings.Split(line, "\t")
	at := place(t.file, number)
	switch {
	case len(f) < len(t.header) && t.skipBroken && r.set.Split != Test:
		if t.broken++; t.broken == 1 {
			t.firstBroken = number
		}
		return nil
	case len(f) < len(t.header) || len(f) > len(t.header) && !t.lastLabel:
		return fmt.Errorf("%s: %d columns, where there are %d in line 1", at, len(f), len(t.header))
	}
	e := unlabelled(t.file, number)
	e.ID = strconv.Itoa(t.rows)
	t.rows++
	if t.id >= 0 {
		e.ID = strings.Clone(strings.TrimSpace(f[t.id])) // or the whole row, parse trees included, would stay in memory
	}
	e.Text = strings.Clone(f[t.text])
	if t.pair >= 0 {
		e.Pair, e.HasPair = strings.Clone(f[t.pair]), true
	}
	if t.label >= 0 {
		gold := f[t.label]
		if t.lastLabel {
			gold = f[len(f)-1]
		}
		gold = strings.TrimSpace(gold)
		if t.lastLabel && gold == noGold {
			t.withoutGold++
			return nil
		}
		if err := r.label(&e, gold); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return r.add(e)
}

// label gives an example its label or, in STS-B, its score.
func (r *reader) label(e *Example, text string) error {
	if r.set.Task.Kind == model.Regress {
		v, err := score(text)
		e.Score = v
		return err
	}
	i, err := r.labels.id(text)
	if err == nil {
		e.Label = i
	}
	return err
}

func score(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return math.NaN(), fmt.Errorf("no score (the field is empty)")
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return math.NaN(), fmt.Errorf("the score %q is not a number", short(text))
	}
	return v, nil
}
