package infer

import (
	"cmp"
	"fmt"
	"slices"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
)

// Precision is that of matrix products. "" is int8 for weights that are kept so, else fp32.
type Precision = cpu.Precision

// The precisions that have no rules.
const (
	FP32 = cpu.FP32
	Int8 = cpu.Int8
)

// Prepare makes a model ready to run in a precision and gives the device that does, a view of dev. In bf16 its values are checked; in int8
// its weights are quantised, if they are not yet, and those in float32 given up.
func Prepare(m *formats.Model, p Precision, dev *cpu.Device) (*cpu.Device, error) {
	switch p = precisionOf(m, p); p {
	case FP32:
		return dev, nil
	case cpu.BF16, cpu.BF16Tile, cpu.BF16Dot:
		if err := cpu.CheckBF16(m.Params); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Weights, err)
		}
		return dev.In(p)
	case Int8:
		if err := dev.Quantize(m.Params, m.Products()); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Weights, err)
		}
		return dev.Int8(), nil
	}
	return nil, fmt.Errorf("precision %q is not known: want %s, %s, %s, %s or %s", p, FP32, cpu.BF16, cpu.BF16Tile, cpu.BF16Dot, Int8)
}

// precisionOf is the precision that p means for a model.
func precisionOf(m *formats.Model, p Precision) Precision {
	if p == "" && slices.ContainsFunc(m.Products(), func(p *ops.Param) bool { return p.Int8 != nil }) {
		return Int8
	}
	return cmp.Or(p, FP32)
}
