package train

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
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

	"albert/internal/files/disk"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
)

// A checkpoint is a directory checkpoints/step-NNNNNN: the model's tensors with their moments, the state of the run, the files of
// Config.Files, so that a checkpoint is a model directory, and a manifest with everyone's hash. It is written under another name,
// synced, and renamed when whole.
const (
	checkpointsDir  = "checkpoints"
	tensorsFile     = "model.safetensors"
	stateFile       = "trainer.json"
	momentM         = ".adam_m"
	momentV         = ".adam_v"
	stepPrefix      = "step-"
	unfinished      = ".tmp-"
	damagedSuffix   = ".damaged"
	bestLink        = "best"
	checkpointSlack = 1 << 20 // for the small files
)

// state is what a run needs to go on, beside the tensors: everything else follows from the settings.
type state struct {
	Step      int    `json:"step"`      // steps done
	Tokens    int64  `json:"tokens"`    // pieces of all steps
	Evaluated int    `json:"evaluated"` // the last step whose weights were evaluated
	Skipped   int    `json:"skipped"`   // steps skipped in a row
	Best      best   `json:"best"`
	Worse     int    `json:"worse,omitempty"` // evaluations in a row that were not the best
	Numerics  int    `json:"numerics"`
	Settings  Fields `json:"settings"`
}

// best is the evaluation with the best value of the chosen metric; step 0: none.
type best struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// checkpointManifest is manifest.json of a checkpoint.
type checkpointManifest struct {
	Files map[string]fileHash `json:"files"`
}

type fileHash struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func checkpointName(step int) string { return fmt.Sprintf("%s%06d", stepPrefix, step) }

// listCheckpoints lists the steps of a run's checkpoints, ascending; they need not be whole.
func listCheckpoints(dir string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(dir, checkpointsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		var step int
		if _, err := fmt.Sscanf(e.Name(), stepPrefix+"%d", &step); err == nil && e.IsDir() && e.Name() == checkpointName(step) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Newest gives the directory of a run's newest checkpoint that is whole; "" if there is none.
func Newest(dir string) (string, error) {
	steps, err := listCheckpoints(dir)
	if err != nil {
		return "", err
	}
	for _, step := range slices.Backward(steps) {
		path := filepath.Join(dir, checkpointsDir, checkpointName(step))
		if verify(path) == nil {
			return path, nil
		}
	}
	return "", nil
}

// hashedFile writes a file into a new checkpoint and finds its hash.
func hashedFile(path string, write func(w io.Writer) error) (fileHash, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fileHash{}, err
	}
	h := sha256.New()
	n := &counter{w: io.MultiWriter(f, h)}
	err = write(n)
	if err == nil {
		err = f.Sync()
	}
	err = both(err, f.Close())
	return fileHash{n.n, hex.EncodeToString(h.Sum(nil))}, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// verify checks every file of a checkpoint against its manifest.
func verify(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return err
	}
	var m checkpointManifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	for _, name := range []string{tensorsFile, stateFile} {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("%s does not name %s", manifestFile, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		want := m.Files[name]
		if name != filepath.Base(name) {
			return fmt.Errorf("%s names %q, which is no file of the checkpoint", manifestFile, name)
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		f.Close()
		switch {
		case err != nil:
			return err
		case n != want.Bytes:
			return fmt.Errorf("%s has %d bytes, not %d", name, n, want.Bytes)
		case hex.EncodeToString(h.Sum(nil)) != want.SHA256:
			return fmt.Errorf("%s has changed since it was written (sha256)", name)
		}
	}
	return nil
}

// checkpoints writes and reads the checkpoints of a run.
type checkpoints struct {
	dir     string // of the run
	params  *ops.Params
	m, v    []float32
	tensors func() []safetensors.Tensor // the model's tensors as they stand in a file
	files   map[string][]byte
	keep    int
	at      func(point string) error // for tests: told of each stage, may fail it
}

func (c *checkpoints) path(step int) string {
	return filepath.Join(c.dir, checkpointsDir, checkpointName(step))
}

// all lists a checkpoint's tensors: the model's, and m and v of every parameter.
func (c *checkpoints) all() []safetensors.Tensor {
	list := slices.Clone(c.tensors())
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
func (c *checkpoints) save(s *state) (err error) {
	top := filepath.Join(c.dir, checkpointsDir)
	if err := os.MkdirAll(top, 0o777); err != nil {
		return err
	}
	if free, need := disk.Free(top), c.size(); free >= 0 && free < need {
		return fmt.Errorf("a checkpoint needs %s, the disk has %s", bytesText(need), bytesText(free))
	}
	tmp := filepath.Join(top, unfinished+checkpointName(s.Step))
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = both(err, os.RemoveAll(tmp))
		}
	}()
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	m := checkpointManifest{Files: map[string]fileHash{}}
	add := func(name string, write func(w io.Writer) error) error {
		if err := c.at("write " + name); err != nil {
			return err
		}
		h, err := hashedFile(filepath.Join(tmp, name), write)
		m.Files[name] = h
		return err
	}
	if err := add(tensorsFile, func(w io.Writer) error {
		return safetensors.WriteTo(w, c.all(), map[string]string{"format": "pt"})
	}); err != nil {
		return err
	}
	if err := add(stateFile, copyOf(append(text, '\n'))); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if err := add(name, copyOf(c.files[name])); err != nil {
			return err
		}
	}
	if text, err = json.MarshalIndent(m, "", "  "); err != nil {
		return err
	}
	if _, err := hashedFile(filepath.Join(tmp, manifestFile), copyOf(append(text, '\n'))); err != nil {
		return err
	}
	if err := disk.SyncDir(tmp); err != nil {
		return err
	}
	if err := c.at("rename"); err != nil {
		return err
	}
	// Only a save that failed at its very end can have left this step's checkpoint.
	if err := os.RemoveAll(c.path(s.Step)); err != nil {
		return err
	}
	if err := os.Rename(tmp, c.path(s.Step)); err != nil {
		return err
	}
	return disk.SyncDir(top)
}

func copyOf(data []byte) func(w io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	}
}

