package finetune

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"albert/internal/formats"
	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// Again is for this module's own programs: it does steps of a run again, as a says, and gives the weights_sha256 after the last. An error
// that is not one of a's functions says why the steps cannot be done again.
func Again(ctx context.Context, a *train.Rerun, common Common) (hash string, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	if a.Manifest.Sources == nil {
		return "", fmt.Errorf("%s: an older program wrote it, which did not note where model and data lie: no step can be done again", a.Run.Manifest())
	}
	c := Defaults()
	if err := run.Restore(&c, a.Manifest.Settings); err != nil {
		return "", err
	}
	c.Output, c.Threads, c.Runs, c.Patience, c.MaxTime = string(a.Dir), common.Threads, 1, 0, 0
	c.Data, c.Train, c.Dev = a.Given("data"), a.Given("train"), a.Given("dev")
	if list := a.Given("model"); len(list) == 1 {
		c.Model = list[0]
	}
	if c.Task == "embed" { // which refuses to be given one, and notes the model's
		c.ClassifierDropout = nil
	}
	j, err := newJob(c)
	if err != nil {
		return "", err
	}
	data, err := j.read()
	if err != nil {
		return "", err
	}
	data.test = nil // nothing is learned from it
	dev, err := train.NewDevice(&j.Common, j.Messages)
	if err != nil {
		return "", err
	}
	defer dev.Close()
	config, m, t, err := j.open(ctx, dev, data, &cut{})
	if err != nil {
		return "", err
	}
	if err := a.Same(config, "model", "runs", "patience"); err != nil {
		return "", err
	}
	config.Messages, config.Quiet, config.Finish = a.Messages, common.Quiet, nil
	err = train.Again(ctx, *config, m.Params, t, a)
	return m.Hash(), err
}

// sources say where the model and the data lay.
func (c *job) sources(from *formats.Model, data *sets) (*run.Sources, error) {
	s := &run.Sources{Model: from.Hash()}
	var err error
	for flag, paths := range map[string][]string{"model": {c.Model}, "data": c.Config.Data, "train": c.Train, "dev": c.Dev, "test": c.Test} {
		err = errors.Join(err, s.Give(flag, paths...))
	}
	for split, set := range map[string]*dataset.Set{"train": data.train, "dev": data.held(), "test": data.test} {
		if set != nil {
			err = errors.Join(err, s.Read(split, set.Files))
		}
	}
	return s, err
}

// held is the dev set, of which for a benchmark of search only the files are known.
func (s *sets) held() *dataset.Set {
	switch {
	case s.benchmark == nil:
		return s.dev
	case s.benchmark.collection != nil:
		return &dataset.Set{Files: s.benchmark.collection.Files}
	}
	return s.benchmark.pairs
}
