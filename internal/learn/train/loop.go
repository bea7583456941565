package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"albert/internal/run"
)

// skippedInARow is how many steps without a finite loss and gradient end a run.
const skippedInARow = 5

// loop evaluates and saves where that is due and does a step, until the run is finished.
func (r *trainer) loop(ctx context.Context) error {
	r.progress.begin(r.state.Step)
	r.last = time.Now()
	for {
		better, was := false, r.state.Best
		if r.evaluationDue() {
			var err error
			if better, err = r.evaluate(ctx); err != nil {
				return r.stop(ctx, err)
			}
		}
		end := r.ended()
		due := r.c.SaveEvery > 0 && r.state.Step > 0 && r.state.Step%r.c.SaveEvery == 0
		if better || due || end {
			if err := r.save(); err != nil {
				if end {
					return r.stopped(ctx, r.finish(ctx, err))
				}
				r.state.Best = was // only what is saved can be kept
				r.warn("no checkpoint of step %d: %v; the older ones are intact, the run goes on", r.state.Step, err)
			}
		}
		if end {
			return r.stopped(ctx, r.finish(ctx, nil))
		}
		if err := r.step(ctx); err != nil {
			return r.stop(ctx, err)
		}
	}
}

// ended tells whether no step is left: all are done, or patience is over.
func (r *trainer) ended() bool {
	return r.state.Step == r.c.Steps || r.c.Patience > 0 && r.state.Worse >= r.c.Patience
}

func (r *trainer) evaluationDue() bool {
	s := &r.state
	return s.Evaluated < s.Step && (s.Step == r.c.Steps || r.c.EvalEvery > 0 && s.Step%r.c.EvalEvery == 0)
}

// step does one step.
func (r *trainer) step(ctx context.Context) error {
	n := r.state.Step + 1
	batch, err := r.batches.get(ctx, n)
	if err = r.ranks.agree(ctx, err); err != nil {
		return err
	}
	total := 0
	for i := range batch.Len() {
		total += batch.Pieces(i)
	}
	flops, done := r.flops(batch)/float64(total), 0
	g, err := r.gradients.gradient(ctx, batch, func(pieces int) {
		done += pieces
		r.progress.leaf(n-1, done, total, pieces, flops*float64(pieces))
	})
	if errors.Is(err, ErrStopped) {
		return err
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", n, err)
	}
	defer r.gradients.put(g)
	report := batch.Report()
	if report.Get("loss") == nil {
		return fmt.Errorf("step %d: the learner reports no loss", n)
	}
	norm, rate := r.optimizer.Norm(g), r.c.Rate.At(n)
	row := Fields{{Name: "step", Value: n}}
	if finite(report.Number("loss")) && finite(norm) {
		r.optimizer.Step(n, g, norm, rate)
		r.state.Skipped = 0
		now := time.Now()
		row = append(append(row, report...), Field{Name: "learning_rate", Value: rate}, Field{Name: "grad_norm", Value: norm}, Field{Name: "tokens", Value: total},
			Field{Name: "tokens_per_second", Value: float64(total) / math.Max(now.Sub(r.last).Seconds(), 1e-9)})
	} else {
		r.state.Skipped++
		ids := make([]string, batch.Len())
		for i := range ids {
			ids[i] = batch.Example(i)
		}
		row = append(row, Field{Name: "skipped", Value: true}, Field{Name: "loss", Value: nil}, Field{Name: "examples", Value: ids})
		r.warn("step %d skipped: loss %v, gradient norm %v", n, report.Get("loss"), norm)
	}
	if n == 1 && r.c.Notes != nil {
		row = append(row, Field{Name: "data_notes", Value: r.c.Notes})
	}
	r.state.Step = n
	r.state.Tokens += int64(total)
	r.write(row, "train")
	r.progress.step(n, row)
	r.last = time.Now()
	if r.state.Skipped == skippedInARow || r.state.Skipped == r.c.Steps { // the second: not one step of the run was done
		return &notFinite{n, r.state.Skipped}
	}
	return r.after(row)
}