// prune points "best" to the best checkpoint if that is there, and removes all but it and the newest ones.
func (c *checkpoints) prune(b best) error {
	if err := c.at("prune"); err != nil {
		return err
	}
	steps, err := listCheckpoints(c.dir)
	if err != nil {
		return err
	}
	err = c.link(b.Step, slices.Contains(steps, b.Step))
	for _, step := range steps[:max(0, len(steps)-c.keep)] {
		if step != b.Step {
			err = both(err, c.remove(step))
		}
	}
	return err
}

// remove deletes a checkpoint, renamed first, so that a crash on the way leaves no half one under its name.
func (c *checkpoints) remove(step int) error {
	tmp := filepath.Join(c.dir, checkpointsDir, unfinished+checkpointName(step))
	if err := os.Rename(c.path(step), tmp); err != nil {
		return err
	}
	return os.RemoveAll(tmp)
}

// link makes checkpoints/best a symbolic link to the checkpoint of a step, or removes it where there is none.
func (c *checkpoints) link(step int, there bool) error {
	path := filepath.Join(c.dir, checkpointsDir, bestLink)
	if !there {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if to, err := os.Readlink(path); err == nil && to == checkpointName(step) {
		return nil
	}
	tmp := filepath.Join(c.dir, checkpointsDir, unfinished+bestLink)
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Symlink(checkpointName(step), tmp); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// sweep removes what interrupted writes left, here and of the files at the top of the run.
func (c *checkpoints) sweep() error {
	patterns := []string{checkpointsDir + "/" + unfinished + "*", unfinished + "*"}
	for _, name := range slices.Concat([]string{manifestFile, planFile}, slices.Collect(maps.Keys(c.files))) {
		patterns = append(patterns, "."+name+".*") // as package weights names them
	}
	var err error
	for _, pattern := range patterns {
		list, e := fs.Glob(os.DirFS(c.dir), pattern)
		err = both(err, e)
		for _, name := range list {
			err = both(err, os.RemoveAll(filepath.Join(c.dir, name)))
		}
	}
	return err
}

// load fills the parameters and moments from the newest checkpoint that is whole. One that is damaged is told to warn and put aside
// under another name. The state is nil if there is none.
func (c *checkpoints) load(warn func(format string, args ...any)) (*state, error) {
	steps, err := listCheckpoints(c.dir)
	if err != nil {
		return nil, err
	}
	for _, step := range slices.Backward(steps) {
		path := c.path(step)
		bad := verify(path)
		if bad == nil {
			s, err := c.read(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if b := s.Best.Step; b > 0 {
				if _, err := os.Stat(c.path(b)); errors.Is(err, fs.ErrNotExist) {
					warn("the best checkpoint, %s, is not there any more: the next evaluation is the best", checkpointName(b))
					s.Best = best{}
				}
			}
			return s, nil
		}
		aside := path + damagedSuffix
		if err := os.RemoveAll(aside); err != nil {
			return nil, err
		}
		if err := os.Rename(path, aside); err != nil {
			return nil, err
		}
		warn("%s is damaged and skipped: %v; it is now %s", path, bad, filepath.Base(aside))
	}
	if len(steps) > 0 {
		warn("no checkpoint is whole: beginning anew")
	}
	return nil, nil
}

// read takes over a verified checkpoint.
func (c *checkpoints) read(path string) (*state, error) {
	text, err := os.ReadFile(filepath.Join(path, stateFile))
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	if s.Numerics != numeric.Version {
		return nil, fmt.Errorf("made with numerics %d, this program has %d: its bits would not go on", s.Numerics, numeric.Version)
	}
	if path != c.path(s.Step) {
		return nil, fmt.Errorf("%s is of step %d", stateFile, s.Step)
	}
	f, err := safetensors.Open(filepath.Join(path, tensorsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// All is looked at before anything is taken over.
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

// bytesText is a size for people.
func bytesText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

// both is two errors as one, on one line.
func both(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}

// BestStep is the step of a run's best evaluation, by its newest checkpoint; 0: there was none.
func BestStep(dir string) (int, error) {
	path, err := Newest(dir)
	if err != nil || path == "" {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(path, stateFile))
	if err != nil {
		return 0, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return s.Best.Step, nil
}
