package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxIndex bounds model.safetensors.index.json in bytes; real ones have some 100 KB.
const maxIndex = 64 << 20

// OpenModel opens the weights of a model directory: model.safetensors, or the shards that model.safetensors.index.json names.
func OpenModel(dir string) (Reader, error) {
	path := filepath.Join(dir, "model.safetensors")
	f, err := Open(path)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r, err := OpenShards(path+".index.json", func(path string) (Reader, error) { return Open(path) }, func(name string) string { return name })
	if errors.Is(err, ErrNoIndex) {
		err = fmt.Errorf("%s: no model.safetensors there", dir)
	}
	return r, err
}

// ErrNoIndex is OpenShards' error where the index itself is missing.
var ErrNoIndex = errors.New("no index")

// OpenShards opens a model in several files: those of the index's directory that its weight_map names. Each is opened by open; rename
// gives the name under which open's readers offer a tensor of the index.
func OpenShards(index string, open func(path string) (Reader, error), rename func(name string) string) (Reader, error) {
	s := &shards{index: index, files: map[string]Reader{}, of: map[string]Reader{}}
	if err := s.open(open, rename); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// shards is a model in several files.
type shards struct {
	index string
	files map[string]Reader
	of    map[string]Reader
	names []string
}

func (s *shards) open(open func(path string) (Reader, error), rename func(name string) string) error {
	text, err := readIndex(s.index)
	if err != nil {
		return err
	}
	places, err := weightMap(text)
	if err != nil {
		return fmt.Errorf("%s: %w", s.index, err)
	}
	for _, p := range places {
		p.tensor = rename(p.tensor)
		if p.file == "" || p.file != filepath.Base(p.file) || p.file == ".." || p.file == "." {
			return fmt.Errorf("%s: tensor %s: %s is not a file of this directory", s.index, quote(p.tensor), quote(p.file))
		}
		if s.of[p.tensor] != nil {
			return fmt.Errorf("%s: tensor %s stands twice", s.index, quote(p.tensor))
		}
		f := s.files[p.file]
		if f == nil {
			if f, err = open(filepath.Join(filepath.Dir(s.index), p.file)); err != nil {
				return fmt.Errorf("%s: %w", s.index, err)
			}
			s.files[p.file] = f
		}
		if _, ok := slices.BinarySearch(f.Names(), p.tensor); !ok {
			return fmt.Errorf("%s: %s: no tensor %s", s.index, p.file, quote(p.tensor))
		}
		s.of[p.tensor] = f
		s.names = append(s.names, p.tensor)
	}
	slices.Sort(s.names)
	return nil
}

func readIndex(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoIndex
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxIndex {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxIndex)
	}
	return text, nil
}

// place says which file holds a tensor.
type place struct{ tensor, file string }

// weightMap reads an index's weight_map in the order in which it is written, tensors that stand twice included.
func weightMap(text []byte) ([]place, error) {
	var index struct {
		WeightMap json.RawMessage `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(index.WeightMap))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("weight_map is not a JSON object")
	}
	var places []place
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("weight_map: %w", err)
		}
		p := place{tensor: name.(string)} // an object's keys are strings
		if len(places) == maxTensors {
			return nil, fmt.Errorf("weight_map: more than %d tensors", maxTensors)
		}
		if err := dec.Decode(&p.file); err != nil {
			return nil, fmt.Errorf("weight_map: tensor %s: %w", quote(p.tensor), err)
		}
		places = append(places, p)
	}
	return places, nil
}

func (s *shards) Names() []string { return s.names }

func (s *shards) Float32(name string) ([]float32, []int, error) {
	f := s.of[name]
	if f == nil {
		return nil, nil, fmt.Errorf("%s: no tensor %s", s.index, quote(name))
	}
	return f.Float32(name)
}

// Tensor gives a tensor as its file gives it.
func (s *shards) Tensor(name string) (Tensor, error) {
	f, ok := s.of[name].(interface{ Tensor(string) (Tensor, error) })
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %s", s.index, quote(name))
	}
	return f.Tensor(name)
}

func (s *shards) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
