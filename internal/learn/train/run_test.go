package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
	"albert/internal/run"
)

func TestSameBitsForEveryMicroBatchAndThreads(t *testing.T) {
	want := uninterrupted()
	for _, micro := range []int{0, 1, 2, 3, 7, 40, 1000} {
		dir := t.TempDir()
		s := newSquares(40, 30)
		c := testConfig(dir)
		c.MicroBatch, c.Device = micro, threads(1+micro%3)
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatal(err)
		}
		resultOf(t, dir, 20).mustEqual(t, want, fmt.Sprint("micro batch ", micro))
	}
}

func TestRunDirectory(t *testing.T) {
	dir := t.TempDir()
	s := newSquares(40, 30)
	c := testConfig(dir)
	said := messages(&c)
	c.Finish = func(dir string) error { return os.WriteFile(filepath.Join(dir, "weights"), nil, 0o666) }
	c.Flops, c.Peak = func(n int) float64 { return 1e6 * float64(n) }, 1e9
	c.Memory = func(Batch) []Memory { return []Memory{{"weights", 1 << 20}} }
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "plan.json", "config.json", "log.jsonl", "model/weights", "checkpoints/step-000020/model.safetensors",
		"checkpoints/step-000020/config.json", "checkpoints/step-000016", "checkpoints/best/trainer.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	steps, err := run.Dir(dir).Checkpoints()
	if err != nil || !slices.Equal(steps, []int{16, 20}) {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
	m, err := run.Dir(dir).ReadManifest()
	if err != nil || !m.Finished || len(m.Starts) != 1 || m.Starts[0].ToStep != 20 || m.Starts[0].Seconds <= 0 {
		t.Errorf("manifest %+v, %v", m, err)
	}
	for _, want := range []string{"parameters  31", "20 of 40 sequences", "weights 1.0 MB", "moments (2) 0 kB", "about ", "finished: 20 steps"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %q in\n%s", want, said)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 25 || !strings.HasPrefix(lines[0], `{"step":1,"loss":`) || !strings.Contains(lines[0], `"learning_rate":0,"grad_norm":`) ||
		!strings.HasPrefix(lines[5], `{"step":5,"split":"dev","loss":`) {
		t.Errorf("log:\n%s", text)
	}

	// Started again it says that it is finished, and changes nothing.
	said.Reset()
	s.batch = func(int) error { return errors.New("asked for a batch") }
	if err := Run(t.Context(), c, s.params, s); err != nil || !strings.Contains(said.String(), "is finished") {
		t.Errorf("%v, %s", err, said)
	}
	// Without its model it writes that again.
	if err := os.RemoveAll(filepath.Join(dir, "model")); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "model/weights")); err != nil {
		t.Error(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "the finished run")
}

// A model's directory is no place for a run: its configuration would be overwritten.
func TestModelIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("a model's"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s := newSquares(8, 3)
	err := Run(t.Context(), testConfig(dir), s.params, s)
	if text, _ := os.ReadFile(filepath.Join(dir, "config.json")); err == nil || !strings.Contains(err.Error(), "holds a model, whose config.json") || string(text) != "a model's" {
		t.Errorf("%v, config.json is %q", err, text)
	}
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil { // a configuration alone is the run's own, or its user's
		t.Fatal(err)
	}
	if err := Run(t.Context(), testConfig(dir), s.params, s); err != nil {
		t.Error(err)
	}
}

func TestDryRun(t *testing.T) {
	dir := t.TempDir()
	s := newSquares(40, 30)
	c := testConfig(dir)
	c.DryRun = true
	s.onLeaf = func(int, int, int) { t.Error("a leaf ran") }
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "plan.json", "config.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	c.DryRun, s.onLeaf = false, nil
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after a dry run")
}

// A run that is stopped in the middle of any leaf or evaluation saves, says so, and goes on to the same bits.
func TestStopAndResume(t *testing.T) {
	want := uninterrupted()
	for _, stopAt := range []string{"leaf 1", "leaf 7", "leaf 13", "evaluation 5", "evaluation 20", "batch 3"} {
		t.Run(stopAt, func(t *testing.T) {
			dir := t.TempDir()
			c := testConfig(dir)
			var kind string
			var at int
			fmt.Sscanf(stopAt, "%s %d", &kind, &at)
			stopped := 0
			for starts := 0; ; starts++ {
				s := newSquares(40, 30)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var once sync.Once
				if starts == 0 {
					leaf := 0
					s.onLeaf = func(step, a, b int) {
						if leaf++; kind == "leaf" && step == at && a > 0 {
							once.Do(cancel)
						}
					}
					s.batch = func(step int) error {
						if kind == "batch" && step == at {
							once.Do(cancel)
						}
						return nil
					}
					evaluations := 0
					s.evaluate = func(ctx context.Context) error {
						if evaluations += 5; kind == "evaluation" && evaluations == at {
							once.Do(cancel)
						}
						return ctx.Err()
					}
				}
				err := Run(ctx, c, s.params, s)
				if err == nil {
					break
				}
				if !errors.Is(err, ErrStopped) || starts > 0 {
					t.Fatal(err)
				}
				stopped++
				if kind == "leaf" && at > 1 {
					if _, err := os.Stat(run.Dir(dir).Checkpoint(at - 1)); err != nil {
						t.Error(err)
					}
				}
			}
			if stopped != 1 {
				t.Errorf("stopped %d times", stopped)
			}
			resultOf(t, dir, 20).mustEqual(t, want, stopAt)
		})
	}
}

// A run that is stopped in an evaluation, and after it in the next step, has the evaluation in its log once.
func TestStopAfterAnEvaluationThatWasStopped(t *testing.T) {
	dir := t.TempDir()
	for start := range 3 {
		s := newSquares(40, 30)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if start == 0 {
			s.evaluate = func(ctx context.Context) error { cancel(); return ctx.Err() }
		}
		if start == 1 {
			s.onLeaf = func(step, a, b int) {
				if step == 6 {
					cancel()
				}
			}
		}
		if err := Run(ctx, testConfig(dir), s.params, s); (start < 2) != errors.Is(err, ErrStopped) || start == 2 && err != nil {
			t.Fatal(start, err)
		}
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "stopped twice")
}

func TestMaxTime(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.MaxTime = 50 * time.Millisecond
	said := messages(&c)
	s := newSquares(40, 30)
	s.onLeaf = func(int, int, int) { time.Sleep(2 * time.Millisecond) }
	err := Run(t.Context(), c, s.params, s)
	if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "time is over") {
		t.Errorf("%v\n%s", err, said)
	}
	c.MaxTime = 0
	s = newSquares(40, 30)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after the time was over")
}

