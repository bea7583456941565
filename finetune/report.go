package finetune

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/internal/files/disk"
	"albert/internal/model"

	"albert/internal/learn/figure"
	"albert/internal/learn/metric"
	"albert/internal/text/dataset"
)

// Measured is how well predictions do: the official metrics, and what a person looks at beside them. What a kind of task does not have is
// nil.
type Measured struct {
	Scores      metric.Scores
	Report      *Table                    // of classes, of several labels, of types of entities, of choices
	Confusion   *Confusion                // of classes and choices, up to 200 of them
	Calibration *metric.CalibrationReport // of classes and choices
	Worst       []Worst                   // as many as were asked for, the worst first
	Notes       []string                  // what was left out of the data, and what else a reader of the scores should know

	threshold *float64 // of questions without answers: the best one
}

// Table has a row for each class, and the averages over them.
type Table struct {
	Rows     []Row      `json:"classes"`
	Accuracy float64    `json:"accuracy"` // of several labels the share of examples whose labels are all right; of tags that of tags
	Micro    metric.PRF `json:"micro avg"`
	Macro    metric.PRF `json:"macro avg"`
	Weighted metric.PRF `json:"weighted avg"`
}

// Row is a class's.
type Row struct {
	Label string `json:"label"`
	metric.PRF
}

// Confusion counts examples in Matrix[true][predicted].
type Confusion struct {
	Labels []string `json:"labels"`
	Matrix [][]int  `json:"matrix"`
}

// maxConfused bounds a confusion matrix: nobody looks at a larger one.
const maxConfused = 200

// Worst is an example that was answered badly.
type Worst struct {
	ID        string   `json:"id,omitempty"`
	Text      string   `json:"text,omitempty"`
	Pair      *string  `json:"text_pair,omitempty"`
	Question  string   `json:"question,omitempty"`
	Context   string   `json:"context,omitempty"`
	Choices   []string `json:"choices,omitempty"`
	Gold      any      `json:"gold"`
	Predicted any      `json:"predicted"`
	// Score is the probability of the truth (of several labels the geometric mean over them, of tags the lowest of the sentence), the
	// error of a number, the F1 of an answer in percent.
	Score float64 `json:"score"`
	At    string  `json:"at"` // file:line
}

// MarshalJSON writes one object: the official metrics by their names, then "report", "confusion", "calibration", "worst" and "data_notes",
// those that there are.
func (m *Measured) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(m.Scores)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(text[:len(text)-1])
	for _, f := range []struct {
		name  string
		value any
		there bool
	}{{"report", m.Report, m.Report != nil}, {"confusion", m.Confusion, m.Confusion != nil}, {"calibration", m.Calibration, m.Calibration != nil},
		{"worst", m.Worst, m.Worst != nil}, {"data_notes", m.Notes, m.Notes != nil}} {
		if !f.there {
			continue
		}
		v, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:%s", f.name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// What a run shows of its best model: report.json, with so many of the worst examples, and the confusion matrix.
const (
	reportFile    = "report.json"
	confusionFile = "confusion.svg"
	worstReported = 20
)

// report writes the report into a run directory.
func (m *Measured) report(dir string) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, reportFile), append(text, '\n'))
}

// draw draws the confusion matrix, where there is one, into a run directory.
func (m *Measured) draw(dir string) error {
	if m.Confusion == nil {
		return nil
	}
	return figure.Confusion(filepath.Join(dir, confusionFile), m.Confusion.Labels, m.Confusion.Matrix)
}

// Measure scores predictions and describes them, with the worst n examples.
func Measure(set *dataset.Set, p *Predictions, n int) (*Measured, error) {
	scores, threshold, err := Score(set, p)
	if err != nil {
		return nil, err
	}
	m := &Measured{Scores: scores, threshold: threshold}
	known := labelled(set)
	if len(known) == 0 {
		return m, nil
	}
	set, p = only(set, p, known)
	switch set.Task.Kind {
	case model.Classify, model.Choice:
		err = m.classes(set, p)
	case model.MultiLabel:
		var r *metric.MultiLabelReport
		if r, err = metric.MultiLabel(goldLabels(set), p.Multi); err == nil {
			m.Report = table(set.Labels, r.Labels, r.SubsetAccuracy, r.Micro, r.Macro, r.Weighted)
		}
	case model.Tag:
		var r *metric.TagReport
		if r, err = compareTags(set, p); err == nil {
			m.Report = table(r.Types, r.Entities, r.Accuracy, r.Micro, r.Macro, r.Weighted)
		}
	}
	if err != nil {
		return nil, err
	}
	if n > 0 {
		m.Worst, err = worst(set, p, threshold, n)
	}
	return m, err
}

func table(names []string, rows []metric.PRF, accuracy float64, micro, macro, weighted metric.PRF) *Table {
	t := &Table{Accuracy: accuracy, Micro: micro, Macro: macro, Weighted: weighted}
	for i, r := range rows {
		t.Rows = append(t.Rows, Row{names[i], r})
	}
	return t
}

