package train

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/run"
)

// Rerun is steps of a run that are done again, to be compared with what the run has stored.
type Rerun struct {
	Run      run.Dir       // whose steps they are; nothing in it is written
	Manifest *run.Manifest // of the run
	Dir      run.Dir       // where the steps' own log goes
	Messages io.Writer     // where progress goes
	From, To int           // the checkpoint of the run that is begun from, 0: the first weights; and the last step
	// Row is called with each step's row of the log, and Tensors with the weights, then the moments, after each of the steps Stored. An
	// error ends the rerun.
	Row     func(row Fields) error
	Stored  []int
	Tensors func(step int, weights, moments []safetensors.Tensor) error
}

// Given are the paths that a flag gave when the run was begun, if the manifest says so.
func (a *Rerun) Given(flag string) []string {
	if a.Manifest.Sources == nil {
		return nil
	}
	return a.Manifest.Sources.Given[flag]
}

// Same gives an error unless the run was made from what c says, but for settings that reach no step, or that are compared otherwise.
func (a *Rerun) Same(c *Config, but ...string) error {
	if list := run.Changes(a.Manifest.Data, c.Data, []string{"test"}); len(list) > 0 {
		x := list[0]
		return fmt.Errorf("%s: the %s data has changed since the run: its sha256 was %s, is %s", a.place(c, x.Name), x.Name, x.Was, x.Is)
	}
	if was := a.Manifest.Sources; was != nil && c.Sources.Model != was.Model {
		return fmt.Errorf("%s: the model has changed since the run: its weights_sha256 was %s, is %s", a.place(c, "model"), was.Model, c.Sources.Model)
	}
	for _, x := range run.Changes(a.Manifest.Settings, c.Settings, append(but, c.Changeable...)) {
		if a.Manifest.Settings.Get(x.Name) == nil { // an older program had no such setting
			continue
		}
		return fmt.Errorf("%s: the setting %s was %s, which cannot be had again: it is %s", a.Run.Manifest(), x.Name, x.Was, x.Is)
	}
	return nil
}

// place is where data lies that has changed: the file, where the manifest lists them.
func (a *Rerun) place(c *Config, name string) string {
	if was := a.Manifest.Sources; was != nil {
		now := c.Sources.Files[name]
		for i, f := range was.Files[name] {
			if i >= len(now) || now[i].SHA256 != f.SHA256 {
				return f.Path
			}
		}
	}
	for _, flag := range []string{name, "init", "data"} {
		if list := c.Sources.Given[flag]; len(list) > 0 {
			return list[0]
		}
	}
	return string(a.Run)
}

// Again does steps of a run again: those of [Run] with the same Config, which has another directory, without evaluations and checkpoints.
func Again(ctx context.Context, c Config, params *ops.Params, learner Learner, a *Rerun) (err error) {
	c.After = func(row Fields) (string, error) { return "", a.Row(row) }
	if err := c.check(); err != nil {
		return err
	}
	if a.To > c.Steps {
		return fmt.Errorf("%s: the setting steps is %d, but step %d is stored", a.Run.Manifest(), c.Steps, a.To)
	}
	r := newTrainer(&c, params, learner, func(string) error { return nil })
	defer r.batches.wait()
	r.manifest, r.progress.steps = &run.Manifest{}, a.To
	if a.From > 0 {
		s, err := r.checkpoints.read(a.Run.Checkpoint(a.From))
		if err != nil {
			return err
		}
		r.state = *s
	}
	defer func() { err = run.OneLine(err, r.close()) }()
	if r.log, err = openAppend(a.Dir.Log()); err != nil {
		return err
	}
	if r.events, err = openEvents(a.Dir.Events(), a.From+1, time.Now()); err != nil {
		return err
	}
	r.progress.begin(a.From)
	r.last = time.Now()
	for r.state.Step < a.To {
		if err := r.step(ctx); err != nil {
			return err
		}
		if step := r.state.Step; slices.Contains(a.Stored, step) {
			if err := a.Tensors(step, r.checkpoints.tensors(), r.checkpoints.moments()); err != nil {
				return err
			}
		}
	}
	return nil
}
