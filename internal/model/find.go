package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/safetensors"
)

// Place is where a model's parts lie.
type Place struct {
	Config  string // config.json
	Weights string // a safetensors file, or a directory with model.safetensors or its shards
	Dir     string // where its tokenizer is
}

// CheckpointFile is the safetensors file of a run's checkpoint: parameters under their names, and optimizer slots.
const CheckpointFile = "model.safetensors"

// Find says which model a path means: a directory in Hugging Face layout, a run (its model/, or its newest checkpoint), a
// checkpoint of a run, or a .safetensors file beside its config.json.
func Find(path string) (Place, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Place{}, err
	}
	if !st.IsDir() {
		dir := filepath.Dir(path)
		if strings.HasSuffix(path, ".safetensors") {
			return Place{Config: filepath.Join(dir, ConfigFile), Weights: path, Dir: dir}, nil
		}
		return Place{}, fmt.Errorf("%s is no model: give a model directory, a run directory, or a .safetensors file beside its config.json", path)
	}
	exists := func(elem ...string) bool {
		_, err := os.Stat(filepath.Join(elem...))
		return err == nil
	}
	if exists(path, "checkpoints") { // a run
		if dir := filepath.Join(path, "model"); exists(dir, ConfigFile) {
			return Place{Config: filepath.Join(dir, ConfigFile), Weights: dir, Dir: dir}, nil
		}
		steps, err := filepath.Glob(filepath.Join(path, "checkpoints", "step-*", CheckpointFile))
		if err != nil || len(steps) == 0 {
			return Place{}, fmt.Errorf("%s: a run without a model and without a checkpoint yet", path)
		}
		return Place{Config: filepath.Join(path, ConfigFile), Weights: slices.Max(steps), Dir: path}, nil
	}
	if !exists(path, ConfigFile) {
		if up := filepath.Dir(filepath.Dir(filepath.Clean(path))); exists(path, CheckpointFile) && exists(up, "manifest.json") {
			return Place{Config: filepath.Join(up, ConfigFile), Weights: filepath.Join(path, CheckpointFile), Dir: up}, nil
		}
		if dir := filepath.Join(path, "model"); exists(dir, ConfigFile) { // several runs in one directory
			return Place{Config: filepath.Join(dir, ConfigFile), Weights: dir, Dir: dir}, nil
		}
		return Place{}, fmt.Errorf("%s: no %s there: not a model directory", path, ConfigFile)
	}
	return Place{Config: filepath.Join(path, ConfigFile), Weights: path, Dir: path}, nil
}

// Open reads the model at a place.
func (p Place) Open() (m *Model, unused []string, err error) {
	c, err := ReadConfig(p.Config)
	if err != nil {
		return nil, nil, err
	}
	f, err := p.OpenWeights()
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, unused, err = FromFile(c, f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.Weights, err)
	}
	return m, unused, nil
}

// OpenWeights opens the place's tensors.
func (p Place) OpenWeights() (safetensors.Reader, error) {
	st, err := os.Stat(p.Weights)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.IsDir() {
		return safetensors.OpenModel(p.Weights)
	}
	return safetensors.Open(p.Weights)
}

// Load reads the model that a path means (see [Find]). Tensors of heads that are not known are named in unused.
func Load(path string) (m *Model, unused []string, err error) {
	p, err := Find(path)
	if err != nil {
		return nil, nil, err
	}
	return p.Open()
}
