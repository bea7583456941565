package model

import (
	"fmt"
	"slices"
	"unsafe"

	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
)

// Products are the parameters that int8 holds as integers: the weights of matrix products, and the word table.
func (m *Model) Products() []*ops.Param {
	return slices.DeleteFunc(slices.Clone(m.Params.List), func(p *ops.Param) bool {
		return len(p.Shape) != 2 || p == m.Position || p == m.TokenType
	})
}

// LinearWeights are the weights that only products read: [Model.Products] but the word table.
func (m *Model) LinearWeights() []*ops.Param {
	return slices.DeleteFunc(m.Products(), func(p *ops.Param) bool { return p == m.Word })
}

// scaleSuffix follows an I8 tensor's name in that of its scales, one for each row.
const scaleSuffix = ".scale"

// readTensor reads a tensor: of I8 with scales both the integers and what they stand for.
func readTensor(f safetensors.Reader, name string) (values []float32, q *ops.Int8, shape []int, err error) {
	file, _ := f.(interface {
		Tensor(string) (safetensors.Tensor, error)
	})
	var t safetensors.Tensor
	if file != nil {
		if t, err = file.Tensor(name); err != nil {
			return nil, nil, nil, err
		}
	}
	if t.DType != "I8" {
		values, shape, err = f.Float32(name)
		return values, nil, shape, err
	}
	if !slices.Contains(f.Names(), name+scaleSuffix) {
		return nil, nil, nil, fmt.Errorf("tensor %s is I8 and has no scales: tensor %s is missing", safetensors.Quote(name), safetensors.Quote(name+scaleSuffix))
	}
	scale, _, err := f.Float32(name + scaleSuffix)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(t.Shape) != 2 || len(scale) != t.Shape[0] {
		return nil, nil, nil, fmt.Errorf("tensor %s has shape %v and %d scales, want a matrix and a scale for each row", safetensors.Quote(name), t.Shape, len(scale))
	}
	q = &ops.Int8{Data: slices.Clone(int8s(t.Data)), Scale: slices.Clone(scale)}
	for i, s := range scale {
		if !(s >= 0 && s < 3e38) {
			return nil, nil, nil, fmt.Errorf("tensor %s: scale %d is %v, want a finite number from 0", safetensors.Quote(name+scaleSuffix), i, s)
		}
	}
	if slices.Contains(q.Data, -128) {
		return nil, nil, nil, fmt.Errorf("tensor %s has a value of -128, want -127 to 127", safetensors.Quote(name))
	}
	return (&ops.Param{Shape: t.Shape, Int8: q}).Values(), q, t.Shape, nil
}

func int8s(b []byte) []int8 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(&b[0])), len(b))
}

// tensor is p's tensor on disk and, where p has int8 values only, its scales'.
func tensor(name string, p *ops.Param) []safetensors.Tensor {
	if p.Data != nil || p.Int8 == nil {
		return []safetensors.Tensor{safetensors.Float32Tensor(name, p.Shape, p.Values())}
	}
	q := p.Int8
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q.Data))), len(q.Data))
	return []safetensors.Tensor{{Name: name, DType: "I8", Shape: p.Shape, Data: data},
		safetensors.Float32Tensor(name+scaleSuffix, p.Shape[:1], q.Scale)}
}
