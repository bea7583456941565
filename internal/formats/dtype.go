package formats

import (
	"context"
	"fmt"
	"strings"

	"albert/internal/files/safetensors"
)

// DType is the type of the numbers that weights are written as.
type DType string

// The types. KeepDType leaves each tensor the type of 16 bits that it was read in.
const (
	FP32      DType = "fp32"
	FP16      DType = "fp16"
	BF16      DType = "bf16"
	KeepDType DType = "keep"
)

// narrow gives the model's tensors as numbers of a type, or of 16 bits where they were read so, the name of the type that all have that are not
// fp32 ("": there are several), and a note if values were rounded.
func (m *Model) narrow(ctx context.Context, f Format, to DType) (list []safetensors.Tensor, dtype string, notes []string, err error) {
	list = m.Tensors()
	names := map[safetensors.DType]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16"} // as PyTorch has them
	all := map[DType]safetensors.DType{"": "F32", FP32: "F32", FP16: "F16", BF16: "BF16", KeepDType: ""}
	want, known := all[to]
	switch {
	case !known:
		return nil, "", nil, targetError("dtype %q: want %s, %s, %s or %s", to, FP32, FP16, BF16, KeepDType)
	case want == "F32":
		return list, names[want], nil, nil
	case f != HuggingFace && f != SafeTensors && f != PyTorch:
		return nil, "", nil, targetError("%s is written as fp32 only: --dtype is for a Hugging Face directory, safetensors and PyTorch", f)
	}
	dtype = names["F32"]
	changed := false
	for i, t := range list {
		if err := ctx.Err(); err != nil {
			return nil, "", nil, err
		}
		d := want
		if to == KeepDType {
			d = "F32"
			for _, name := range []string{t.Name, strings.TrimPrefix(t.Name, m.Config.Prefix())} { // a bare model's names
				if was := safetensors.DType(m.DTypes[name]); was == "F16" || was == "BF16" {
					d = was
				}
			}
			if d == "F32" {
				continue
			}
		}
		var rounded bool
		if list[i], rounded, err = t.Narrow(d); err != nil {
			return nil, "", nil, fmt.Errorf("%s: %w", m.Path, err)
		}
		changed = changed || rounded
		if dtype == names["F32"] {
			dtype = names[d]
		} else if dtype != names[d] {
			dtype = ""
		}
	}
	if changed {
		notes = []string{string(to) + " rounds the weights: read back they have another weights_sha256"}
	}
	return list, dtype, notes, nil
}

// configOf is config.json of a model that is written in a type: what it says of the type is right, and it says what is not fp32.
func (m *Model) configOf(dtype string) ([]byte, error) {
	net := *m.Model
	for _, name := range []string{"torch_dtype", "dtype"} {
		raw := net.Config.Extra(name)
		if dtype == "" || raw == nil && (dtype == "float32" || name == "dtype") || string(raw) == "null" {
			continue
		}
		if err := net.Config.SetExtra(name, dtype); err != nil {
			return nil, err
		}
	}
	return net.ConfigJSON()
}
