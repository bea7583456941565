package pytorch

import (
	"errors"
	"fmt"
	"slices"

	"albert/internal/files/safetensors"
)

// builder makes tensors of what a pickle calls.
type builder struct {
	storages map[string]*storage
	tensors  int
	limit    int // bytes that a tensor, and all of them, may take
}

// storage is a row of values that tensors are views of.
type storage struct {
	key   string
	dtype safetensors.DType
	count int                    // values
	load  func() ([]byte, error) // gives the values' bytes; set by the container
}

// bytes is the size of the values.
func (s *storage) bytes() int { return s.count * s.dtype.Size() }

// view is a part of a storage, as a persistent id gives it.
type view struct {
	of           *storage
	begin, count int
}

// tensor is a view with a shape: element (i, j, ...) is value offset + i*stride[0] + j*stride[1] + ... of the storage.
type tensor struct {
	of            *storage
	offset        int
	shape, stride []int
	count         int // elements
}

// The functions that a pickle may call.
const (
	orderedDict      = "collections.OrderedDict"
	torchSize        = "torch.Size"
	rebuildTensor    = "torch._utils._rebuild_tensor_v2"
	rebuildParameter = "torch._utils._rebuild_parameter"
)

// allowed tells whether a global may be named in a pickle.
func allowed(name string) bool {
	return slices.Contains([]string{orderedDict, torchSize, rebuildTensor, rebuildParameter}, name) || dtypeOf(name) != ""
}

// call gives what an allowed function returns.
func (b *builder) call(fn global, args tuple) (any, error) {
	switch fn {
	case orderedDict:
		if len(args) == 0 {
			return &dict{}, nil
		}
		return pairs(args)
	case torchSize:
		if len(args) == 1 {
			if t, ok := args[0].(tuple); ok {
				return t, nil
			}
		}
	case rebuildTensor:
		return b.tensor(args)
	case rebuildParameter: // (data, requires_grad, backward_hooks)
		if len(args) == 3 {
			if t, ok := args[0].(*tensor); ok {
				return t, nil
			}
		}
	default:
		return nil, refuse("call " + string(fn))
	}
	return nil, fmt.Errorf("bad arguments for %s", fn)
}

// pairs makes a dict of [[key, value], ...], as Python 2 keeps an OrderedDict.
func pairs(args tuple) (any, error) {
	d := &dict{}
	items, ok := sequence(args[0])
	for _, item := range items {
		kv, pair := sequence(item)
		if !pair || len(kv) != 2 {
			ok = false
			break
		}
		d.entries = append(d.entries, entry{kv[0], kv[1]})
	}
	if !ok || len(args) != 1 {
		return nil, fmt.Errorf("bad arguments for %s", orderedDict)
	}
	return d, nil
}

// sequence gives the items of a tuple or list.
func sequence(v any) ([]any, bool) {
	switch v := v.(type) {
	case tuple:
		return v, true
	case *list:
		return v.items, true
	}
	return nil, false
}

// persistent gives the storage of ("storage", class, key, location, count), and in files before 1.6 a sixth item: nil, or
// (key, begin, count) for a part of it.
func (b *builder) persistent(id any) (any, error) {
	t, _ := id.(tuple)
	if len(t) > 0 && t[0] == any("module") {
		return nil, errors.New("a whole model, not its state dict: save model.state_dict() instead")
	}
	if len(t) != 5 && len(t) != 6 || t[0] != any("storage") {
		return nil, errors.New("a persistent id that is no storage")
	}
	class, _ := t[1].(global)
	key, isKey := t[2].(string)
	_, isLocation := t[3].(string)
	count, isCount := natural(t[4])
	if !isKey || !isLocation || !isCount {
		return nil, errors.New("a storage's key, location or length is negative or of the wrong type")
	}
	dtype := dtypeOf(string(class))
	if dtype == "" {
		return nil, fmt.Errorf("storage %s: %s is not a type of storage", safetensors.Quote(key), safetensors.Quote(string(class)))
	}
	if count > b.limit/dtype.Size() {
		return nil, fmt.Errorf("storage %s: %d values, which a file of this size cannot hold", safetensors.Quote(key), count)
	}
	s := b.storages[key]
	if s == nil {
		if len(b.storages) == maxTensors {
			return nil, fmt.Errorf("more than %d storages", maxTensors)
		}
		s = &storage{key: key, dtype: dtype, count: count}
		b.storages[key] = s
	}
	if s.dtype != dtype || s.count != count {
		return nil, fmt.Errorf("storage %s has two types or two lengths", safetensors.Quote(key))
	}
	if len(t) == 5 || t[5] == nil {
		return view{of: s, count: count}, nil
	}
	if part, _ := t[5].(tuple); len(part) == 3 {
		begin, ok := natural(part[1])
		n, also := natural(part[2])
		if ok && also && begin <= count && n <= count-begin {
			return view{of: s, begin: begin, count: n}, nil
		}
	}
	return nil, fmt.Errorf("storage %s: a part that is not inside it", safetensors.Quote(key))
}

