package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// maxIndex bounds model.safetensors.index.json in bytes; real ones have some 100 KB.
const maxIndex = 64 << 20

// OpenModel opens the weights of a model directory: model.safetensors, or the shards that model.safetensors.index.json names.
func OpenModel(dir string) (Reader, error) {
	return OpenShards(dir, "model.safetensors", func(path string) (Reader, error) { return Open(path) }, func(name string) string { return name })
}

// OpenShards opens the weights of a model directory in any format: a file of that name or, where there is none, the files of the
// directory that name.index.json lists in its weight_map. Each is opened by open; rename gives the name under which open's readers offer
// a tensor of the index.
func OpenShards(dir, name string, open func(path string) (Reader, error), rename func(tensor string) string) (Reader, error) {
	path := filepath.Join(dir, name)
	r, err := open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	s := &shards{index: path + ".index.json", files: map[string]Reader{}, of: map[string]Reader{}}
	text, err := disk.ReadFile(s.index, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no %s there", dir, name)
	}
	if err == nil {
		err = s.open(text, open, rename)
	}
	if err != nil {
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

// open opens the files that an index names.
func (s *shards) open(index []byte, open func(path string) (Reader, error), rename func(name string) string) error {
	var top struct {
		WeightMap json.RawMessage `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &top); err != nil {
		return fmt.Errorf("%s: %w", s.index, err)
	}
	var entries jsonobject.Fields
	if err := entries.UnmarshalJSON(top.WeightMap); err != nil {
		return fmt.Errorf("%s: weight_map: %w", s.index, err)
	}
	for _, e := range entries {
		var file string
		if err := json.Unmarshal(e.Value.(json.RawMessage), &file); err != nil {
			return fmt.Errorf("%s: weight_map: tensor %s: %w", s.index, Quote(e.Name), err)
		}
		tensor := rename(e.Name)
		if file == "." || file != filepath.Base(file) || !filepath.IsLocal(file) {
			return fmt.Errorf("%s: tensor %s: %s is not a file of this directory", s.index, Quote(tensor), Quote(file))
		}
		if s.of[tensor] != nil {
			return fmt.Errorf("%s: tensor %s appears twice", s.index, Quote(tensor))
		}
		f := s.files[file]
		if f == nil {
			var err error
			if f, err = open(filepath.Join(filepath.Dir(s.index), file)); err != nil {
				return fmt.Errorf("%s: %w", s.index, err)
			}
			s.files[file] = f
		}
		if _, ok := slices.BinarySearch(f.Names(), tensor); !ok {
			return fmt.Errorf("%s: %s: no tensor %s", s.index, file, Quote(tensor))
		}
		s.of[tensor] = f
		s.names = append(s.names, tensor)
	}
	slices.Sort(s.names)
	return nil
}

func (s *shards) Names() []string { return s.names }

func (s *shards) Float32(name string) ([]float32, []int, error) {
	f := s.of[name]
	if f == nil {
		return nil, nil, fmt.Errorf("%s: no tensor %s", s.index, Quote(name))
	}
	return f.Float32(name)
}

// Tensor gives a tensor as its file gives it.
func (s *shards) Tensor(name string) (Tensor, error) {
	f, ok := s.of[name].(interface{ Tensor(string) (Tensor, error) })
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %s", s.index, Quote(name))
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
