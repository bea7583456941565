package pytorch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"albert/weights"
)

// OpenModel opens the weights of a model directory: pytorch_model.bin, or the files of that directory that
// pytorch_model.bin.index.json names.
func OpenModel(dir string) (weights.Reader, error) {
	path := filepath.Join(dir, "pytorch_model.bin")
	f, err := Open(path)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r, err := weights.OpenShards(path+".index.json", func(path string) (weights.Reader, error) { return Open(path) }, modern)
	if errors.Is(err, weights.ErrNoIndex) {
		err = fmt.Errorf("%s: no pytorch_model.bin there", dir)
	}
	return r, err
}
