package infer

import (
	"fmt"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
)

// Precision is that of matrix products.
type Precision string

// The precisions. "" is int8 for weights that are kept so, else fp32.
const (
	FP32 Precision = "fp32"
	Int8 Precision = "int8"
)

// Prepare makes a model ready to run in a precision and gives the device that does, a view of dev. In int8 its weights are quantised, if
// they are not yet, and those in float32 given up.
func Prepare(m *formats.Model, p Precision, dev *cpu.Device) (*cpu.Device, error) {
	products := m.Products()
	if p == "" && has(products) {
		p = Int8
	}
	switch p {
	case "", FP32:
		return dev, nil
	case Int8:
		if err := dev.Quantize(m.Params, products); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Weights, err)
		}
		return dev.Int8(), nil
	}
	return nil, fmt.Errorf("precision %q is not known: want %s or %s", p, FP32, Int8)
}

// has tells whether one of the weights is kept in int8.
func has(products []*ops.Param) bool {
	for _, p := range products {
		if p.Int8 != nil {
			return true
		}
	}
	return false
}
