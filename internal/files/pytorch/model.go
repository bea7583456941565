package pytorch

import "albert/internal/files/safetensors"

// OpenModel opens the weights of a model directory: pytorch_model.bin, or the files of that directory that
// pytorch_model.bin.index.json names.
func OpenModel(dir string) (safetensors.Reader, error) {
	return safetensors.OpenShards(dir, "pytorch_model.bin", func(path string) (safetensors.Reader, error) { return Open(path) }, modern)
}
