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

// FMAFlush is [FMA] as processors compute it with FTZ: a result that is below 2^-126 when it is rounded to 24 bits whatever its exponent is
// zero of its sign. Operands are not subnormal: [Flush] makes them so.
func FMAFlush(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	b := math.Float64bits(s)
	if e := b >> 52 & 0x7ff; e > 1023-126 && e < 0x7ff && b&(1<<29-1) != 1<<28 { // nothing to flush, and no tie
		return float32(s)
	}
	if math.Abs(s) >= 2*leastNormal || s == 0 || s != s {
		return FMA(x, y, z)
	}
	t := s - p
	lost := (p - (s - t)) + (c - t)
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
func AddFlush(x, y float32) float32 { return Flush(Flush(x) + Flush(y)) }

// Flush is zero of x's sign where x is subnormal, as DAZ makes an operand.
func Flush(x float32) float32 {
	if b := math.Float32bits(x); b&^signBit < 1<<23 {
		return math.Float32frombits(b & signBit)
	}
	return x
}
