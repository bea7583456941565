package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"albert/numeric"
	"albert/ops"
	"albert/optim"
	"albert/weights"
)

// skippedInARow is how many steps without a finite loss and gradient end a run.
const skippedInARow = 5

// run is one start of a run.
type run struct {
	c      *Config
	params *ops.Params
	task   Task

	manifest    *Manifest
	checkpoints *checkpoints
	optimizer   *optim.Optimizer
	gradients   *accumulator
	batches     *ahead
	log         *appendFile
	events      *events
	logError    bool // the last row could not be written
	eventsError bool // some event could not
	progress    *progress

	began time.Time // of this start
	last  time.Time // when the last step, evaluation or save ended
	state state
	saved int // step of the newest checkpoint; -1: none
	at    func(point string) error
}

// Run learns task: it fills params, which hold the initial weights, step by step, and keeps everything about it in c.Dir. Called
// again after an interruption it goes on from the newest whole checkpoint, with the same bits as without; called on a finished run
// it says so. If ctx is done or c.MaxTime is over it saves after the running leaf and returns [ErrStopped].
func Run(ctx context.Context, c Config, params *ops.Params, task Task) error {
	return start(ctx, &c, params, task, func(string) error { return nil })
}

// errTime is why a run stops that has used up its time.
var errTime = errors.New("time is over")

func start(ctx context.Context, c *Config, params *ops.Params, task Task, at func(string) error) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if c.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.MaxTime, errTime)
		defer cancel()
	}
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return err
	}
	unlock, err := lockDir(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	r := &run{c: c, params: params, task: task, began: time.Now(), saved: -1, at: at, progress: newProgress(c)}
	r.optimizer = optim.New(c.Optimizer, params, c.Device)
	r.gradients = &accumulator{params: params, dev: c.Device}
	r.batches = &ahead{task: task, steps: c.Steps}
	m, v := r.optimizer.Moments()
	r.checkpoints = &checkpoints{dir: c.Dir, params: params, m: m, v: v, tensors: c.Tensors, files: c.Files, keep: c.Keep, at: at}
	if c.Tensors == nil {
		r.checkpoints.tensors = func() []weights.Tensor {
			var list []weights.Tensor
			for _, p := range params.List {
				list = append(list, weights.Float32Tensor(p.Name, p.Shape, p.Data))
			}
			return list
		}
	}
	defer r.batches.wait()
	done, err := r.open()
	if err != nil || done {
		return err
	}
	if err := r.plan(ctx); err != nil {
		return err
	}
	if c.DryRun {
		return nil
	}
	defer func() { err = both(err, r.close()) }()
	if err := r.openLogs(); err != nil {
		return err
	}
	return r.loop(ctx)
}

// open reads what the directory holds, or begins it. done: there is nothing left to do.
func (r *run) open() (done bool, err error) {
	var fresh bool
	if r.manifest, fresh, err = openManifest(r.c); err != nil {
		return false, err
	}
	if r.manifest.Finished {
		if _, err := os.Stat(filepath.Join(r.c.Dir, modelDir)); err == nil || r.c.Finish == nil {
			r.progress.message("%s is finished: %s steps", r.c.Dir, grouped(r.c.Steps))
			return true, nil
		}
	}
	for name, data := range r.c.Files {
		if err := weights.WriteFile(filepath.Join(r.c.Dir, name), data); err != nil {
			return false, err
		}
	}
	if fresh {
		if err := r.manifest.write(r.c.Dir); err != nil {
			return false, err
		}
	}
	r.state = state{Numerics: numeric.Version, Settings: r.c.Settings}
	if r.c.DryRun {
		steps, err := listCheckpoints(r.c.Dir)
		if len(steps) > 0 {
			r.state.Step = min(steps[len(steps)-1], r.c.Steps)
		}
		return false, err
	}
	if err := r.checkpoints.sweep(); err != nil {
		return false, err
	}
	s, err := r.checkpoints.load(r.warn)
	if err != nil {
		return false, err
	}
	if s != nil {
		r.state, r.saved = *s, s.Step
		r.state.Settings = r.c.Settings
		r.progress.note("going on after step %s of %s", grouped(s.Step), grouped(r.c.Steps))
	}
	return false, nil
}

func (r *run) warn(format string, args ...any) { r.progress.message("warning: "+format, args...) }

