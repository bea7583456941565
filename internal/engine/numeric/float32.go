package numeric

import "math"

// FMA is x*y + z with one rounding, in float32.
//
// The product of two float32 is exact in float64. Adding z rounds once there and again on the way back, which is wrong only where
// the float64 sum lies exactly between two float32 values: then the part that the first rounding lost decides.
func FMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	c := float64(z)
	s := p + c
	b := math.Float64bits(s)
	// The lower 29 bits are what float32 drops. Only the pattern of a tie can be rounded wrongly, and below float32's normal range
	// fewer bits are kept, so that a tie may lie anywhere.
	if b&(1<<29-1) != 1<<28 && math.Abs(s) >= 0x1p-126 || math.IsInf(s, 0) || s != s {
		return float32(s)
	}
	// What the addition lost (Knuth's two-sum).
	t := s - p
	lost := (p - (s - t)) + (c - t)
	if lost != 0 && b&1 == 0 { // round to odd, so that the second rounding sees which side of the tie s is on
		if (lost > 0) == (s > 0) {
			b++
		} else {
			b--
		}
	}
	return float32(math.Float64frombits(b))
}

// Exp's constants. x = n ln 2 + r, |r| <= ln(2)/2. ln 2 is in two parts, the first with few enough bits that n times it is exact.
// Adding ExpRound leaves no places for a fraction: the sum's last bits are n.
const (
	ExpMin   = -87.3    // below it Exp is 0, so that softmax makes no subnormal numbers
	ExpMax   = 88.72283 // above it Exp is +Inf
	ExpRound = 3 << 22
	Log2E    = 1.44269504
	Ln2High  = 0.693359375
	Ln2Low   = -2.12194440e-4
)

// ExpPoly is the polynomial for e^r on |r| <= ln(2)/2, highest power first: that of Cephes' expf for (e^r - 1 - r)/r^2, then 1 and 1.
var ExpPoly = [8]float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1}

// Exp is e^x, within 0.9 ulp; exactly 0 below -87.3.
func Exp(x float32) float32 {
	if x < ExpMin {
		return 0
	}
	if x > ExpMax {
		return float32(math.Inf(1))
	}
	t := FMA(x, Log2E, ExpRound)
	n := t - ExpRound
	r := FMA(-n, Ln2High, x)
	r = FMA(-n, Ln2Low, r)
	y := ExpPoly[0]
	for _, c := range ExpPoly[1:] {
		y = FMA(y, r, c)
	}
	return math.Float32frombits(math.Float32bits(y) + math.Float32bits(t)<<23)
}

// TanhPoly are the coefficients of (tanh(x) - x)/x^3 in x^2 on |x| < 0.625, highest power first.
var TanhPoly = [5]float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}

// TanhSmall is where Tanh changes from the polynomial to 1 - 2/(e^2|x| + 1); TanhBig is where it is 1 in float32.
const (
	TanhSmall = 0.625
	TanhBig   = 10
)

// Tanh is the hyperbolic tangent, within 1.4 ulp.
func Tanh(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	s := float32(x * x)
	p := TanhPoly[0]
	for _, c := range TanhPoly[1:] {
		p = FMA(p, s, c)
	}
	y := FMA(float32(p*s), x, x)
	if a >= TanhSmall {
		y = 1 - 2/(Exp(2*min(a, TanhBig))+1)
		y = float32(math.Copysign(float64(y), float64(x)))
	}
	if x != x {
		return x
	}
	return y
}

// ErfP and ErfQ: erf(x) = x P(x^2)/Q(x^2) on |x| <= 4, highest power first. Beyond, it is 1 in float32.
var (
	ErfP = [7]float32{-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02}
	ErfQ = [5]float32{-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
		-1.42647390514189e-02}
)

// ErfMax is where Erf is cut.
const ErfMax = 4

// Erf is the error function, within 7.5 ulp (4.5e-7 near 4, 2e-7 below 3).
func Erf(x float32) float32 {
	if x != x {
		return x
	}
	x = max(min(x, ErfMax), -ErfMax)
	s := float32(x * x)
	p, q := ErfP[0], ErfQ[0]
	for _, c := range ErfP[1:] {
		p = FMA(p, s, c)
	}
	for _, c := range ErfQ[1:] {
		q = FMA(q, s, c)
	}
	return float32(x * (p / q))
}
