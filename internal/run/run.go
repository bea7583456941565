// Package run is the directory that a run of training keeps: where its files lie, the lock that one process holds on it, its manifest,
// its checkpoints and the model that it results in. Nothing is learned here: package train runs the steps.
//
//	RUN/config.json manifest.json plan.json   what was asked, what it ran on, what it was going to take
//	RUN/log.jsonl tensorboard/                a line a step; event files
//	RUN/data/train/ data/dev/                 shards, where pretraining made them of text
//	RUN/checkpoints/step-NNNNNN/              whole or not there; checkpoints/best links to the best
//	RUN/model/                                the result, a model directory
//	RUN/result.json                           what it reached
//
// Who wants the model of a run asks [Find], which takes the newest checkpoint that is whole.
package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// The names of files in a run directory, or in a checkpoint.
const (
	ConfigFile   = "config.json"       // the model's configuration
	WeightsFile  = "model.safetensors" // a checkpoint's tensors: the parameters under their names, and what the optimizer keeps of them
	StateFile    = "trainer.json"      // a checkpoint's state of the loop
	ManifestFile = "manifest.json"     // of a run; of a checkpoint the hashes of its files
	lockFile     = ".lock"
	resultFile   = "result.json"
	cardFile     = "README.md"
)

// Dir is the path of a run directory.
type Dir string

func (d Dir) join(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Model is the model directory that the run results in.
func (d Dir) Model() string { return d.join("model") }

// Log is the file with a line for each step and evaluation.
func (d Dir) Log() string { return d.join("log.jsonl") }

// Events is the directory of TensorBoard's event files.
func (d Dir) Events() string { return d.join("tensorboard") }

// Plan is the file that says what the run was going to take.
func (d Dir) Plan() string { return d.join("plan.json") }

// Data is where shards made of text lie; split is train or dev.
func (d Dir) Data(split string) string { return d.join("data", split) }

// Manifest is the file that says what was asked and what it ran on.
func (d Dir) Manifest() string { return d.join(ManifestFile) }

// Config is the file of the model's configuration.
func (d Dir) Config() string { return d.join(ConfigFile) }

// Seed is the directory of run number n, from 1, where there are several with other seeds.
func (d Dir) Seed(n int) Dir { return Dir(d.join(fmt.Sprintf("run-%d", n))) }

// Is tells whether a directory is that of a run: it has checkpoints or a manifest of its own.
func (d Dir) Is() bool { return exists(d.checkpoints()) || exists(d.join(ManifestFile)) }

// WriteResult writes result.json, whole or not at all.
func (d Dir) WriteResult(result any) error { return disk.WriteJSON(d.join(resultFile), result) }

// ReadResult reads result.json into a pointer. It is fs.ErrNotExist that there is none yet.
func (d Dir) ReadResult(result any) error { return readJSON(d.join(resultFile), result) }

func readJSON(path string, to any) error {
	text, err := disk.ReadFile(path, 1<<30)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// WriteModel makes the model directory whole or not at all: write puts its files into the directory that it is given.
func (d Dir) WriteModel(write func(dir string) error) error {
	if err := disk.Directory(d.Model(), write); err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	return nil
}

// CopyModel makes the model of another run this one's.
func (d Dir) CopyModel(from Dir) error {
	files := os.DirFS(from.Model())
	return d.WriteModel(func(dir string) error {
		return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
			to := filepath.Join(dir, filepath.FromSlash(name))
			if err != nil || e.IsDir() {
				return OneLine(err, disk.MkdirAll(to))
			}
			f, err := files.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			return disk.Atomically(to, func(w io.Writer) error {
				_, err := io.Copy(w, f)
				return err
			})
		})
	})
}

// Sweep removes what interrupted writes left: unfinished directories, and unfinished files of the given names beside those that every run has.
func (d Dir) Sweep(names ...string) error {
	names = append(slices.Clone(names), ManifestFile, filepath.Base(d.Plan()))
	return OneLine(sweep(string(d), names), sweep(d.checkpoints(), nil))
}

func sweep(dir string, names []string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		unfinished := func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+".") } // as package disk names them
		if strings.HasPrefix(e.Name(), disk.Aside) || slices.ContainsFunc(names, unfinished) {
			err = OneLine(err, disk.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Card is what a model's README.md says, as Hugging Face shows it.
type Card struct {
	Tags     []string
	Text     string            // a paragraph: what the model is
	Settings jsonobject.Fields // a table
	Hash     string            // weights_sha256
}

// Write writes the card of the run's model into dir, which becomes the model directory.
func (c *Card) Write(d Dir, dir string) error {
	var b strings.Builder
	b.WriteString("---\nlibrary_name: transformers\ntags:\n")
	for _, t := range c.Tags {
		fmt.Fprintf(&b, "- %s\n", t)
	}
	fmt.Fprintf(&b, "---\n\n# %s\n\n%s\n\n", filepath.Base(filepath.Clean(string(d))), c.Text)
	rows := [][]string{{"setting", "value"}}
	for _, f := range c.Settings {
		rows = append(rows, []string{f.Name, fmt.Sprint(f.Value)})
	}
	b.WriteString(Table(rows))
	fmt.Fprintf(&b, "\nweights_sha256: `%s`\n", c.Hash)
	return disk.WriteFile(filepath.Join(dir, cardFile), []byte(b.String()))
}

// Location is where the parts of a run's model lie.
type Location struct {
	Dir     string // with config.json and the tokenizer
	Weights string // the model directory, or a checkpoint's safetensors file
}

// HasCheckpoints tells whether path is a run that has written a checkpoint.
func HasCheckpoints(path string) bool { return exists(Dir(path).checkpoints()) }

// Find says where the model lies that a directory means: a run (its result, or the newest checkpoint that is whole), a checkpoint of a
// run, or a directory of several runs with the result of the best.
func Find(path string) (Location, error) {
	d := Dir(path)
	result := Location{Dir: d.Model(), Weights: d.Model()}
	switch up := filepath.Dir(filepath.Dir(filepath.Clean(path))); {
	case exists(result.Dir, ConfigFile):
		return result, nil
	case HasCheckpoints(path):
		newest, err := d.Newest()
		if err != nil {
			return Location{}, err
		}
		if newest == "" {
			return Location{}, fmt.Errorf("%s: a run without a model and without a checkpoint that is whole", path)
		}
		return Location{Dir: path, Weights: filepath.Join(newest, WeightsFile)}, nil
	case exists(path, WeightsFile) && exists(up, ManifestFile): // a checkpoint without files of the model's
		return Location{Dir: up, Weights: filepath.Join(path, WeightsFile)}, nil
	}
	return Location{}, fmt.Errorf("%s: no %s there: not a model directory", path, ConfigFile)
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}