// classes describes predictions of classes or choices.
func (m *Measured) classes(set *dataset.Set, p *Predictions) error {
	names := set.Labels
	if set.Task.Kind == model.Choice {
		most := 0
		for _, e := range set.Examples {
			most = max(most, len(e.Choices))
		}
		names = make([]string, most)
		for i := range names {
			names[i] = letter(i)
		}
	}
	gold := make([]int, len(set.Examples))
	for i, e := range set.Examples {
		gold[i] = e.Label
	}
	r, err := metric.Report(gold, p.Labels)
	if err != nil {
		return err
	}
	var there []string
	for _, l := range r.Labels {
		there = append(there, names[l])
	}
	m.Report = table(there, r.Classes, r.Accuracy, r.Micro, r.Macro, r.Weighted)
	if len(names) <= maxConfused {
		matrix, err := metric.Confusion(gold, p.Labels, len(names))
		if err != nil {
			return err
		}
		m.Confusion = &Confusion{names, matrix}
	}
	if len(p.Scores) == 0 { // read from a file
		return nil
	}
	confidence, correct := make([]float64, len(gold)), make([]bool, len(gold))
	for i, s := range p.Scores {
		confidence[i], correct[i] = min(1, slices.Max(s)), p.Labels[i] == gold[i]
		if math.IsNaN(confidence[i]) { // a model that overflows: there is nothing to calibrate
			return nil
		}
	}
	m.Calibration, err = metric.Calibration(confidence, correct)
	return err
}

// letter names a choice, as RACE does.
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprint(i)
}

// worst lists the n examples that were answered worst.
func worst(set *dataset.Set, p *Predictions, threshold *float64, n int) ([]Worst, error) {
	var answers []string
	if set.Task.Kind == model.Answer {
		answers = p.Answers(threshold)
	}
	return worstOf(set, p, answers, n)
}

// worstOf is worst; of questions only their answers are looked at.
func worstOf(set *dataset.Set, p *Predictions, answers []string, n int) ([]Worst, error) {
	list := make([]Worst, 0, len(set.Examples))
	ascending := 1.0 // the lowest score is the worst
	var questions []metric.Question
	if set.Task.Kind == model.Answer {
		questions = Questions(set)
	}
	for i := range set.Examples {
		e := &set.Examples[i]
		w := Worst{ID: e.ID, Text: e.Text, Question: e.Question, Context: e.Context, Choices: e.Choices, At: e.Place()}
		if e.HasPair {
			w.Pair = &e.Pair
		}
		switch set.Task.Kind {
		case model.Classify:
			w.Gold, w.Predicted = set.Labels[e.Label], set.Labels[p.Labels[i]]
			w.Score = p.truth(i, e.Label)
		case model.Choice:
			w.Gold, w.Predicted = letter(e.Label), letter(p.Labels[i])
			w.Score = p.truth(i, e.Label)
		case model.MultiLabel:
			gold, predicted := []string{}, []string{}
			sum := 0.0
			for l, name := range set.Labels {
				q := p.Scores[i][l]
				if slices.Contains(e.Labels, l) {
					gold = append(gold, name)
				} else {
					q = 1 - q
				}
				if p.Multi[i][l] {
					predicted = append(predicted, name)
				}
				sum += math.Log(max(q, math.SmallestNonzeroFloat64))
			}
			w.Gold, w.Predicted, w.Score = gold, predicted, math.Exp(sum/float64(max(1, len(set.Labels))))
		case model.Regress, model.Rank:
			ascending = -1
			w.Gold, w.Predicted, w.Score = e.Score, p.Values[i], math.Abs(e.Score-p.Values[i])
		case model.Tag:
			gold := make([]string, len(e.Labels))
			w.Text, w.Score = strings.Join(e.Words, " "), 1
			for k, l := range e.Labels {
				gold[k] = set.Labels[l]
				switch {
				case p.Words[i][k] != nil:
					w.Score = min(w.Score, p.Words[i][k][l])
				case gold[k] != p.Tags[i][k]:
					w.Score = 0
				}
			}
			w.Gold, w.Predicted = gold, p.Tags[i]
		case model.Answer:
			texts := []string{}
			for _, a := range e.Answers {
				if !slices.Contains(texts, a.Text) {
					texts = append(texts, a.Text)
				}
			}
			w.Gold, w.Predicted = texts, answers[i]
			s, err := metric.SQuAD2(questions[i:i+1], map[string]string{e.ID: answers[i]}, nil, metric.NullThreshold)
			if err == nil {
				w.Score, err = s.Get("f1")
			}
			if err != nil {
				return nil, err
			}
		}
		if math.IsNaN(w.Score) || math.IsInf(w.Score, 0) { // JSON has none of these
			w.Score = 0
			if ascending < 0 {
				w.Predicted, w.Score = fmt.Sprint(w.Predicted), math.MaxFloat64
			}
		}
		list = append(list, w)
	}
	slices.SortStableFunc(list, func(a, b Worst) int { return cmp.Compare(ascending*a.Score, ascending*b.Score) })
	return list[:min(n, len(list))], nil
}

