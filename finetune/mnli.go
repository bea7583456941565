package finetune

import (
	"context"
	"encoding/json"
	"errors"

	"albert/internal/engine/cpu"
	"albert/internal/formats"
	"albert/internal/learn/train"
	"albert/internal/text/dataset"
)

// mnli reads the mismatched dev set, and the other test sets that MNLI's models are sent in for: the mismatched one and the diagnostic one.
// What is not in the folder is left out, as all is of other tasks.
func (c *job) mnli() (held *dataset.Set, tests []*dataset.Set, err error) {
	if c.Task.Name != "mnli" || c.Data.Dir == "" {
		return nil, nil, nil
	}
	read := func(name string, split dataset.Split) (*dataset.Set, error) {
		t, err := dataset.TaskNamed(name)
		if err != nil {
			return nil, err
		}
		if files, err := dataset.Files(t, c.Data.Dir, split); err != nil || len(files) == 0 {
			return nil, nil
		}
		return dataset.Load(t, c.Data.Dir, split, dataset.Options{})
	}
	if held, err = read("mnli-mm", dataset.Dev); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"mnli-mm", "ax"} {
		set, err := read(name, dataset.Test)
		if err != nil {
			return nil, nil, err
		}
		tests = append(tests, set)
	}
	return held, tests, nil
}

// mismatched measures the result, whose copy is in dir, on the mismatched dev set.
func (c *job) mismatched(ctx context.Context, dir string, dev *cpu.Device, held *dataset.Set) (text json.RawMessage, err error) {
	_, p, err := c.predictWith(ctx, dir, dev, held)
	if err == nil && p != nil {
		scores, _, e := Score(held, p)
		if err = e; err == nil {
			text, err = json.Marshal(scores)
		}
	}
	return text, train.Agree(c.World, err)
}

// predictWith runs the result, whose copy is in dir, over a set, with the run's settings. The predictions are nil where another rank has them.
func (c *job) predictWith(ctx context.Context, dir string, dev *cpu.Device, set *dataset.Set) (m *formats.Model, p *Predictions, err error) {
	var x *predictor
	if m, err = formats.Open(dir); err == nil {
		c.resolve(&m.Config, len(set.Examples))
		x, err = newPredictor(m, dev, set, Settings{MaxSeqLength: c.MaxSeqLength, SpanOptions: c.Spans}, "")
	}
	if err != nil {
		return nil, nil, err
	}
	if p, err = x.predict(ctx); errors.Is(err, train.ErrElsewhere) {
		return m, nil, nil
	}
	if err == nil {
		c.note(append(notesOf(set), x.features.Notes()...)...)
	}
	return m, p, err
}
