package pytorch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"albert/internal/files/safetensors"
)

// OpenModel opens the weights of a model directory: pytorch_model.bin, or the files of that directory that
// pytorch_model.bin.index.json names.
func OpenModel(dir string) (safetensors.Reader, error) {
	path := filepath.Join(dir, "pytorch_model.bin")
	f, err := Open(path)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r, err := safetensors.OpenShards(path+".index.json", func(path string) (safetensors.Reader, error) { return Open(path) }, modern)
	if errors.Is(err, safetensors.ErrNoIndex) {
		err = fmt.Errorf("%s: no pytorch_model.bin there", dir)
	}
	return r, err
}
