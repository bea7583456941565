package ops

import (
	"fmt"
	"slices"
)

// Param is one trainable tensor, named as in a Hugging Face checkpoint. Matrices are [out, in], row-major and contiguous.
type Param struct {
	Name  string
	Shape []int
	Data  []float32
	Int8  *Int8 // the values that products in int8 take; nil: none. Then Data may be nil. Both are where a device alone keeps a form of its own

	offset  int    // of its first value in a flat buffer of all parameters
	version uint64 // raised when Data changes, so that devices remake what they derived from it
}

// NewParam makes a zero parameter of the given shape.
func NewParam(name string, shape ...int) *Param {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &Param{Name: name, Shape: slices.Clone(shape), Data: make([]float32, n)}
}

// Rows is the first dimension.
func (p *Param) Rows() int { return p.Shape[0] }

// Cols is the length of a row: the second dimension of a matrix, 1 for a vector.
func (p *Param) Cols() int {
	if len(p.Shape) == 1 {
		return 1
	}
	return p.Shape[1]
}

// Version changes whenever the values may have changed.
func (p *Param) Version() uint64 { return p.version }

// Params is the ordered list of a model's distinct parameters. The order fixes the layout of gradients and optimizer state.
type Params struct {
	List []*Param
	size int
}

// NewParams lays out the given parameters one after another. A parameter or a name given twice is a bug.
func NewParams(list []*Param) *Params {
	ps := &Params{List: list}
	seen := make(map[string]bool, len(list))
	for _, p := range list {
		if seen[p.Name] {
			panic(fmt.Sprintf("ops: parameter %s listed twice", p.Name))
		}
		seen[p.Name] = true
		p.offset = ps.size
		ps.size += len(p.Data)
	}
	return ps
}

// Size is the number of values in all parameters.
func (ps *Params) Size() int { return ps.size }

// Offset is the index of p's first value in a flat buffer of Size values.
func (ps *Params) Offset(p *Param) int { return p.offset }

// Touch tells that values were changed in place.
func (ps *Params) Touch() {
	for _, p := range ps.List {
		p.version++
	}
}

// Grads is a gradient buffer for all parameters of a Params.
type Grads struct {
	flat []float32
}

// NewGrads makes a zero gradient buffer.
func NewGrads(ps *Params) *Grads { return &Grads{flat: make([]float32, ps.size)} }

// Flat is the whole buffer, parameters in the order of their Params.
func (g *Grads) Flat() []float32 { return g.flat }

// Of is the gradient of p, in p's shape.
func (g *Grads) Of(p *Param) []float32 { return g.flat[p.offset : p.offset+len(p.Data)] }

// Zero clears the buffer.
func (g *Grads) Zero() { clear(g.flat) }
