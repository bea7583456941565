package finetune

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/files/disk"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/metric"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// Evaluation says which model is measured, and on what.
type Evaluation struct {
	Model     string
	With      []string // further models, whose predictions are averaged with its own
	Task      dataset.Task
	Data      []string // a folder, or files
	Split     dataset.Split
	Options   dataset.Options
	Labels    []string // names of the model's classes in its order, instead of its configuration's; nil: those
	Settings  Settings
	Threads   int
	Precision infer.Precision
	Worst     int    // so many of the examples that were answered worst are listed
	Output    string // where predictions are written; "": nowhere
}

// load reads data that is a folder or files.
func load(t dataset.Task, data []string, split dataset.Split, o dataset.Options) (*dataset.Set, error) {
	if t.Name == "ax" { // GLUE's diagnostic set has no other
		split = dataset.Test
	}
	if len(data) == 1 {
		if st, err := os.Stat(data[0]); err == nil && st.IsDir() {
			return dataset.Load(t, data[0], split, o)
		}
	}
	return dataset.Read(t, split, data, o)
}

// Evaluate measures a fine-tuned model, or the mean of several, by the official metrics.
func Evaluate(ctx context.Context, e Evaluation) (*Measured, error) {
	dev, err := cpu.New("", e.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	var set *dataset.Set
	var notes []string
	var all []*Predictions
	var thresholds []float64
	for i, path := range append([]string{e.Model}, e.With...) {
		m, err := formats.Open(path) // one model at a time is in memory
		if err != nil {
			return nil, err
		}
		if err := nameOutputs(m, e.Labels); err != nil {
			return nil, err
		}
		if i == 0 {
			if o := e.Task; o.Labels == nil && (o.Kind == model.Classify || o.Kind == model.MultiLabel || o.Kind == model.Tag) && m.Classifier.W != nil {
				if named, all := infer.Labels(&m.Config, m.Classifier.W.Rows()); all {
					e.Options.Labels = named
				}
			}
			if set, err = load(e.Task, e.Data, e.Split, e.Options); err != nil {
				return nil, err
			}
			if len(set.Examples) == 0 {
				return nil, fmt.Errorf("%s: there are no examples", strings.Join(e.Data, ", "))
			}
			notes = notesOf(set)
		}
		s := e.Settings
		s.MaxSeqLength = min(s.MaxSeqLength, m.Config.MaxPositionEmbeddings)
		x, err := newPredictor(m, dev, set, s, e.Precision)
		if err != nil {
			return nil, err
		}
		p, err := x.predict(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
		for _, n := range x.features.Notes() {
			if !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
		if t := infer.NullThreshold(&m.Config); t != nil {
			thresholds = append(thresholds, *t)
		}
	}
	p, err := average(set, all)
	if err != nil {
		return nil, err
	}
	if e.Output != "" {
		if err := disk.MkdirAll(e.Output); err != nil {
			return nil, err
		}
		var null *float64 // the mean of those that have one
		for i, t := range thresholds {
			if i == 0 {
				null = new(float64)
			}
			*null += t / float64(len(thresholds))
		}
		if _, err := WritePredictions(e.Output, set, p, null); err != nil {
			return nil, err
		}
	}
	measured, err := Measure(set, p, e.Worst)
	if err != nil {
		return nil, err
	}
	measured.Notes = notes
	if e.Output != "" && set.Task.Submission != "" && set.Split == dataset.Test {
		note, err := zipSubmissions(e.Output)
		if err != nil {
			return nil, err
		}
		if note != "" {
			measured.Notes = append(measured.Notes, note)
		}
	}
	return measured, nil
}

// zipSubmissions keeps dir/submission.zip of the predictions for GLUE's test sets that lie in dir, and says which are missing.
func zipSubmissions(dir string) (note string, err error) {
	path := filepath.Join(dir, "submission.zip")
	found, missing, err := dataset.ZipSubmissions(path, dir)
	if err == nil && len(missing) > 0 {
		note = fmt.Sprintf("%s: %d of %d files; missing: %s", path, found, found+len(missing), strings.Join(missing, ", "))
	}
	return note, err
}

// inOrder puts a classifier's outputs into the order of a set's labels, where the model names the same labels in another one: MNLI's
// three, say, stand in a different order in every project. Where it names others they are taken by their order, which the note says.
func inOrder(m *formats.Model, set *dataset.Set) (note string) {
	c := m.Classifier
	if c.W == nil || len(set.Labels) != c.W.Rows() || set.Task.Kind == model.Regress || set.Task.Kind == model.Choice {
		return ""
	}
	named, _ := infer.Labels(&m.Config, c.W.Rows())
	byOrder := fmt.Sprintf("%s calls its classes %s: they are taken in this order as %s; --labels A,B,... names them in the model's order", m.Path,
		strings.Join(named, ", "), strings.Join(set.Labels, ", "))
	from := make([]int, len(named))
	for i, l := range set.Labels {
		k := slices.IndexFunc(named, func(n string) bool { return strings.EqualFold(n, l) })
		if k < 0 {
			return byOrder
		}
		from[i], named[k] = k, "" // a name stands for one output
	}
	width := len(c.W.Data) / len(from)
	w, b := slices.Clone(c.W.Data), slices.Clone(c.B.Data)
	var q ops.Int8
	if c.W.Int8 != nil {
		q = ops.Int8{Data: slices.Clone(c.W.Int8.Data), Scale: slices.Clone(c.W.Int8.Scale)}
	}
	for i, k := range from {
		copy(c.W.Data[i*width:(i+1)*width], w[k*width:])
		c.B.Data[i] = b[k]
		if c.W.Int8 != nil {
			copy(c.W.Int8.Data[i*width:(i+1)*width], q.Data[k*width:])
			c.W.Int8.Scale[i] = q.Scale[k]
		}
	}
	m.Params.Touch()
	return ""
}

// nameOutputs gives a model's classes names, in its own order; nil leaves them.
func nameOutputs(m *formats.Model, names []string) error {
	if names == nil {
		return nil
	}
	outputs := 0
	if m.Classifier.W != nil {
		outputs = m.Classifier.W.Rows()
	}
	if len(names) != outputs {
		return &run.FieldError{Field: "Labels", Value: strings.Join(names, ","), Problem: fmt.Sprintf("%d names for the %d classes of %s", len(names), outputs, m.Path)}
	}
	id2label := map[string]string{}
	for i, n := range names {
		id2label[strconv.Itoa(i)] = n
	}
	return m.Config.SetExtra("id2label", id2label)
}

// ScoreFile scores a file of predictions by the official metrics, and lists the worst answers. Without probabilities there is no
// calibration.
func ScoreFile(t dataset.Task, data []string, split dataset.Split, o dataset.Options, path, odds string, worst int) (*Measured, error) {
	set, err := load(t, data, split, o)
	if err != nil {
		return nil, err
	}
	notes := notesOf(set)
	if all, known := len(set.Examples), len(labelled(set)); known < all {
		notes = append(notes, fmt.Sprintf("%s: %d of %d examples have no label: they are not measured", split, all-known, all))
	}
	m, err := scoreFile(set, path, odds, worst)
	if err == nil {
		m.Notes = append(notes, m.Notes...)
	}
	return m, err
}

// scoreFile is ScoreFile for a set that was read.
func scoreFile(set *dataset.Set, path, odds string, worst int) (*Measured, error) {
	if set.Task.Kind == model.MultiLabel || set.Task.Kind == model.Tag {
		lists, err := dataset.ReadLists(path)
		if err != nil {
			return nil, err
		}
		p, err := parseLists(set, lists)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return Measure(set, p, worst)
	}
	answers, err := dataset.ReadPredictions(path)
	if err != nil {
		return nil, err
	}
	if set.Task.Kind == model.Answer {
		set, _ = only(set, &Predictions{}, labelled(set))
		if !set.Task.Impossible {
			s, unanswered, err := metric.SQuAD1(Questions(set), answers)
			if err != nil {
				return nil, err
			}
			m, err := answered(set, answers, s, worst)
			if n := len(unanswered); err == nil && n > 0 {
				m.Notes = append(m.Notes, fmt.Sprintf("%s: %d of %d questions have no prediction and score 0", path, n, len(set.Examples)))
			}
			return m, err
		}
		var null metric.NullOdds
		if odds != "" {
			values, err := dataset.ReadNullOdds(odds)
			if err != nil {
				return nil, err
			}
			for _, e := range set.Examples {
				v, ok := values[e.ID]
				if !ok {
					return nil, fmt.Errorf("%s: no odds of question %s", odds, e.ID)
				}
				null = append(null, metric.NullOdd{ID: e.ID, Odds: v})
			}
		}
		s, err := metric.SQuAD2(Questions(set), answers, null, metric.NullThreshold)
		if err != nil {
			return nil, err
		}
		return answered(set, answers, s, worst)
	}
	p, err := parsePredictions(set, answers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return Measure(set, p, worst)
}

// answered describes answers that were given as texts.
func answered(set *dataset.Set, answers map[string]string, s metric.Scores, n int) (m *Measured, err error) {
	m = &Measured{Scores: s}
	if n > 0 {
		list := make([]string, len(set.Examples))
		for i, e := range set.Examples {
			list[i] = answers[e.ID]
		}
		m.Worst, err = worstOf(set, nil, list, n)
	}
	return m, err
}

// parsePredictions reads labels, numbers or letters of choices.
func parsePredictions(set *dataset.Set, answers map[string]string) (*Predictions, error) {
	p := &Predictions{}
	for _, e := range set.Examples {
		a, ok := answers[e.ID]
		if !ok {
			return nil, fmt.Errorf("no prediction of example %s (%s)", e.ID, e.Place())
		}
		switch set.Task.Kind {
		case model.Classify:
			l := slices.Index(set.Labels, a)
			if l < 0 && set.Task.Labels == nil { // of data of one's own: a label that these examples do not have is wrong
				l = len(set.Labels)
				set.Labels = append(set.Labels, a)
			}
			if l < 0 {
				return nil, fmt.Errorf("example %s: label %q is none of %s", e.ID, a, strings.Join(set.Labels, ", "))
			}
			p.Labels = append(p.Labels, l)
		case model.Choice:
			if len(a) != 1 || a[0] < 'A' || int(a[0]-'A') >= len(e.Choices) {
				return nil, fmt.Errorf("example %s: %q is no letter of a choice", e.ID, a)
			}
			p.Labels = append(p.Labels, int(a[0]-'A'))
		case model.Regress, model.Rank:
			v, err := strconv.ParseFloat(a, 64)
			if err != nil || v != v || math.IsInf(v, 0) {
				return nil, fmt.Errorf("example %s: %q is no number", e.ID, a)
			}
			p.Values = append(p.Values, v)
		default:
			return nil, fmt.Errorf("predictions of task %s are not scored from files", set.Task.Name)
		}
	}
	return p, nil
}

// parseLists reads several labels, or the words' tags; as scores what is given has 1 and all else 0.
func parseLists(set *dataset.Set, lists map[string][]string) (*Predictions, error) {
	p := &Predictions{}
	chosen := make([][]int, len(set.Examples))
	for i, e := range set.Examples {
		list, ok := lists[e.ID]
		switch {
		case !ok:
			return nil, fmt.Errorf("no prediction of example %s (%s)", e.ID, e.Place())
		case set.Task.Kind == model.MultiLabel:
			for _, a := range list {
				l := slices.Index(set.Labels, a)
				if l < 0 { // one that no example has is wrong
					l = len(set.Labels)
					set.Labels = append(set.Labels, a)
				}
				chosen[i] = append(chosen[i], l)
			}
			continue
		case len(list) != len(e.Words):
			return nil, fmt.Errorf("example %s: %d tags for %d words", e.ID, len(list), len(e.Words))
		}
		words := make([][]float64, len(list))
		for k, name := range list {
			words[k] = make([]float64, len(set.Labels))
			if l := slices.Index(set.Labels, name); l >= 0 {
				words[k][l] = 1
			}
		}
		p.Tags, p.Words = append(p.Tags, list), append(p.Words, words)
	}
	if set.Task.Kind == model.MultiLabel {
		for _, list := range chosen {
			row, scores := make([]bool, len(set.Labels)), make([]float64, len(set.Labels))
			for _, l := range list {
				row[l], scores[l] = true, 1
			}
			p.Multi, p.Scores = append(p.Multi, row), append(p.Scores, scores)
		}
	}
	return p, nil
}
