package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"albert/weights"
)

// ModelFile and ConfigFile are the names of a tokenizer's files in a Hugging Face directory.
const (
	ModelFile  = "spiece.model"
	ConfigFile = "tokenizer_config.json"
)

// ErrNone tells that a directory has no tokenizer.
var ErrNone = errors.New("no tokenizer")

// config is tokenizer_config.json; what is not named there is ALBERT's default. Cleanup is ours: transformers cannot leave the
// clean-up out.
type config struct {
	Class       string  `json:"tokenizer_class,omitempty"`
	Lower       *bool   `json:"do_lower_case,omitempty"`
	KeepAccents *bool   `json:"keep_accents,omitempty"`
	RemoveSpace *bool   `json:"remove_space,omitempty"`
	Cleanup     Cleanup `json:"cleanup,omitempty"`
}

// maxConfigBytes bounds tokenizer_config.json.
const maxConfigBytes = 16 << 20

// Open opens a model file (no clean-up), a directory with spiece.model and, if it is there, tokenizer_config.json, or a run directory,
// whose model directory is meant.
func Open(path string) (*Tokenizer, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	o := Options{Cleanup: CleanupNone}
	file := path
	if st.IsDir() {
		file = filepath.Join(path, ModelFile)
		if !isFile(file) {
			if inner := filepath.Join(path, "model"); isFile(filepath.Join(inner, ModelFile)) {
				return Open(inner)
			}
			return nil, fmt.Errorf("%s: %w: no %s there", path, ErrNone, ModelFile)
		}
		if o, err = readConfig(filepath.Join(path, ConfigFile)); err != nil {
			return nil, err
		}
	}
	_, data, err := Load(file)
	if err != nil {
		return nil, err
	}
	return New(data, o)
}

// readConfig reads tokenizer_config.json; one that is not there says nothing.
func readConfig(path string) (Options, error) {
	o := DefaultOptions
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err == nil && st.Size() > maxConfigBytes {
		err = fmt.Errorf("%s: larger than %d MiB", path, maxConfigBytes>>20)
	}
	if err != nil {
		return o, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return o, err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return o, fmt.Errorf("%s: %w", path, err)
	}
	for from, to := range map[*bool]*bool{c.Lower: &o.Lower, c.KeepAccents: &o.KeepAccents, c.RemoveSpace: &o.RemoveSpace} {
		if from != nil {
			*to = *from
		}
	}
	switch c.Cleanup {
	case "", CleanupAlbert:
	case CleanupNone:
		o.Cleanup = CleanupNone
	default:
		return o, fmt.Errorf("%s: cleanup %q: want %s or %s", path, c.Cleanup, CleanupAlbert, CleanupNone)
	}
	return o, nil
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

// Files are the tokenizer's files, by name, as transformers' AlbertTokenizer loads them.
func (t *Tokenizer) Files() map[string][]byte {
	o := t.Options
	c := config{Class: "AlbertTokenizer", Lower: &o.Lower, KeepAccents: &o.KeepAccents, RemoveSpace: &o.RemoveSpace}
	if o.Cleanup != CleanupAlbert {
		o.Lower, o.KeepAccents, o.RemoveSpace = false, true, false // as little as transformers can do
		c.Cleanup = CleanupNone
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // strings and booleans
	}
	return map[string][]byte{ModelFile: t.data, ConfigFile: append(text, '\n')}
}

// WriteDir writes the tokenizer's files into a directory.
func (t *Tokenizer) WriteDir(dir string) error {
	for name, data := range t.Files() {
		if err := weights.WriteFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}
