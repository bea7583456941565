// Package pytorch reads and writes the state dicts that torch.save keeps in .bin, .pt and .pth files. It knows tensors by name and
// nothing of models.
//
//	f, err := pytorch.Open("pytorch_model.bin")
//	values, shape, err := f.Float32("albert.pooler.weight")
//
// Such a file is a pickle, a program that builds objects and in Python may call anything. Here it may build numbers, strings, tuples,
// lists, dicts and tensors; whatever else it asks for is refused by name, and nothing is ever run.
//
// Two containers are read: the zip file of PyTorch 1.6 and later, and the one before it, pickles one after another with the values
// behind them. A tar file of the first releases is refused, and so are whole models, TorchScript and big-endian files.
package pytorch

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
	"albert/internal/files/stream"
)

// The bounds of what a file may ask for. A real state dict of a thousand tensors has a pickle of some 100 KB.
const (
	maxPickle    = 16 << 20 // bytes of a pickle
	maxOps       = 1 << 22  // operations in it
	maxStack     = 1 << 20  // values on its stack
	maxMarks     = 1 << 10  // marks on its stack: how deep unfinished values nest
	maxMemo      = 1 << 21  // values it remembers
	maxText      = 1 << 20  // bytes of a string
	maxLong      = 128      // bytes of an integer
	maxTensors   = 1 << 17  // tensors, and storages
	maxDims      = 64       // dimensions of a tensor, PyTorch's own bound
	maxInner     = 1 << 8   // bytes of the names of the dicts that a tensor is in
	maxDirectory = 16 << 20 // bytes of a zip file's directory

	// What a file's tensors take once read, values shared between names and repeated by strides counted each time, and compressed
	// storages too: growth times the file's size and some, so that a small file cannot ask for all memory.
	growth     = 64
	growthBase = 1 << 20
)

// storages are PyTorch's classes of storages, and the type of their values.
var storages = []struct {
	class string
	dtype safetensors.DType
}{
	{"torch.FloatStorage", "F32"},
	{"torch.HalfStorage", "F16"},
	{"torch.BFloat16Storage", "BF16"},
	{"torch.DoubleStorage", "F64"},
	{"torch.LongStorage", "I64"},
	{"torch.IntStorage", "I32"},
	{"torch.ShortStorage", "I16"},
	{"torch.CharStorage", "I8"},
	{"torch.ByteStorage", "U8"},
	{"torch.BoolStorage", "BOOL"},
	{"torch.storage.UntypedStorage", "U8"},
}

// dtypeOf is the type of the values of a storage of a class, "" if it is no class of storages.
func dtypeOf(class string) safetensors.DType {
	for _, s := range storages {
		if s.class == class {
			return s.dtype
		}
	}
	return ""
}

// File is an open state dict, memory-mapped where the system can.
type File struct {
	disk.Mapped
	tensors map[string]*tensor
	names   []string
}

// Open opens a file that torch.save wrote and reads which tensors it has: those of the dict that was saved, and of the dicts inside it
// under the names of both with a dot between, as "state_dict.pooler.weight". Entries that are no tensors are passed over, and so is what
// inner dicts have under keys that are no strings, as optimizers do. Names that end in LayerNorm.gamma and LayerNorm.beta, as in the first
// BERT files, are offered as LayerNorm.weight and LayerNorm.bias.
//
// The values themselves are looked at when a tensor is asked for: a checksum that a zip file has for them is compared then.
func Open(path string) (*File, error) { return disk.Open(path, parse) }

// Parse is Open for the bytes of a file.
func Parse(data []byte) (*File, error) { return parse(data) }

// parse reads the bytes of a file, which the tensors keep pointing to.
func parse(data []byte) (*File, error) {
	b := &builder{storages: map[string]*storage{}, limit: growthBase + growth*min(len(data), (math.MaxInt-growthBase)/growth)}
	var object any
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		object, err = readZip(data, b)
	case stream.IsTar(data):
		err = errors.New("a tar file, the form of PyTorch's first releases: load it in PyTorch and save it again")
	default:
		object, err = readLegacy(data, b)
	}
	if err != nil {
		return nil, err
	}
	top, ok := object.(*dict)
	if !ok {
		return nil, errors.New("what was saved is not a dict of tensors")
	}
	f := &File{tensors: map[string]*tensor{}}
	total, seen := 0, map[*dict]bool{}
	var add func(d *dict, before string) error // the tensors of a dict, a text before their names
	add = func(d *dict, before string) error {
		seen[d] = true
		for _, e := range d.entries {
			name, isName := e.key.(string)
			isName = isName && utf8.ValidString(name)
			if inner, ok := e.value.(*dict); ok && isName && !seen[inner] && len(before)+len(name) < maxInner {
				if err := add(inner, before+name+"."); err != nil {
					return err
				}
			}
			t, ok := e.value.(*tensor)
			if !ok || !isName && before != "" {
				continue
			}
			if !isName {
				return errors.New("a tensor's name is not a string of UTF-8")
			}
			name = modern(before + name)
			if f.tensors[name] != nil {
				return fmt.Errorf("tensor %s appears twice", safetensors.Quote(name))
			}
			if len(f.names) == maxTensors {
				return fmt.Errorf("more than %d tensors", maxTensors)
			}
			if total += t.bytes(); total > b.limit {
				return fmt.Errorf("tensor %s: with it the tensors take more than %d bytes, which a file of %d may not ask for",
					safetensors.Quote(name), b.limit, len(data))
			}
			f.tensors[name] = t
			f.names = append(f.names, name)
		}
		return nil
	}
	if err := add(top, ""); err != nil {
		return nil, err
	}
	if len(f.names) == 0 {
		return nil, errors.New("no tensors in it")
	}
	slices.Sort(f.names)
	return f, nil
}

// modern is the name that a tensor has today.
func modern(name string) string {
	for old, now := range map[string]string{"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"} {
		if rest, ok := strings.CutSuffix(name, old); ok {
			return rest + now
		}
	}
	return name
}

// Names lists the tensors in byte order.
func (f *File) Names() []string { return f.names }

// Tensor gives a tensor, its values in row-major order. They must not be changed: tensors that share a storage share them.
func (f *File) Tensor(name string) (safetensors.Tensor, error) {
	t := f.tensors[name]
	if t == nil {
		return safetensors.Tensor{}, fmt.Errorf("%s: no tensor %s", f.Path, safetensors.Quote(name))
	}
	data, err := t.data()
	if err != nil {
		return safetensors.Tensor{}, fmt.Errorf("%s: tensor %s: %w", f.Path, safetensors.Quote(name), err)
	}
	return safetensors.Tensor{Name: name, DType: t.of.dtype, Shape: t.shape, Data: data}, nil
}

// Float32 gives a tensor's values as float32: F32 as it is, F16 and BF16 exactly, F64 rounded. They must not be changed.
func (f *File) Float32(name string) ([]float32, []int, error) {
	return safetensors.Values(f, name, f.Path)
}
