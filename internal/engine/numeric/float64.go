package numeric

import "math"

// ln 2 in two parts. The first ends in 32 zero bits, so that a binary exponent times it is exact.
const (
	ln2High64 = 6.93147180369123816490e-01
	ln2Low64  = 1.90821492927058770002e-10
)

// atanhTerms are 1/25, 1/23 ... 1/3: atanh(s)/s - 1 as a series in s^2. With |s| <= (sqrt 2 - 1)/(sqrt 2 + 1) = 0.172 the first term
// left out is below 2^-70.
var atanhTerms = [12]float64{1.0 / 25, 1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3}

// atanhSeries is the polynomial in z of the first n terms.
func atanhSeries(z float64, n int) float64 {
	p := atanhTerms[0]
	for _, c := range atanhTerms[1:n] {
		p = math.FMA(p, z, c)
	}
	return p
}

// split writes x as m 2^e with m in [sqrt(1/2), sqrt 2).
func split(x float64) (m float64, e int) {
	m, e = math.Frexp(x)
	if m < math.Sqrt2/2 {
		return 2 * m, e - 1
	}
	return m, e
}

// log1p is log(1+f) for f in [sqrt(1/2)-1, sqrt 2 - 1] plus n ln 2. With s = f/(2+f), log(1+f) = 2 atanh(s); written as
// f - (f^2/2 - s (f^2/2 + R)), where R = 2 (atanh(s)/s - 1), the rounding of s weighs little beside f, which is exact (the form of
// fdlibm's log).
func log1p(f, n float64) float64 {
	s := f / (2 + f)
	z := float64(s * s)
	h := float64(float64(0.5*f) * f)
	t := float64(s * (h + float64(float64(2*z)*atanhSeries(z, len(atanhTerms)))))
	return float64(n*ln2High64) - ((h - (t + float64(n*ln2Low64))) - f)
}

// Log64 is the natural logarithm, within 1 ulp.
func Log64(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := split(x)
	return log1p(m-1, float64(e))
}

// expTerms are 1/14!, 1/13! ... 1/2!: with |r| <= ln(2)/2 the first term left out is below 2^-63.
var expTerms = [13]float64{1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
	1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2}

// Exp64 is e^x, within 1 ulp.
func Exp64(x float64) float64 { return exp(x, 0) }

// exp is e^(x + low), low far smaller than x.
func exp(x, low float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.2:
		return 0
	}
	n := math.RoundToEven(float64(x * (1 / math.Ln2)))
	high := math.FMA(-n, ln2High64, x) // exact
	t := math.FMA(n, ln2Low64, -low)
	r := high - t
	lost := (high - r) - t
	p := expTerms[0]
	for _, c := range expTerms[1:] {
		p = math.FMA(p, r, c)
	}
	return math.Ldexp(1+(r+math.FMA(float64(r*r), p, lost)), int(n))
}

// Pow64 is x^y for x >= 0 (NaN below), within 1 ulp: the logarithm is carried in two parts, to some 2^-63 of itself.
func Pow64(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case y == 1:
		return x
	case x == 0 || x != x || x < 0 || math.IsInf(x, 0) || math.IsInf(y, 0) || y != y:
		return exp(y*Log64(x), 0)
	}
	m, e := split(x)
	f, n := m-1, float64(e)
	// Everything in two parts: s = f/(2+f); z = s^2; t = z/3 + z^2/5 ..., whose first term alone needs the second part; 2 s t.
	d := 2 + f
	dLow := f - (d - 2)
	s := f / d
	sLow := math.FMA(-s, dLow, math.FMA(-s, d, f)) / d
	z := float64(s * s)
	zLow := math.FMA(2*s, sLow, math.FMA(s, s, -z))
	const third = 1.0 / 3
	c, cLow := twoSum(third, float64(z*atanhSeries(z, len(atanhTerms)-1)))
	cLow += third / (1 << 54) // 1/3 ends in 0101...
	t := float64(z * c)
	tLow := math.FMA(zLow, c, math.FMA(z, cLow, math.FMA(z, c, -t)))
	u := float64(2 * s * t)
	uLow := math.FMA(2*s, tLow, math.FMA(2*sLow, t, math.FMA(2*s, t, -u)))
	// log x = n ln 2 + 2 s + 2 s t
	high, low1 := twoSum(float64(n*ln2High64), 2*s)
	high, low2 := twoSum(high, u)
	high, low := twoSum(high, math.FMA(n, ln2Low64, low1+low2+2*sLow+uLow))
	p := float64(y * high)
	return exp(p, math.FMA(y, low, math.FMA(y, high, -p)))
}

// twoSum is a + b and what the addition lost (Knuth).
func twoSum(a, b float64) (sum, lost float64) {
	sum = a + b
	t := sum - a
	return sum, (a - (sum - t)) + (b - t)
}