// natural gives an integer that is not negative.
func natural(v any) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n >= 0 && int64(int(n)) == n
}

// naturals gives the integers of a shape or of strides.
func naturals(v any) ([]int, bool) {
	items, ok := v.(tuple)
	if !ok || len(items) > maxDims {
		return nil, false
	}
	out := make([]int, len(items))
	for i, item := range items {
		if out[i], ok = natural(item); !ok {
			return nil, false
		}
	}
	return out, true
}

// tensor checks (storage, offset, shape, stride, requires_grad, backward_hooks) and perhaps metadata.
func (b *builder) tensor(args tuple) (any, error) {
	if len(args) != 6 && len(args) != 7 {
		return nil, fmt.Errorf("bad arguments for %s", rebuildTensor)
	}
	if b.tensors++; b.tensors > maxTensors {
		return nil, fmt.Errorf("more than %d tensors", maxTensors)
	}
	v, isView := args[0].(view)
	offset, isOffset := natural(args[1])
	shape, isShape := naturals(args[2])
	stride, isStride := naturals(args[3])
	if !isView || !isOffset || !isShape || !isStride || len(shape) != len(stride) {
		return nil, errors.New("a tensor's storage, offset, shape or strides are negative or of the wrong type")
	}
	if len(args) == 7 && args[6] != nil {
		if d, ok := args[6].(*dict); !ok || len(d.entries) > 0 {
			return nil, errors.New("a tensor with metadata (a lazy conjugate or negative), which is not read")
		}
	}
	t := &tensor{of: v.of, shape: shape, stride: stride, count: 1}
	last, empty := offset, false // the highest value used
	for i, d := range shape {
		if d == 0 {
			empty = true
			continue
		}
		if t.count > b.limit/v.of.dtype.Size()/d {
			return nil, fmt.Errorf("a tensor of shape %v takes more than %d bytes, which a file of this size may not ask for", shape, b.limit)
		}
		t.count *= d
		if d > 1 && stride[i] > 0 {
			if stride[i] > v.count/(d-1) || last > v.count {
				last = v.count
				continue
			}
			last += (d - 1) * stride[i]
		}
	}
	if empty {
		t.count = 0
		return t, nil
	}
	if last >= v.count {
		return nil, fmt.Errorf("a tensor of shape %v and strides %v from %d on lies outside the %d values of storage %s",
			shape, stride, offset, v.count, safetensors.Quote(v.of.key))
	}
	t.offset = v.begin + offset
	return t, nil
}

// bytes is the size of the tensor's values.
func (t *tensor) bytes() int { return t.count * t.of.dtype.Size() }

// contiguous tells whether the elements in row-major order are consecutive values.
func (t *tensor) contiguous() bool {
	for i, stride := range strides(t.shape) {
		if t.shape[i] != 1 && t.stride[i] != stride {
			return false
		}
	}
	return true
}

// data gives the bytes of the elements in row-major order.
func (t *tensor) data() ([]byte, error) {
	values, err := t.of.load()
	if err != nil || t.count == 0 {
		return nil, err
	}
	size := t.of.dtype.Size()
	if t.contiguous() {
		return values[t.offset*size : (t.offset+t.count)*size : (t.offset+t.count)*size], nil
	}
	out := make([]byte, 0, t.bytes())
	index := make([]int, len(t.shape))
	for at := t.offset; ; {
		out = append(out, values[at*size:(at+1)*size]...)
		i := len(index) - 1
		for ; i >= 0; i-- { // the next index, as an odometer counts
			if index[i]++; index[i] < t.shape[i] {
				at += t.stride[i]
				break
			}
			at -= (t.shape[i] - 1) * t.stride[i]
			index[i] = 0
		}
		if i < 0 {
			return out, nil
		}
	}
}
