package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Narrow gives a tensor of numbers as F32, F16 or BF16: each value as the nearest one of that type, of two the even one. rounded tells whether
// any value was changed. A finite value that is beyond the type's range is an error.
func (t Tensor) Narrow(to DType) (narrow Tensor, rounded bool, err error) {
	values, err := t.Float32()
	if err != nil {
		return Tensor{}, false, err
	}
	if to == "F32" {
		return Float32Tensor(t.Name, t.Shape, values), false, nil
	}
	bits, back := halfBits, half
	switch to {
	case "F16":
	case "BF16":
		bits, back = brainBits, func(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
	default:
		return Tensor{}, false, fmt.Errorf("dtype %s: want F32, F16 or BF16", to)
	}
	data := make([]byte, 2*len(values))
	for i, v := range values {
		b := bits(v)
		binary.LittleEndian.PutUint16(data[2*i:], b)
		if n := back(b); n != v && v == v {
			if math.IsInf(float64(n), 0) {
				return Tensor{}, false, fmt.Errorf("tensor %s: the value %v is beyond the range of %s", Quote(t.Name), v, to)
			}
			rounded = true
		}
	}
	return Tensor{Name: t.Name, DType: to, Shape: t.Shape, Data: data}, rounded, nil
}

// halfBits is the IEEE half-precision number nearest to a value.
func halfBits(v float32) uint16 {
	b := math.Float32bits(v)
	sign, exp, frac := uint16(b>>16&0x8000), int(b>>23&0xff)-127, b&(1<<23-1)
	var h, rest, middle uint32 // the number, what is cut off of it, and half of its last place
	switch {
	case exp == 128: // infinite, or no number
		if h = 0x7c00; frac != 0 {
			h |= 0x200 | frac>>13
		}
		return sign | uint16(h)
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14:
		h, rest, middle = uint32(exp+15)<<10|frac>>13, frac&(1<<13-1), 1<<12
	case exp >= -25: // subnormal: a multiple of 2^-24
		shift := uint(-exp - 1)
		frac |= 1 << 23
		h, rest, middle = frac>>shift, frac&(1<<shift-1), 1<<(shift-1)
	}
	if rest > middle || rest == middle && h&1 == 1 && rest > 0 {
		h++ // a carry goes into the exponent, as it should
	}
	return sign | uint16(h)
}

// brainBits is the bfloat16 number nearest to a value: the upper half of its bits.
func brainBits(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
