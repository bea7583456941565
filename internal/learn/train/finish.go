package train

import (
	"context"
	"errors"
	"fmt"

	"albert/internal/run"
)

// stopped gives ErrStopped, with the reason, in place of the error of a context that is done, and other errors as they are.
func (r *trainer) stopped(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || !errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return err
	}
	reason := "interrupted"
	if cause != ctx.Err() { // MaxTime is over, or it names the signal: see signal.NotifyContext
		reason = cause.Error()
	}
	return fmt.Errorf("%s after step %d of %d: %w", reason, r.state.Step, r.c.Steps, ErrStopped)
}

// stop ends a run before its last step. What was learned so far is saved, unless nothing was learned or the run has diverged.
func (r *trainer) stop(ctx context.Context, err error) error {
	var diverged *notFinite
	if errors.As(err, &diverged) {
		return err
	}
	err = r.stopped(ctx, err)
	if r.state.Step == 0 {
		return err
	}
	if e := r.save(); e != nil {
		newest := "there is no checkpoint"
		if r.saved > 0 {
			newest = "the newest checkpoint is of step " + fmt.Sprint(r.saved)
		}
		if errors.Is(err, ErrStopped) {
			return fmt.Errorf("stopped after step %d, and its state could not be saved: %w; %s", r.state.Step, e, newest)
		}
		return fmt.Errorf("%w; the state could not be saved: %v; %s", err, e, newest)
	}
	return err
}

// finish writes the result, also where the last checkpoint could not be written; unsaved is why.
func (r *trainer) finish(ctx context.Context, unsaved error) error {
	if r.c.Finish == nil && unsaved != nil {
		return fmt.Errorf("the last checkpoint could not be written: %w", unsaved)
	}
	if b := r.state.Best.Step; r.c.UseBest && b > 0 && b != r.state.Step {
		path := r.c.Dir.Checkpoint(b)
		err := run.Verify(path)
		if err == nil {
			_, err = r.checkpoints.read(path)
		}
		if err != nil {
			return fmt.Errorf("the best checkpoint, %s: %w", path, err)
		}
	}
	if r.c.Finish != nil {
		err := r.measure(ctx)
		if err == nil {
			err = r.writeModel()
		}
		if err != nil {
			if unsaved != nil {
				err = fmt.Errorf("%w; nor could the last checkpoint be written: %v", err, unsaved)
			}
			return err
		}
	}
	if unsaved != nil {
		r.warn("no checkpoint of step %d: %v; the model is written", r.state.Step, unsaved)
	}
	r.manifest.Finished = true
	if r.state.Step < r.c.Steps {
		r.manifest.StoppedEarly = fmt.Sprintf("no evaluation after step %s was better, %d in a row", grouped(r.state.Best.Step), r.state.Worse)
	}
	if err := r.note(); err != nil {
		return err
	}
	if list, err := Skipped(r.c.Dir); err == nil && len(list) > 0 {
		r.warn("%s", skippedText(list))
	}
	say := r.progress.note
	if r.manifest.StoppedEarly != "" {
		say = r.progress.message
	}
	say("finished: %s, %s pieces", r.stepsDone(r.state.Step), grouped(int(r.state.Tokens)))
	return nil
}

// stepsDone says how many steps a finished run did, and why not all.
func (r *trainer) stepsDone(n int) string {
	if r.manifest.StoppedEarly == "" {
		return grouped(n) + " steps"
	}
	return fmt.Sprintf("%s steps of %s, since %s", grouped(n), grouped(r.c.Steps), r.manifest.StoppedEarly)
}

// measure measures the result, whose weights rank 0 has, on all ranks.
func (r *trainer) measure(ctx context.Context) error {
	if r.c.Measure == nil || r.c.Finish == nil {
		return nil
	}
	if err := r.ranks.agree(ctx, nil); err != nil {
		return err
	}
	if r.ranks != nil {
		r.spreadWeights()
	}
	return r.ranks.agreeElsewhere(ctx, r.c.Measure(r.ranks.with(ctx)))
}

// writeModel writes the model directory, whole or not at all.
func (r *trainer) writeModel() error {
	return r.c.Dir.WriteModel(func(dir string) error {
		if err := r.at("model"); err != nil {
			return err
		}
		return r.c.Finish(dir)
	})
}
