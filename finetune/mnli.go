package finetune

import (
	"context"
	"encoding/json"
	"path/filepath"

	"albert/internal/engine/cpu"
	"albert/internal/formats"
	"albert/internal/text/dataset"
)

// mnli measures the result on the mismatched dev set, and gives the other test sets that MNLI's models are sent in for: the mismatched one
// and the diagnostic one. What is not in the folder is left out.
func (c *job) mnli(ctx context.Context, dev *cpu.Device, r *Result) (tests []*dataset.Set, err error) {
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
	held, err := read("mnli-mm", dataset.Dev)
	if err != nil {
		return nil, err
	}
	if held != nil {
		m, err := formats.Open(filepath.Join(c.Output, "model"))
		if err != nil {
			return nil, err
		}
		p, err := c.predictWith(ctx, m, dev, held)
		if err != nil {
			return nil, err
		}
		scores, _, err := Score(held, p)
		if err != nil {
			return nil, err
		}
		if r.Mismatched, err = json.Marshal(scores); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"mnli-mm", "ax"} {
		set, err := read(name, dataset.Test)
		if err != nil {
			return nil, err
		}
		tests = append(tests, set)
	}
	return tests, nil
}

// predictWith runs the result over a set, with the run's settings.
func (c *job) predictWith(ctx context.Context, m *formats.Model, dev *cpu.Device, set *dataset.Set) (*Predictions, error) {
	c.resolve(&m.Config, len(set.Examples))
	p, f, err := predict(ctx, m, dev, set, Settings{MaxSeqLength: c.MaxSeqLength, SpanOptions: c.Spans}, "")
	if err == nil {
		c.note(append(notesOf(set), f.Notes()...)...)
	}
	return p, err
}
