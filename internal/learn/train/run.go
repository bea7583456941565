package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"albert/internal/files/disk"
	"albert/internal/run"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/formats"
	"albert/internal/learn/optim"
)

// trainer is one start of a run.
type trainer struct {
	c       *Config
	params  *ops.Params
	learner Learner

	manifest    *run.Manifest
	checkpoints *checkpoints
	optimizer   *optim.Optimizer
	gradients   *accumulator
	batches     *batchQueue
	ranks       *ranks // nil: one process
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

// Run trains a learner: it fills params, which hold the initial weights, step by step, and keeps everything about it in c.Dir. Called
// again after an interruption it goes on from the newest whole checkpoint, with the same bits as without; called on a finished run
// it says so. If ctx is done or c.MaxTime is over it saves after the running leaf and returns [ErrStopped].
func Run(ctx context.Context, c Config, params *ops.Params, learner Learner) error {
	return start(ctx, &c, params, learner, func(string) error { return nil })
}

// errTime is why a run stops when Config.MaxTime is over.
var errTime = errors.New("time is over")

func start(ctx context.Context, c *Config, params *ops.Params, learner Learner, at func(string) error) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.MaxTime, errTime)
		defer cancel()
	}
	r := newTrainer(c, params, learner, at)
	defer r.batches.wait()
	if r.ranks != nil {
		return r.together(ctx)
	}
	return r.lead(ctx)
}

// lead is a run of one process, or of rank 0 of several.
func (r *trainer) lead(ctx context.Context) (err error) {
	if err := disk.MkdirAll(string(r.c.Dir)); err != nil {
		return err
	}
	unlock, err := r.c.Dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	done, err := r.open()
	if err != nil || done {
		return err
	}
	if err := r.plan(ctx); err != nil {
		return err
	}
	if r.c.DryRun {
		return nil
	}
	defer func() { err = run.OneLine(err, r.close()) }()
	if err := r.openLogs(); err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return r.stop(ctx, err)
	}
	return r.loop(ctx)
}

// newTrainer makes a start of a run whose state is that of its first weights.
func newTrainer(c *Config, params *ops.Params, learner Learner, at func(string) error) *trainer {
	r := &trainer{c: c, params: params, learner: learner, began: time.Now(), saved: -1, at: at, progress: newProgress(c)}
	r.optimizer = optim.New(c.Optimizer, params, c.Device)
	if r.ranks = newRanks(c.World, c.Messages); r.ranks != nil {
		r.ranks.stopped = r.stopped
	}
	r.gradients = c.accumulator(params, r.ranks)
	r.batches = &batchQueue{learner: learner, steps: c.Steps}
	m, v := r.optimizer.Moments()
	r.checkpoints = &checkpoints{dir: c.Dir, params: params, m: m, v: v, tensors: c.Tensors, files: c.Files, keep: c.Keep, at: at}
	if c.Tensors == nil {
		r.checkpoints.tensors = func() []safetensors.Tensor {
			var list []safetensors.Tensor
			for _, p := range params.List {
				list = append(list, safetensors.Float32Tensor(p.Name, p.Shape, p.Data))
			}
			return list
		}
	}
	return r
}

// open reads the state of the run in the directory, or begins one. done: the run is finished.
func (r *trainer) open() (done bool, err error) {
	var fresh bool
	if r.manifest, fresh, err = r.c.Dir.Open(r.c.Settings, r.c.Data, r.c.Changeable); err != nil {
		return false, err
	}
	if r.manifest.Finished {
		if _, err := os.Stat(r.c.Dir.Model()); err == nil || r.c.Finish == nil {
			steps := r.c.Steps
			if n := len(r.manifest.Starts); n > 0 {
				steps = r.manifest.Starts[n-1].ToStep
			}
			r.progress.message("%s is finished: %s", r.c.Dir, r.stepsDone(steps))
			return true, nil
		}
	}
	if fresh && holdsWeights(string(r.c.Dir)) {
		for _, name := range slices.Sorted(maps.Keys(r.c.Files)) {
			if old, err := os.ReadFile(filepath.Join(string(r.c.Dir), name)); err == nil && !bytes.Equal(old, r.c.Files[name]) {
				return false, fmt.Errorf("%s holds a model, whose %s a run would overwrite: choose another output directory", r.c.Dir, name)
			}
		}
	}
	r.manifest.Sources = r.c.Sources
	for name, data := range r.c.Files {
		path := filepath.Join(string(r.c.Dir), name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			continue
		}
		if err := disk.WriteFile(path, data); err != nil {
			return false, err
		}
	}
	if fresh {
		if err := r.manifest.Write(r.c.Dir); err != nil {
			return false, err
		}
	}
	r.state = state{Numerics: numeric.Version, Settings: r.c.Settings}
	if r.c.DryRun {
		steps, err := r.c.Dir.Checkpoints()
		if len(steps) > 0 {
			r.state.Step = min(steps[len(steps)-1], r.c.Steps)
		}
		return false, err
	}
	if err := r.c.Dir.Sweep(slices.Collect(maps.Keys(r.c.Files))...); err != nil {
		return false, err
	}
	s, err := r.checkpoints.load(r.warn)
	if err != nil {
		return false, err
	}
	if s != nil && s.Step > r.c.Steps {
		return false, fmt.Errorf("%s: step %d is done, %d were asked for", r.c.Dir, s.Step, r.c.Steps)
	}
	if s != nil {
		r.state, r.saved = *s, s.Step
		r.state.Settings = r.c.Settings
		r.progress.note("going on after step %s of %s", grouped(s.Step), grouped(r.c.Steps))
	}
	return false, nil
}

