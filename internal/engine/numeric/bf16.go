package numeric

import "math"

const (
	signBit     = 1 << 31
	leastNormal = 0x1p-126
)

// BF16 rounds to bf16, the upper half of a float32, to nearest even. A subnormal number becomes zero of its sign.
func BF16(x float32) float32 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		return float32(math.NaN())
	case b&^signBit < 1<<23:
		return math.Float32frombits(b & signBit)
	}
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

// FMAFlush is [FMA] as processors compute it with FTZ and DAZ: subnormal operands are zeros of their sign, and so is a result that is below
// 2^-126 when it is rounded to 24 bits whatever its exponent.
func FMAFlush(x, y, z float32) float32 {
	x, y, z = flushed(x), flushed(y), flushed(z)
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if math.Abs(s) >= 2*leastNormal || s == 0 || s != s {
		return FMA(x, y, z)
	}
	t := s - p
	lost := (p - (s - t)) + (c - t)
	b := math.Float64bits(s)
	if lost != 0 && b&1 == 0 { // round to odd
		if (lost > 0) == (s > 0) {
			b++
		} else {
			b--
		}
	}
	const up = 1 << 100 // makes room for 24 bits
	r := float32(math.Float64frombits(b) * up)
	if r < 0 && r > -leastNormal*up || r >= 0 && r < leastNormal*up {
		return math.Float32frombits(math.Float32bits(r) & signBit)
	}
	return r / up
}

// AddFlush is x + y with FTZ and DAZ.
func AddFlush(x, y float32) float32 { return flushed(flushed(x) + flushed(y)) }

// flushed is zero of x's sign where x is subnormal.
func flushed(x float32) float32 {
	if b := math.Float32bits(x); b&^signBit < 1<<23 {
		return math.Float32frombits(b & signBit)
	}
	return x
}