// after calls Config.After with a row that was written.
func (r *trainer) after(row Fields) error {
	if r.c.After == nil {
		return nil
	}
	warning, err := r.c.After(row)
	if warning != "" {
		r.warn("%s", warning)
	}
	return err
}

// notFinite ends a run whose weights no longer give a finite loss.
type notFinite struct{ step, skipped int }

func (e *notFinite) Error() string {
	return fmt.Sprintf("steps %d to %d had no finite loss or gradient and were skipped: the run has diverged. Try a lower learning rate, "+
		"a longer warm-up or a smaller clipping norm in a new run, or look at the examples that log.jsonl names",
		e.step-e.skipped+1, e.step)
}

// evaluate measures the weights and tells whether they are the best so far.
func (r *trainer) evaluate(ctx context.Context) (better bool, err error) {
	defer r.pause(time.Now())
	fields, err := r.learner.Evaluate(r.ranks.with(ctx))
	if err = r.ranks.agreeElsewhere(ctx, err); errors.Is(err, ErrStopped) {
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("evaluation after step %d: %w", r.state.Step, err)
	}
	r.state.Evaluated = r.state.Step
	switch value := fields.Number(r.c.Best); {
	case r.c.Best == "" || math.IsNaN(value):
	case r.state.Best.beatenBy(value, r.c.Lowest):
		r.state.Best, r.state.Worse = best{r.state.Step, value}, 0
		better = true
	case r.c.Patience > 0:
		r.state.Worse++
	}
	r.state.Worse = r.ranks.spreadCount(r.state.Worse)
	row := append(Fields{{Name: "step", Value: r.state.Step}, {Name: "split", Value: "dev"}}, fields...)
	if r.ended() && r.state.Step < r.c.Steps {
		row = append(row, Field{Name: "stopped_early", Value: true})
	}
	if len(fields) > 0 {
		r.write(row, "dev")
		var s []string
		for _, f := range fields {
			if v := fields.Number(f.Name); finite(v) {
				s = append(s, fmt.Sprintf("%s %.4g", strings.ReplaceAll(f.Name, "_", " "), v))
			}
		}
		r.progress.note("held out, after step %d: %s", r.state.Step, strings.Join(s, ", "))
	}
	if len(fields) == 0 {
		return better, nil
	}
	return better, r.after(row)
}

// pause leaves the time since then out of the rates of steps.
func (r *trainer) pause(then time.Time) {
	now := time.Now()
	r.last = now
	r.progress.window = r.progress.window.Add(now.Sub(then))
}

// write adds a row to the log and to the event file.
func (r *trainer) write(row Fields, prefix string) {
	if r.log == nil { // of a rank that follows
		return
	}
	text, err := json.Marshal(row)
	if err == nil {
		err = r.log.write(append(text, '\n'))
	}
	if err != nil && !r.logError {
		r.warn("%s: %v; its rows are kept in memory and written later", filepath.Base(r.c.Dir.Log()), err)
	}
	r.logError = err != nil
	if err := r.events.add(time.Now(), r.state.Step, scalars(row, prefix)); err != nil {
		r.eventFault(err)
	}
}

// eventFault warns once that the event file is incomplete: a run does not fail for it.
func (r *trainer) eventFault(err error) {
	if !r.eventsError {
		r.eventsError = true
		r.warn("event file: %v", err)
	}
}

// save writes a checkpoint of the state, unless it is there, and removes what need not be kept.
func (r *trainer) save() error {
	defer r.pause(time.Now())
	if r.saved != r.state.Step {
		if err := r.log.sync(); err != nil {
			return err
		}
		if err := r.checkpoints.save(&r.state); err != nil {
			return err
		}
		r.saved = r.state.Step
	}
	err := run.OneLine(r.checkpoints.prune(r.state.Best), r.note())
	if err != nil {
		r.warn("%v", err)
	}
	return nil
}