// plan shows the plan, made from the first batch, and holds it against the machine.
func (r *run) plan(ctx context.Context) error {
	if r.state.Step == r.c.Steps {
		return nil
	}
	b, err := r.batches.peek(ctx, r.state.Step+1)
	if err != nil {
		return r.stopped(ctx, err)
	}
	p := r.newPlan(b)
	if err := p.write(r.c.Dir); err != nil {
		return err
	}
	r.progress.note("%s\n%s", r.c.Dir, strings.TrimRight(p.String(), "\n"))
	if p.MemoryThere > 0 && p.MemoryNeeded > p.MemoryThere {
		r.warn("the run needs %s of memory, %s is there: the system may end it", bytesText(p.MemoryNeeded), bytesText(p.MemoryThere))
	}
	if p.DiskFree >= 0 && p.DiskFree < p.CheckpointSize {
		return fmt.Errorf("%s: a checkpoint needs %s, the disk has %s: free some, or choose another output directory", r.c.Dir,
			bytesText(p.CheckpointSize), bytesText(p.DiskFree))
	}
	if need := int64(r.c.Keep+2) * p.CheckpointSize; p.DiskFree >= 0 && p.DiskFree < need {
		r.warn("%d checkpoints, the best and the one being written need %s, the disk has %s", r.c.Keep, bytesText(need),
			bytesText(p.DiskFree))
	}
	return nil
}

// openLogs cuts log and event files back to the state, to be continued.
func (r *run) openLogs() error {
	path := filepath.Join(r.c.Dir, logFile)
	last, err := cutLog(path, r.state.Step)
	if err != nil {
		return err
	}
	if last < r.state.Step {
		r.warn("%s lacks steps %d to %d", path, last+1, r.state.Step)
	}
	if r.log, err = openAppend(path); err != nil {
		return err
	}
	r.log.fault = func() error { return r.at("log") }
	dir := filepath.Join(r.c.Dir, tensorboardDir)
	if err := cutEvents(dir, r.state.Step); err != nil {
		return err
	}
	if r.events, err = openEvents(dir, r.state.Step+1, time.Now()); err != nil && r.events == nil {
		return err
	}
	now := time.Now()
	r.manifest.Starts = append(r.manifest.Starts, Start{Began: now.UTC().Format(time.RFC3339), FromStep: r.state.Step,
		ToStep: r.state.Step, Settings: changeable(r.c.Settings), About: r.c.About})
	r.manifest.Finished = false
	return r.note()
}

func changeable(f Fields) Fields {
	return slices.DeleteFunc(slices.Clone(f), func(x Field) bool { return !slices.Contains(Changeable, x.Name) })
}

// note writes down how far this start came.
func (r *run) note() error {
	s := &r.manifest.Starts[len(r.manifest.Starts)-1]
	s.Seconds, s.ToStep = time.Since(r.began).Seconds(), r.state.Step
	return r.manifest.write(r.c.Dir)
}

func (r *run) close() error {
	r.progress.end()
	var err error
	if r.events != nil {
		if e := r.events.close(); e != nil {
			r.eventFault(e)
		}
	}
	if r.log != nil {
		err = r.log.close()
	}
	if n := len(r.manifest.Starts); n > 0 {
		if e := r.note(); e != nil {
			r.warn("%v", e)
		}
	}
	return err
}

// loop does what is next until the run is finished: evaluation, checkpoint, step.
func (r *run) loop(ctx context.Context) error {
	r.progress.begin(r.state.Step)
	r.last = time.Now()
	for {
		better := false
		if r.evaluationDue() {
			var err error
			if better, err = r.evaluate(ctx); err != nil {
				return r.stop(ctx, err)
			}
		}
		end := r.state.Step == r.c.Steps
		due := r.c.SaveEvery > 0 && r.state.Step > 0 && r.state.Step%r.c.SaveEvery == 0
		if better || due || end {
			if err := r.save(); err != nil {
				if end {
					return r.finish(err)
				}
				r.warn("no checkpoint of step %d: %v; the older ones are intact, the run goes on", r.state.Step, err)
			}
		}
		if end {
			return r.finish(nil)
		}
		if err := r.step(ctx); err != nil {
			return r.stop(ctx, err)
		}
	}
}

func (r *run) evaluationDue() bool {
	s := &r.state
	return s.Evaluated < s.Step && (s.Step == r.c.Steps || r.c.EvalEvery > 0 && s.Step%r.c.EvalEvery == 0)
}