// holdsWeights tells of a directory with a file of weights in it: a model's. A run has its own further down.
func holdsWeights(dir string) bool {
	list, _ := os.ReadDir(dir)
	return slices.ContainsFunc(list, func(f os.DirEntry) bool {
		return formats.IsWeights(f.Name())
	})
}

func (r *trainer) warn(format string, args ...any) { r.progress.message("warning: "+format, args...) }

// plan makes the plan from the first batch, shows and writes it, and warns where memory or disk will not do.
func (r *trainer) plan(ctx context.Context) error {
	if r.ended() {
		return nil
	}
	b, err := r.batches.peek(ctx, r.state.Step+1)
	if err != nil {
		return r.stopped(ctx, err)
	}
	p, err := r.newPlan(ctx, b)
	if err != nil {
		return r.stopped(ctx, err)
	}
	r.progress.note("%s\n%s", r.c.Dir, strings.TrimRight(p.String(), "\n"))
	for _, ranks := range []int{r.c.ranks(), r.c.Forecast.Ranks} {
		if text := r.gradients.shared(b, max(1, ranks)).idleText(); text != "" {
			r.warn("%s", text)
		}
	}
	if p.MemoryThere > 0 && p.MemoryNeeded > p.MemoryThere {
		r.warn("the run needs %s of memory, %s is available: the system may end it", run.SizeText(p.MemoryNeeded), run.SizeText(p.MemoryThere))
	}
	if p.DiskFree >= 0 && p.DiskFree < p.CheckpointSize {
		return fmt.Errorf("%s: a checkpoint needs %s, the disk has %s: free some, or choose another output directory", r.c.Dir,
			run.SizeText(p.CheckpointSize), run.SizeText(p.DiskFree))
	}
	if need := int64(r.c.Keep+2) * p.CheckpointSize; p.DiskFree >= 0 && p.DiskFree < need {
		r.warn("%d checkpoints, the best and the one being written need %s, the disk has %s", r.c.Keep, run.SizeText(need),
			run.SizeText(p.DiskFree))
	}
	return disk.WriteJSON(r.c.Dir.Plan(), p)
}

// openLogs cuts log and event files back to the state, to be continued.
func (r *trainer) openLogs() error {
	path := r.c.Dir.Log()
	last, err := cutLog(path, r.state.Step, r.state.Evaluated)
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
	dir := r.c.Dir.Events()
	if err := cutEvents(dir, r.state.Step); err != nil {
		return err
	}
	if r.events, err = openEvents(dir, r.state.Step+1, time.Now()); err != nil && r.events == nil {
		return err
	}
	now := time.Now()
	r.manifest.Starts = append(r.manifest.Starts, run.Start{Began: now.UTC().Format(time.RFC3339), FromStep: r.state.Step,
		ToStep: r.state.Step, Settings: r.c.changeable(), About: r.c.About})
	r.manifest.Finished = false
	return r.note()
}

// changeable are the settings that a resume may change.
func (c *Config) changeable() Fields {
	return slices.DeleteFunc(slices.Clone(c.Settings), func(x Field) bool { return !slices.Contains(c.Changeable, x.Name) })
}

// note writes into the manifest how far this start came.
func (r *trainer) note() error {
	s := &r.manifest.Starts[len(r.manifest.Starts)-1]
	s.Seconds, s.ToStep = time.Since(r.began).Seconds(), r.state.Step
	return r.manifest.Write(r.c.Dir)
}

func (r *trainer) close() error {
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