// Whatever moment a kill picks, what it leaves goes on to the same bits, and every step stands once in the log.
func TestKillAtEveryPoint(t *testing.T) {
	want := uninterrupted()
	dir := t.TempDir()
	var left []string
	var what []string
	s := newSquares(40, 30)
	c := testConfig(dir)
	c.Finish = func(dir string) error { return os.WriteFile(filepath.Join(dir, "weights"), nil, 0o666) }
	points := 0
	err := start(t.Context(), &c, s.params, s, func(point string) error {
		if points++; point != "log" || points%4 == 0 {
			left = append(left, copyDir(t, dir))
			what = append(what, point)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) < 30 {
		t.Fatalf("only %d points", len(left))
	}
	for i, dir := range left {
		if i%3 == 0 { // what a kill within a small write leaves
			for _, name := range []string{".manifest.json.123", ".tmp-model/x", "checkpoints/.tmp-step-000099/y"} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("half"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		if i%3 == 1 { // and a half-written row, as a machine that lost its power may leave
			f, err := os.OpenFile(run.Dir(dir).Log(), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, `{"step":`)
			f.Close()
		}
		s := newSquares(40, 30)
		c.Dir = run.Dir(dir)
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatalf("%s (%d): %v", what[i], i, err)
		}
		resultOf(t, dir, 20).mustEqual(t, want, fmt.Sprintf("killed at %q (%d)", what[i], i))
		mustBeClean(t, dir)
	}
	t.Logf("%d points", len(left))
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	var second error
	var once sync.Once
	s.onLeaf = func(int, int, int) {
		once.Do(func() {
			o := newSquares(40, 30)
			second = Run(t.Context(), c, o.params, o)
		})
	}
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	if second == nil || !strings.Contains(second.Error(), "in use") {
		t.Errorf("the second process got %v", second)
	}
}

func TestChangedSettingsAreNamed(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	ctx, cancel := context.WithCancel(t.Context())
	s.onLeaf = func(step, _, _ int) {
		if step == 6 {
			cancel()
		}
	}
	if err := Run(ctx, c, s.params, s); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	s = newSquares(40, 30)
	c.Settings = Fields{{Name: "batch-size", Value: 41}, {Name: "learning-rate", Value: 0.05}, {Name: "seed", Value: 1}, {Name: "threads", Value: 2}, {Name: "quiet", Value: true}}
	c.Data = Fields{{Name: "train", Value: "def"}}
	err := Run(t.Context(), c, s.params, s)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"batch-size was 40, is 41", "seed was not set, is 1", `train was "abc", is "def"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "threads") || strings.Contains(err.Error(), "quiet") || strings.Contains(err.Error(), "learning-rate") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%q", err)
	}
	// What may change may.
	c = testConfig(dir)
	c.Settings = Fields{{Name: "learning-rate", Value: 0.05}, {Name: "batch-size", Value: 40}, {Name: "threads", Value: 2}, {Name: "keep", Value: 7}, {Name: "max-time", Value: "1h"}}
	c.Keep, c.SaveEvery, c.Device = 7, 3, threads(2)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "with more threads")
	m, err := run.Dir(dir).ReadManifest()
	if err != nil || len(m.Starts) != 2 || m.Starts[0].ToStep != 5 || m.Starts[1].FromStep != 5 || m.Starts[1].Settings.Get("threads") == nil {
		t.Errorf("manifest %+v, %v", m, err)
	}
}

func TestOtherNumericsAreRefused(t *testing.T) {
	for _, name := range []string{run.ManifestFile, filepath.Join("checkpoints", run.CheckpointName(20), run.StateFile)} {
		dir := t.TempDir()
		c := testConfig(dir)
		s := newSquares(40, 30)
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), `"numerics": `, `"numerics": 99`, 1)
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if name != run.ManifestFile {
			rehash(t, filepath.Dir(path))
			setFinished(t, dir, false)
		}
		if err := Run(t.Context(), c, s.params, s); err == nil || !strings.Contains(err.Error(), "numerics 99") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSkippedSteps(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	var before, after []float32
	s.bad = func(step int) bool { return step == 7 }
	s.onLeaf = func(step, from, _ int) {
		if step == 7 && from == 0 {
			before = slices.Clone(s.w.Data)
		}
		if step == 8 && from == 0 {
			after = slices.Clone(s.w.Data)
		}
	}
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) {
		t.Error("a skipped step changed weights")
	}
	text, err := os.ReadFile(run.Dir(dir).Log())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `{"step":7,"skipped":true,"loss":null,"examples":["7/0","7/1",`) {
		t.Errorf("log:\n%s", text)
	}
}

// Five bad steps in a row end the run, also when it was stopped among them.
func TestDivergence(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		dir := t.TempDir()
		c := testConfig(dir)
		s := newSquares(40, 30)
		s.bad = func(step int) bool { return step == 8 || step >= 10 }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if interrupted {
			s.onLeaf = func(step, _, _ int) {
				if step == 12 {
					cancel()
				}
			}
			if err := Run(ctx, c, s.params, s); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			s.onLeaf = nil
		}
		err := Run(t.Context(), c, s.params, s)
		if err == nil || errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "steps 10 to 14") ||
			!strings.Contains(err.Error(), "learning rate") {
			t.Errorf("%v", err)
		}
		if rows := logRows(t, dir); !strings.Contains(rows[len(rows)-1], `"step":14`) {
			t.Errorf("the log ends with %s", rows[len(rows)-1])
		}
	}
}

// The checkpoint of the best evaluation is kept, and "best" points to it.
func TestBestIsKept(t *testing.T) {
	values := map[int]float64{5: 0.5, 10: 0.9, 15: 0.4, 20: math.NaN()}
	newRun := func(dir string, lowest bool) (Config, *squares) {
		c := testConfig(dir)
		c.Best, c.Lowest, c.SaveEvery, c.Keep = "accuracy", lowest, 2, 1
		s := newSquares(40, 30)
		s.metric = func(step int) float64 { return values[step] }
		return c, s
	}
	for _, lowest := range []bool{false, true} {
		dir := t.TempDir()
		c, s := newRun(dir, lowest)
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatal(err)
		}
		want := 10
		if lowest {
			want = 15
		}
		steps, err := run.Dir(dir).Checkpoints()
		if err != nil || !slices.Equal(steps, []int{want, 20}) {
			t.Errorf("lowest %v: checkpoints %v, %v", lowest, steps, err)
		}
		if to, err := os.Readlink(run.Dir(dir).Best()); err != nil || to != run.CheckpointName(want) {
			t.Errorf("lowest %v: best is %s, %v", lowest, to, err)
		}
	}

	// A best that could not be saved is not the best; one that was lost is not either.
	dir := t.TempDir()
	c, s := newRun(dir, false)
	said := messages(&c)
	ctx, cancel := context.WithCancel(t.Context())
	s.onLeaf = func(step, _, _ int) {
		if step == 13 {
			cancel()
		}
	}
	err := start(ctx, &c, s.params, s, func(p string) error {
		if _, err := os.Stat(run.Dir(dir).Checkpoint(8)); err == nil && p == "rename" {
			if _, err := os.Stat(filepath.Join(filepath.Dir(run.Dir(dir).Checkpoint(10)), disk.Aside+run.CheckpointName(10))); err == nil {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	if !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if to, err := os.Readlink(run.Dir(dir).Best()); err != nil || to != run.CheckpointName(5) {
		t.Errorf("best is %s, %v", to, err)
	}
	if err := os.RemoveAll(run.Dir(dir).Checkpoint(5)); err != nil {
		t.Fatal(err)
	}
	c, s = newRun(dir, false)
	said = messages(&c)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(run.Dir(dir).Best()); err != nil || to != run.CheckpointName(15) ||
		!strings.Contains(said.String(), "step-000005, is not there any more") {
		t.Errorf("best is %s, %v\n%s", to, err, said)
	}
}

// A checkpoint holds the model as it stands in a file, and can be read as a model.
func TestCheckpointHoldsTheModelsTensors(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	c.Tensors = func() []safetensors.Tensor {
		return []safetensors.Tensor{safetensors.Float32Tensor("layer.weight", []int{1, 30}, s.w.Data), safetensors.Float32Tensor("again.weight", []int{1, 30}, s.w.Data),
			safetensors.Float32Tensor("layer.bias", []int{1}, s.bias.Data)}
	}
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	path, err := run.Dir(dir).Newest()
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []string{"again.weight", "layer.bias", "layer.bias.adam_m", "layer.bias.adam_v", "layer.weight", "layer.weight.adam_m", "layer.weight.adam_v"}
	if !slices.Equal(f.Names(), want) {
		t.Errorf("%v", f.Names())
	}
	if v, _, err := f.Float32("again.weight"); err != nil || !slices.Equal(v, s.w.Data) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestBatchErrorIsReportedAndStateSaved(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	s.batch = func(step int) error {
		if step == 11 {
			return errors.New("shard 3 is truncated")
		}
		return nil
	}
	err := Run(t.Context(), c, s.params, s)
	if err == nil || err.Error() != "step 11: shard 3 is truncated" {
		t.Errorf("%v", err)
	}
	s = newSquares(40, 30)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after a bad shard")
}

func TestBadConfig(t *testing.T) {
	s := newSquares(1, 1)
	for i, change := range []func(*Config){
		func(c *Config) { c.Dir = "" }, func(c *Config) { c.Steps = 0 }, func(c *Config) { c.Keep = 0 }, func(c *Config) { c.MicroBatch = -1 },
		func(c *Config) { c.EvalEvery = -1 }, func(c *Config) { c.MaxTime = -1 }, func(c *Config) { c.Best, c.Patience = "", 1 },
	} {
		c := testConfig(t.TempDir())
		change(&c)
		if err := Run(t.Context(), c, s.params, s); err == nil {
			t.Errorf("case %d is accepted", i)
		}
	}
}
