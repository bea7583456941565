package finetune

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"albert/internal/engine/cpu"
	"albert/internal/files/jsonobject"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// submissions predicts the test sets, on all ranks, and packs what a leaderboard takes.
func (c *job) submissions(ctx context.Context, dev *cpu.Device, test *dataset.Set, result *Result) error {
	held, tests, err := c.mnli()
	tests = append([]*dataset.Set{test}, tests...)
	if err = train.Agree(c.World, err); err != nil {
		return err
	}
	var read jsonobject.Fields
	for _, set := range append(tests, held) {
		if set != nil {
			read = append(read, jsonobject.Field{Name: fmt.Sprintf("%s %s data", set.Task.Name, set.Split), Value: hashes(set)})
		}
	}
	if err := train.Alike(c.World, read); err != nil || len(read) == 0 {
		return err
	}
	dir, remove, err := train.Copied(c.World, run.Dir(c.Output).Model())
	defer remove()
	if err != nil {
		return err
	}
	if held != nil {
		if result.Mismatched, err = c.mismatched(ctx, dir, dev, held); err != nil {
			return err
		}
	}
	for _, set := range tests {
		if set == nil {
			continue
		}
		paths, err := c.submit(ctx, dir, dev, set)
		if err != nil {
			return err
		}
		result.Submissions = append(result.Submissions, paths...)
	}
	if c.Task.Submission == "" || len(result.Submissions) == 0 {
		return nil
	}
	note, err := zipSubmissions(c.Output)
	if note != "" {
		c.message("%s", note)
	}
	return err
}

// submit predicts a test set with the result, whose copy is in dir, and writes the predictions in the form that the task's leaderboard takes.
func (c *job) submit(ctx context.Context, dir string, dev *cpu.Device, set *dataset.Set) (paths []string, err error) {
	m, p, err := c.predictWith(ctx, dir, dev, set)
	if err == nil && p != nil {
		paths, err = WritePredictions(c.Output, set, p, infer.NullThreshold(&m.Config))
	}
	return paths, train.Agree(c.World, err)
}

// predictor runs a fine-tuned model over a set.
type predictor struct {
	features *Features
	head     *task.Objective
	dev      *cpu.Device
}

func (x *predictor) predict(ctx context.Context) (*Predictions, error) {
	return x.features.Predict(ctx, x.head, x.dev)
}

func newPredictor(m *formats.Model, dev *cpu.Device, set *dataset.Set, s Settings, precision infer.Precision) (*predictor, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer", m.Path)
	}
	kind := set.Task.Kind
	want := heads(set, kind == model.Answer && m.Beam.Start.W != nil)
	switch {
	case want.Labels > 0 && (m.Classifier.W == nil || m.Classifier.W.Rows() != want.Labels):
		has := "none"
		if m.Classifier.W != nil {
			has = fmt.Sprint(m.Classifier.W.Rows())
		}
		return nil, fmt.Errorf("%s: task %s needs a classifier of %d outputs, the model has %s: fine-tune it first", m.Path, set.Task.Name, want.Labels, has)
	case want.Spans && m.Model.Spans.W == nil:
		return nil, fmt.Errorf("%s: task %s needs a head for answers (qa_outputs, or start_logits, end_logits and answer_class): fine-tune the model first", m.Path, set.Task.Name)
	case want.Pooler && m.Pooler.W == nil:
		return nil, fmt.Errorf("%s: the model has no pooler, which its head needs", m.Path)
	}
	if kind == model.Rank && m.MaxLength > 0 {
		s.MaxSeqLength = min(s.MaxSeqLength, m.MaxLength)
	}
	note := inOrder(m, set)
	f, err := NewFeatures(set, m.Tokenizer, s, false)
	if err != nil {
		return nil, err
	}
	if note != "" {
		f.notes = append(f.notes, note)
	}
	if dev, err = infer.Prepare(m, precision, dev); err != nil {
		return nil, err
	}
	return &predictor{f, &task.Objective{Kind: kind, Model: m.Model, Device: dev}, dev}, nil
}

// WritePredictions writes predictions into a directory in the forms that scoring scripts and leaderboards take, and gives the paths.
func WritePredictions(dir string, set *dataset.Set, p *Predictions, threshold *float64) (paths []string, err error) {
	write := func(name string, f func(path string) error) {
		path := filepath.Join(dir, name)
		if err == nil {
			err = f(path)
			paths = append(paths, path)
		}
	}
	switch set.Task.Kind {
	case model.Answer:
		write("predictions.json", func(path string) error { return dataset.WriteAnswers(path, set, p.Answers(threshold)) })
		write("nbest_predictions.json", func(path string) error { return dataset.WriteNBest(path, set, p.candidates()) })
		if set.Task.Impossible {
			write("null_odds.json", func(path string) error { return dataset.WriteNullOdds(path, set, p.NullOdds()) })
		}
		return paths, err
	case model.Choice:
		write("predictions.json", func(path string) error { return dataset.WriteChoices(path, set, p.Labels) })
		return paths, err
	}
	switch set.Task.Kind {
	case model.MultiLabel:
		lists := make([][]string, len(p.Multi))
		for i, chosen := range p.Multi {
			for l, yes := range chosen {
				if yes {
					lists[i] = append(lists[i], set.Labels[l])
				}
			}
		}
		write("predictions.json", func(path string) error { return dataset.WriteLists(path, set, lists) })
		return paths, err
	case model.Tag:
		write("predictions.json", func(path string) error { return dataset.WriteLists(path, set, p.Tags) })
		return paths, err
	}
	words := make([]string, len(set.Examples))
	for i := range words {
		switch {
		case set.Task.Kind == model.Classify:
			words[i] = set.Labels[p.Labels[i]]
		case set.Task.Submission != "": // as the leaderboard's examples have it
			words[i] = fmt.Sprintf("%.3f", p.Values[i])
		default:
			words[i] = strconv.FormatFloat(p.Values[i], 'g', -1, 64)
		}
	}
	if set.Task.Submission == "" {
		write("predictions.tsv", func(path string) error { return dataset.WriteTable(path, set, words) })
		return paths, err
	}
	path, err := dataset.WriteSubmission(dir, set, words)
	return []string{path}, err
}

// candidates are the best spans of each question.
func (p *Predictions) candidates() [][]dataset.Candidate {
	out := make([][]dataset.Candidate, len(p.Spans))
	for i, s := range p.Spans {
		var logits []float32
		for _, b := range s.Best {
			logits = append(logits, b.Logit)
		}
		if len(logits) == 0 {
			out[i] = []dataset.Candidate{{Probability: 1}}
			continue
		}
		for k, q := range scores(model.Answer, logits) {
			out[i] = append(out[i], dataset.Candidate{Text: s.Best[k].Text, Probability: q, StartLogProb: float64(s.Best[k].StartLogit),
				EndLogProb: float64(s.Best[k].EndLogit)})
		}
	}
	return out
}
