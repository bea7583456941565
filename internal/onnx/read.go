package onnx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// File is an open ONNX file, a [safetensors.Reader] of its tensors under Hugging Face's names.
type File struct {
	disk.Mapped
	tensors map[string]tensor
	names   []string
	config  *model.Config
	head    Head
}

// tensor is a tensor as it is in a file, with its scales if it is quantised.
type tensor struct {
	tensorProto
	scales     *tensorProto
	transposed bool
}

var _ safetensors.Reader = (*File)(nil)

// Open opens an ONNX file that this package wrote. Other exports can be read as far as their initialisers have Hugging Face's
// names. It is an error if they do not, as where an exporter turned the weights around and numbered them, and if values lie in another file.
func Open(path string) (*File, error) { return disk.Open(path, Parse) }

// Parse reads the bytes of an ONNX file, which the tensors keep pointing to.
func Parse(data []byte) (*File, error) {
	c, err := parseModel(data)
	if err != nil {
		return nil, err
	}
	f := &File{tensors: map[string]tensor{}, head: Head(c.metadata[headKey])}
	if text, ok := c.metadata[configKey]; ok {
		config, err := model.ParseConfig([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("metadata_props: %s: %w", configKey, err)
		}
		f.config = &config
	}
	all := map[string]tensorProto{}
	for _, t := range c.tensors {
		if _, twice := all[t.name]; twice {
			return nil, fmt.Errorf("initialiser %s appears twice", safetensors.Quote(t.name))
		}
		all[t.name] = t
	}
	for _, t := range c.tensors {
		if err := f.add(t, all); err != nil {
			return nil, err
		}
	}
	if f.config != nil {
		f.repeat()
	}
	f.names = slices.Sorted(maps.Keys(f.tensors))
	if len(f.names) == 0 {
		if family := model.ForeignFamily(slices.Collect(maps.Keys(all))); family != "" {
			return nil, fmt.Errorf("its tensors have the names of a %s: only ALBERT and BERT are read", family)
		}
		return nil, errors.New("no tensor with a name of Hugging Face's in it: not an ALBERT or BERT model, or exported under other names")
	}
	return f, nil
}

// add takes an initialiser if its name is one of Hugging Face's.
func (f *File) add(t tensorProto, all map[string]tensorProto) error {
	name := t.name
	if strings.HasPrefix(name, "onnx::") && len(t.shape) == 2 {
		return fmt.Errorf("the weight %s lost its name in the export, so that the model cannot be read back: use the model that was exported",
			safetensors.Quote(name))
	}
	if !isParameter(name) {
		return nil
	}
	x := tensor{tensorProto: t}
	base, quantized := strings.CutSuffix(name, transposedSuffix)
	x.transposed = quantized
	if !quantized {
		base, quantized = strings.CutSuffix(name, quantizedSuffix)
	}
	if s, ok := all[base+scaleSuffix]; ok && quantized {
		name, x.scales = base, &s
	} else if isScale(t.name, all) {
		return nil
	}
	if t.external || x.scales != nil && x.scales.external {
		return fmt.Errorf("tensor %s lies in another file (external data), which is not read: save the model as one file", safetensors.Quote(t.name))
	}
	if _, twice := f.tensors[name]; twice {
		return fmt.Errorf("tensor %s is there both as it is and quantised", safetensors.Quote(name))
	}
	f.tensors[name] = x
	return nil
}

// isScale tells whether an initialiser holds the scales of another.
func isScale(name string, all map[string]tensorProto) bool {
	base, ok := strings.CutSuffix(name, scaleSuffix)
	for _, suffix := range []string{transposedSuffix, quantizedSuffix} {
		if _, there := all[base+suffix]; ok && there {
			return true
		}
	}
	return false
}

// isParameter tells whether a name can be that of a parameter of ALBERT or BERT.
func isParameter(name string) bool {
	base, _, ok := strings.Cut(name, ".")
	return ok && !strings.Contains(name, "/") && (model.IsHead(name) || slices.Contains([]string{"albert", "bert", "embeddings", "encoder", "pooler"}, base))
}

// repeat gives the tensors that a sharing mode repeats, which the file has once, their other names.
func (f *File) repeat() {
	for _, t := range model.Layout(*f.config) {
		x, ok := f.tensors[f.config.Repeats(t.Name)]
		if _, there := f.tensors[t.Name]; ok && !there {
			f.tensors[t.Name] = x
		}
	}
}

// Config is the configuration of the model, which a file of this package holds; nil for another's.
func (f *File) Config() *model.Config { return f.config }

// Head is what a file of this package computes, "" for another's.
func (f *File) Head() Head { return f.head }

// Names lists the tensors in byte order.
func (f *File) Names() []string { return f.names }

// Float32 gives a tensor's values in the layout of Hugging Face's: those of fp32 as they are, of int8 times their scales.
func (f *File) Float32(name string) (values []float32, shape []int, err error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("%s: no tensor %s", f.Path, safetensors.Quote(name))
	}
	if t.scales == nil {
		values, err = t.float32s()
		shape = t.shape
	} else {
		values, shape, err = t.dequantize()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: tensor %s: %w", f.Path, safetensors.Quote(name), err)
	}
	return values, shape, nil
}

// floatTypes are the types of floating-point numbers.
var floatTypes = map[int]safetensors.DType{typeFloat: "F32", typeFloat16: "F16", typeBfloat16: "BF16", typeDouble: "F64"}

// float32s gives the values of a tensor of floating-point numbers.
func (t tensorProto) float32s() ([]float32, error) {
	dtype, ok := floatTypes[t.kind]
	if !ok {
		return nil, fmt.Errorf("data_type %d where numbers with a fraction are needed", t.kind)
	}
	data := t.raw
	if t.kind == typeFloat && len(t.floats) > 0 {
		data = slices.Concat(t.floats...)
	}
	x := safetensors.Tensor{DType: dtype, Shape: t.shape, Data: data}
	if x.Fits() != nil {
		return nil, fmt.Errorf("%d bytes do not fit the shape %v of %s", len(data), t.shape, dtype)
	}
	return x.Float32()
}

// dequantize gives an int8 weight [out, in], which the file may have as [in, out].
func (t tensor) dequantize() (values []float32, shape []int, err error) {
	x := safetensors.Tensor{DType: "I8", Shape: t.shape, Data: t.raw}
	if t.kind != typeInt8 || len(t.shape) != 2 || x.Fits() != nil {
		return nil, nil, fmt.Errorf("%d bytes of type %d and shape %v are not an int8 matrix", len(t.raw), t.kind, t.shape)
	}
	out, in, q := t.shape[0], t.shape[1], t.raw
	if t.transposed {
		q = safetensors.Transpose(q, out, in, 1)
		out, in = in, out
	}
	scales, err := t.scales.float32s()
	if err != nil {
		return nil, nil, fmt.Errorf("scales: %w", err)
	}
	if len(scales) != out {
		return nil, nil, fmt.Errorf("%d scales for %d outputs", len(scales), out)
	}
	values = make([]float32, len(q))
	for i, v := range q {
		values[i] = float32(int8(v)) * scales[i/in]
	}
	return values, []int{out, in}, nil
}