// step does one step.
func (r *run) step(ctx context.Context) error {
	n := r.state.Step + 1
	batch, err := r.batches.get(ctx, n)
	if err != nil {
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
	if err != nil {
		return fmt.Errorf("step %d: %w", n, err)
	}
	defer r.gradients.put(g)
	report := batch.Report()
	if report.Get("loss") == nil {
		return fmt.Errorf("step %d: the task reports no loss", n)
	}
	norm, rate := r.optimizer.Norm(g), r.c.Rate.At(n)
	row := Fields{{"step", n}}
	if finite(report.number("loss")) && finite(norm) {
		r.optimizer.Step(g, norm, rate)
		r.state.Skipped = 0
		now := time.Now()
		row = append(append(row, report...), Field{"learning_rate", rate}, Field{"grad_norm", norm}, Field{"tokens", total},
			Field{"tokens_per_second", float64(total) / math.Max(now.Sub(r.last).Seconds(), 1e-9)})
	} else {
		r.state.Skipped++
		ids := make([]string, batch.Len())
		for i := range ids {
			ids[i] = batch.Example(i)
		}
		row = append(row, Field{"skipped", true}, Field{"loss", nil}, Field{"examples", ids})
		r.warn("step %d skipped: loss %v, gradient norm %v", n, report.Get("loss"), norm)
	}
	r.state.Step = n
	r.state.Tokens += int64(total)
	r.write(row, "train")
	r.progress.step(n, row)
	r.last = time.Now()
	if r.state.Skipped == skippedInARow {
		return &notFinite{n}
	}
	return nil
}

// notFinite ends a run whose weights no longer give a finite loss.
type notFinite struct{ step int }

func (e *notFinite) Error() string {
	return fmt.Sprintf("steps %d to %d had no finite loss or gradient and were skipped: the run has diverged. Try a lower learning rate, "+
		"a longer warm-up or a smaller clipping norm in a new run, or look at the examples that log.jsonl names",
		e.step-skippedInARow+1, e.step)
}

// evaluate measures the weights and tells whether they are the best so far.
func (r *run) evaluate(ctx context.Context) (better bool, err error) {
	defer r.pause(time.Now())
	fields, err := r.task.Evaluate(ctx)
	if err != nil {
		return false, fmt.Errorf("evaluation after step %d: %w", r.state.Step, err)
	}
	r.state.Evaluated = r.state.Step
	if len(fields) > 0 {
		r.write(append(Fields{{"step", r.state.Step}, {"split", "dev"}}, fields...), "dev")
		var s []string
		for _, f := range fields {
			if v := fields.number(f.Name); finite(v) {
				s = append(s, fmt.Sprintf("%s %.4g", strings.ReplaceAll(f.Name, "_", " "), v))
			}
		}
		r.progress.note("held out, after step %d: %s", r.state.Step, strings.Join(s, ", "))
	}
	if value := fields.number(r.c.Best); r.c.Best != "" && r.state.Best.beatenBy(value, r.c.Lowest) {
		r.state.Best = best{r.state.Step, value}
		better = true
	}
	return better, nil
}

// pause takes the time since then out of what the rates of steps are made of.
func (r *run) pause(then time.Time) {
	now := time.Now()
	r.last = now
	r.progress.window = r.progress.window.Add(now.Sub(then))
}

// write adds a row to the log and to the curves.
func (r *run) write(row Fields, prefix string) {
	text, err := json.Marshal(row)
	if err == nil {
		err = r.log.write(append(text, '\n'))
	}
	if err != nil && !r.logError {
		r.warn("%s: %v; its rows wait in memory and are tried again", logFile, err)
	}
	r.logError = err != nil
	if err := r.events.add(time.Now(), r.state.Step, row.scalars(prefix)); err != nil {
		r.eventFault(err)
	}
}

// eventFault tells once that curves are incomplete: a run does not fail for them.
func (r *run) eventFault(err error) {
	if !r.eventsError {
		r.eventsError = true
		r.warn("event file: %v", err)
	}
}

// save writes a checkpoint of the state, unless it is there, and removes what need not be kept.
func (r *run) save() error {
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
	err := both(r.checkpoints.prune(r.state.Best), r.note())
	if err != nil {
		r.warn("%v", err)
	}
	return nil
}

// stopped makes of the error of a context that is done ErrStopped, with the reason; others stay.
func (r *run) stopped(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || !errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%v after step %d of %d: %w", cause, r.state.Step, r.c.Steps, ErrStopped)
}

// stop ends a run before its last step. What was learned so far is saved, unless nothing was learned or the run has diverged.
func (r *run) stop(ctx context.Context, err error) error {
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

// finish writes the result. unsaved is why the last checkpoint could not be written, if it could not: the result is worth more.
func (r *run) finish(unsaved error) error {
	if r.c.Finish == nil && unsaved != nil {
		return fmt.Errorf("the last checkpoint could not be written: %w", unsaved)
	}
	if r.c.Finish != nil {
		if err := r.writeModel(); err != nil {
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
	if err := r.note(); err != nil {
		return err
	}
	r.progress.note("finished: %s steps, %s pieces", grouped(r.c.Steps), grouped(int(r.state.Tokens)))
	return nil
}

// writeModel writes the model directory aside and puts it in place.
func (r *run) writeModel() error {
	tmp, path := filepath.Join(r.c.Dir, unfinished+modelDir), filepath.Join(r.c.Dir, modelDir)
	err := os.RemoveAll(tmp)
	if err == nil {
		err = r.at("model")
	}
	if err == nil {
		err = os.Mkdir(tmp, 0o777)
	}
	if err == nil {
		err = r.c.Finish(tmp)
	}
	if err == nil {
		err = weights.SyncDir(tmp)
	}
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return both(fmt.Errorf("writing the model: %w", err), os.RemoveAll(tmp))
	}
	return weights.SyncDir(r.c.Dir)
}