// truth is the probability that example i's true class was given; where there are only labels 1 or 0.
func (p *Predictions) truth(i, label int) float64 {
	if len(p.Scores) > 0 {
		return p.Scores[i][label]
	}
	if p.Labels[i] == label {
		return 1
	}
	return 0
}

// Write writes the report for people: a row for each class, the confusion matrix, how far confidence can be trusted.
func (m *Measured) Write(w io.Writer) error {
	var b strings.Builder
	if r := m.Report; r != nil {
		width := len("weighted avg")
		for _, x := range r.Rows {
			width = max(width, utf8.RuneCountInString(x.Label))
		}
		row := func(label string, x metric.PRF) {
			fmt.Fprintf(&b, "%*s %10.4f %10.4f %10.4f %10d\n", width, label, x.Precision, x.Recall, x.F1, x.Support)
		}
		fmt.Fprintf(&b, "\n%*s %10s %10s %10s %10s\n", width, "", "precision", "recall", "f1-score", "support")
		for _, x := range r.Rows {
			row(x.Label, x.PRF)
		}
		fmt.Fprintf(&b, "%*s %10s %10s %10.4f %10d\n", width, "accuracy", "", "", r.Accuracy, r.Weighted.Support)
		row("micro avg", r.Micro)
		row("macro avg", r.Macro)
		row("weighted avg", r.Weighted)
	}
	if c := m.Confusion; c != nil && len(c.Labels) <= 20 {
		width, cell := len("true \\ predicted"), 6
		for _, l := range c.Labels {
			width, cell = max(width, utf8.RuneCountInString(l)), max(cell, utf8.RuneCountInString(l))
		}
		fmt.Fprintf(&b, "\n%*s", width, "true \\ predicted")
		for _, l := range c.Labels {
			fmt.Fprintf(&b, " %*s", cell, l)
		}
		for i, l := range c.Labels {
			fmt.Fprintf(&b, "\n%*s", width, l)
			for _, n := range c.Matrix[i] {
				fmt.Fprintf(&b, " %*d", cell, n)
			}
		}
		b.WriteByte('\n')
	}
	if c := m.Calibration; c != nil {
		fmt.Fprintf(&b, "\nexpected calibration error %.4f\n%-13s %8s %11s %9s\n", c.ECE, "confidence", "examples", "mean", "accuracy")
		for _, bin := range c.Bins {
			if bin.Count > 0 {
				fmt.Fprintf(&b, "%.3f - %.3f %8d %11.4f %9.4f\n", bin.Low, bin.High, bin.Count, bin.Confidence, bin.Accuracy)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// labelled lists the examples that have a truth to be measured by.
func labelled(set *dataset.Set) []int {
	var list []int
	for i, e := range set.Examples {
		known := false
		switch set.Task.Kind {
		case model.Classify, model.Choice:
			known = e.Label >= 0
		case model.Regress, model.Rank:
			known = e.Score == e.Score
		case model.MultiLabel:
			known = e.Labels != nil
		case model.Tag:
			known = e.Labels != nil || len(e.Words) == 0
		case model.Answer:
			known = e.Impossible || len(e.Answers) > 0
		}
		if known {
			list = append(list, i)
		}
	}
	return list
}

// only gives some of the examples, with their predictions.
func only(set *dataset.Set, p *Predictions, which []int) (*dataset.Set, *Predictions) {
	if len(which) == len(set.Examples) {
		return set, p
	}
	s := *set
	s.Examples = choose(set.Examples, which)
	q := *p
	q.Labels, q.Scores, q.Values = choose(p.Labels, which), choose(p.Scores, which), choose(p.Values, which)
	q.Multi, q.Tags, q.Words, q.Spans = choose(p.Multi, which), choose(p.Tags, which), choose(p.Words, which), choose(p.Spans, which)
	return &s, &q
}

func choose[T any](list []T, which []int) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(which))
	for k, i := range which {
		out[k] = list[i]
	}
	return out
}

// goldLabels are the labels that hold, for each example and label.
func goldLabels(set *dataset.Set) [][]bool {
	gold := make([][]bool, len(set.Examples))
	for i, e := range set.Examples {
		gold[i] = make([]bool, len(set.Labels))
		for _, l := range e.Labels {
			gold[i][l] = true
		}
	}
	return gold
}

// compareTags measures tags as entities or, where they name none, as classes of words.
func compareTags(set *dataset.Set, p *Predictions) (*metric.TagReport, error) {
	if metric.EntityTags(slices.Concat(append(p.Tags, set.Labels)...)) {
		return metric.Tags(goldTags(set), p.Tags)
	}
	return metric.WordTags(goldTags(set), p.Tags)
}

// goldTags are the names of each word's tag.
func goldTags(set *dataset.Set) [][]string {
	gold := make([][]string, len(set.Examples))
	for i, e := range set.Examples {
		for _, l := range e.Labels {
			gold[i] = append(gold[i], set.Labels[l])
		}
	}
	return gold
}
