package dataset

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// glueForm is how a task of GLUE is distributed: tab-separated files in a folder, nothing quoted.
type glueForm struct {
	folders          []string // by what names the task's folder goes
	train, dev, test []string // by what names its files go, the first that is there
	text, pair       string   // columns by name; pair may be ""
	label            string
	lastLabel        bool // the label is a row's last field, and rows may be longer than the header
	bare             bool // train and dev have no header: source, label, the author's mark, sentence
	skipShort        bool // rows of train and dev that line breaks in texts broke are left out
}

var (
	colaForm = glueForm{folders: []string{"CoLA"}, text: "sentence", label: "label", bare: true}
	sst2Form = glueForm{folders: []string{"SST-2", "SST"}, text: "sentence", label: "label"}
	mrpcForm = glueForm{folders: []string{"MRPC"}, test: []string{"test.tsv", "msr_paraphrase_test.txt"},
		text: "#1 String", pair: "#2 String", label: "Quality"}
	stsbForm = glueForm{folders: []string{"STS-B", "STS"}, text: "sentence1", pair: "sentence2", label: "score"}
	qqpForm  = glueForm{folders: []string{"QQP"}, text: "question1", pair: "question2", label: "is_duplicate", skipShort: true}
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

// names are the names that a split's file goes by.
func (g *glueForm) names(s Split) []string {
	names := map[Split][]string{Train: g.train, Dev: g.dev, Test: g.test}[s]
	if names == nil {
		names = []string{string(s) + ".tsv"}
	}
	return names
}

// noGold is what stands in MNLI where the annotators did not agree: such pairs are for nothing.
const noGold = "-"

// glue reads one of GLUE's files.
func (r *reader) glue(in *input) error {
	switch in.kind {
	case ".csv", ".json", ".jsonl", ".parquet":
		return fmt.Errorf("%s: task %s is read from GLUE's tab-separated files; for other files of the same data use the task %s",
			in.name, r.set.Task.Name, r.set.Task.Kind)
	}
	g := r.set.Task.glue
	l := linesOf(in)
	line, err := l.next()
	if err == io.EOF {
		return fmt.Errorf("%s: %w", in.name, errEmpty)
	}
	if err != nil {
		return err
	}
	header := strings.Split(line, "\t")
	for i, name := range header {
		header[i] = strings.TrimSpace(name)
	}
	column := func(name string) int {
		if name == "" {
			return -1
		}
		return slices.Index(header, name)
	}
	text, pair, label := column(g.text), column(g.pair), column(g.label)
	id := max(column("index"), column("id"))
	first, pending := line, false
	switch {
	case text >= 0 && (g.pair == "" || pair >= 0) && (label >= 0 || r.set.Split == Test):
	case g.bare && len(header) == 4 && text < 0:
		text, label, id, pending = 3, 1, -1, true
	case text >= 0 && (g.pair == "" || pair >= 0):
		return fmt.Errorf("%s: no column %q: is this a test set? There are %s", place(in.name, 1), g.label, list(header))
	default:
		what := fmt.Sprintf("%q", g.text)
		if g.pair != "" {
			what += fmt.Sprintf(" and %q", g.pair)
		}
		return fmt.Errorf("%s: not a file of %s, which has the columns %s; there are %s", place(in.name, 1), g.folders[0], what,
			list(header))
	}
	short, ungold, firstShort := 0, 0, 0
	for row := 0; ; {
		line := first
		if !pending {
			if line, err = l.next(); err != nil {
				break
			}
		}
		pending = false
		if line == "" {
			continue
		}
		f := strings.Split(line, "\t")
		at := place(in.name, l.Number)
		switch {
		case len(f) < len(header) && g.skipShort && r.set.Split != Test:
			if short++; short == 1 {
				firstShort = l.Number
			}
			continue
		case len(f) < len(header) || len(f) > len(header) && !g.lastLabel:
			return fmt.Errorf("%s: %d columns, where there are %d in line 1", at, len(f), len(header))
		}
		e := unlabelled(in.name, l.Number)
		e.ID = strconv.Itoa(row)
		row++
		if id >= 0 {
			e.ID = strings.Clone(strings.TrimSpace(f[id])) // not to keep the whole row, parses and all
		}
		e.Text = strings.Clone(f[text])
		if pair >= 0 {
			e.Pair, e.HasPair = strings.Clone(f[pair]), true
		}
		if label >= 0 {
			gold := f[label]
			if g.lastLabel {
				gold = f[len(f)-1]
			}
			gold = strings.TrimSpace(gold)
			if g.lastLabel && gold == noGold {
				ungold++
				continue
			}
			if err := r.label(&e, gold); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
		if err := r.add(e); err != nil {
			return err
		}
	}
	if err := eof(err); err != nil {
		return err
	}
	r.set.Skipped += short + ungold
	if short > 0 {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %d lines with too few columns left out (the first is line %d)",
			in.name, short, firstShort))
	}
	if ungold > 0 {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %d pairs without a gold label (%q) left out", in.name, ungold, noGold))
	}
	return nil
}

// label gives an example of Classify its label, one of Regress its score.
func (r *reader) label(e *Example, text string) error {
	if r.set.Task.Kind == Regress {
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
