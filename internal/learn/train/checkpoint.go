package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"albert/internal/engine/ops"
	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/files/safetensors"
	"albert/internal/run"
)

// A checkpoint holds the model's tensors with their moments, the state of the loop, and the files of Config.Files, so that it is a model
// directory. How it lies in the run directory is package run's.
const (
	momentM         = ".adam_m"
	momentV         = ".adam_v"
	checkpointSlack = 1 << 20 // for the small files
)

// state is what a run needs to go on, beside the tensors: everything else follows from the settings.
type state struct {
	Step      int               `json:"step"`      // steps done
	Tokens    int64             `json:"tokens"`    // pieces of all steps
	Evaluated int               `json:"evaluated"` // the last step whose weights were evaluated
	Skipped   int               `json:"skipped"`   // steps skipped in a row
	Best      best              `json:"best"`
	Worse     int               `json:"worse,omitempty"` // evaluations in a row that were not the best
	Numerics  int               `json:"numerics"`
	Settings  jsonobject.Fields `json:"settings"`
}

// best is the evaluation with the best value of the chosen metric; step 0: none.
type best struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// checkpoints writes and reads the checkpoints of a run.
type checkpoints struct {
	dir     run.Dir
	params  *ops.Params
	m, v    []float32
	tensors func() []safetensors.Tensor // the model's tensors as they stand in a file
	files   map[string][]byte
	keep    int
	at      func(point string) error // for tests: told of each stage, may fail it
}

// all lists a checkpoint's tensors: the model's and the moments.
func (c *checkpoints) all() []safetensors.Tensor { return slices.Concat(c.tensors(), c.moments()) }

// moments lists the moments m and v of every parameter.
func (c *checkpoints) moments() (list []safetensors.Tensor) {
	for _, p := range c.params.List {
		from := c.params.Offset(p)
		to := from + len(p.Data)
		list = append(list, safetensors.Float32Tensor(p.Name+momentM, p.Shape, c.m[from:to]),
			safetensors.Float32Tensor(p.Name+momentV, p.Shape, c.v[from:to]))
	}
	return list
}

// size is about how many bytes a checkpoint takes.
func (c *checkpoints) size() int64 {
	n := int64(checkpointSlack)
	for _, t := range c.all() {
		n += int64(len(t.Data))
	}
	return n
}

// save writes the checkpoint of s.Step. If it fails nothing of it is left, and the older ones are as they were.
func (c *checkpoints) save(s *state) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	files := []run.File{{Name: run.WeightsFile, Write: func(w io.Writer) error {
		return safetensors.WriteTo(w, c.all(), map[string]string{"format": "pt"})
	}}, run.Bytes(run.StateFile, append(text, '\n'))}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		files = append(files, run.Bytes(name, c.files[name]))
	}
	return c.dir.WriteCheckpoint(s.Step, c.size(), files, c.at)
}

// prune points to the best checkpoint, and removes all but it and the newest ones.
func (c *checkpoints) prune(b best) error {
	if err := c.at("prune"); err != nil {
		return err
	}
	return c.dir.Prune(b.Step, c.keep)
}

// load fills the parameters and moments from the newest checkpoint that is whole. One that is damaged is told to warn and put aside
// under another name. The state is nil if there is none.
func (c *checkpoints) load(warn func(format string, args ...any)) (*state, error) {
	steps, err := c.dir.Checkpoints()
	if err != nil {
		return nil, err
	}
	for _, step := range slices.Backward(steps) {
		path := c.dir.Checkpoint(step)
		damage := run.Verify(path)
		if damage == nil {
			s, err := c.read(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if b := s.Best.Step; b > 0 {
				if _, err := os.Stat(c.dir.Checkpoint(b)); errors.Is(err, fs.ErrNotExist) {
					warn("the best checkpoint, %s, is not there any more: the next evaluation is the best", run.CheckpointName(b))
					s.Best = best{}
				}
			}
			return s, nil
		}
		aside, err := c.dir.PutAside(step)
		if err != nil {
			return nil, err
		}
		warn("%s is damaged and skipped: %v; it is now %s", path, damage, aside)
	}
	if len(steps) > 0 {
		warn("no checkpoint is whole: the run begins anew")
	}
	return nil, nil
}

// read fills the parameters and moments from a verified checkpoint.
func (c *checkpoints) read(path string) (*state, error) {
	s, err := readState(path)
	if err != nil {
		return nil, err
	}
	if err := run.CheckNumerics(path, s.Numerics); err != nil {
		return nil, err
	}
	if filepath.Base(path) != run.CheckpointName(s.Step) {
		return nil, fmt.Errorf("%s is of step %d", run.StateFile, s.Step)
	}
	f, err := safetensors.Open(filepath.Join(path, run.WeightsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Every tensor is checked before any value is changed.
	var from, to [][]float32
	for _, p := range c.params.List {
		at := c.params.Offset(p)
		for _, t := range []struct {
			name string
			to   []float32
		}{{p.Name, p.Data}, {p.Name + momentM, c.m[at : at+len(p.Data)]}, {p.Name + momentV, c.v[at : at+len(p.Data)]}} {
			values, shape, err := f.Float32(t.name)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(shape, p.Shape) {
				return nil, fmt.Errorf("tensor %s has shape %v, not %v", t.name, shape, p.Shape)
			}
			from, to = append(from, values), append(to, t.to)
		}
	}
	for i := range from {
		copy(to[i], from[i])
	}
	c.params.Touch()
	return s, nil
}

// beatenBy tells whether an evaluation is better than the best so far.
func (b best) beatenBy(value float64, lowest bool) bool {
	if math.IsNaN(value) {
		return false
	}
	return b.Step == 0 || !lowest && value > b.Value || lowest && value < b.Value
}

// BestStep is the step of a run's best evaluation, by its newest checkpoint; 0: there was none.
func BestStep(dir run.Dir) (int, error) {
	path, err := dir.Newest()
	if err != nil || path == "" {
		return 0, err
	}
	s, err := readState(path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return s.Best.Step, nil
}

func readState(checkpoint string) (*state, error) {
	text, err := disk.ReadFile(filepath.Join(checkpoint, run.StateFile), 1<<30)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", run.StateFile, err)
	}
	return s, nil
}
