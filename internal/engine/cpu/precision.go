package cpu

import (
	"fmt"
	"math"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// Precision is that of matrix products; docs/numerics.md has the rules of bf16 and int8.
type Precision string

// The precisions. BF16 is the one of the two rules that a CPU is fast at.
const (
	FP32     Precision = "fp32"
	BF16     Precision = "bf16"
	BF16Tile Precision = "bf16-tile"
	BF16Dot  Precision = "bf16-dot"
	Int8     Precision = "int8"
)

// rules are those of the precisions that need nothing of the weights.
var rules = map[Precision]kernel.Rule{"": kernel.FP32, FP32: kernel.FP32, BF16Tile: kernel.Tile, BF16Dot: kernel.Dot}

// Resolve gives a rule for BF16: the one that the device is fast at.
func (d *Device) Resolve(p Precision) Precision {
	if p == BF16 {
		return BF16 + "-" + Precision(d.k.BestRule().String())
	}
	return p
}

// In gives the same device, whose products are in fp32 or bf16, forward and back. It is closed with d.
func (d *Device) In(p Precision) (*Device, error) {
	r, ok := rules[d.Resolve(p)]
	if !ok {
		return nil, fmt.Errorf("precision %q is not known: want %s, %s, %s or %s", p, FP32, BF16, BF16Tile, BF16Dot)
	}
	return &Device{memory: d.memory, k: d.k.ForRule(r), pool: d.pool}, nil
}

// CheckBF16 gives an error that names a parameter with a value that is not finite in bf16.
func CheckBF16(all *ops.Params) error {
	for _, p := range all.List {
		for i, v := range p.Data {
			if !(math.Abs(float64(v)) < bf16Infinite) {
				return fmt.Errorf("tensor %s: value %d is %v, which bf16 cannot hold", p.Name, i, v)
			}
		}
	}
	return nil
}

// bf16Infinite is the least value that rounds to infinity.
const bf16Infinite = 0x1.ffp127
