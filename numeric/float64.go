package numeric

import "math"

// Log64 is the natural logarithm, within 2 ulp: x = 2^e m with m in [sqrt(1/2), sqrt 2), log m = 2 atanh((m-1)/(m+1)).
func Log64(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := math.Frexp(x) // m in [1/2, 1)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	f := (m - 1) / (m + 1)
	s := float64(f * f)
	p := 0.0
	for k := 25; k >= 3; k -= 2 {
		p = math.FMA(p, s, 1/float64(k))
	}
	// log m = 2f + 2f s p, the small part first.
	r := float64(float64(2*f)*s) * p
	const high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	n := float64(e)
	return math.FMA(n, high, 2*f+math.FMA(n, low, r))
}

// Exp64 is e^x, within 2 ulp.
func Exp64(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.2:
		return 0
	}
	const high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	n := math.RoundToEven(float64(x * (1 / math.Ln2)))
	r := math.FMA(-n, high, x)
	r = math.FMA(-n, low, r)
	p := 0.0
	for k := 14; k >= 1; k-- { // 1 + r/1 (1 + r/2 (1 + r/3 ...))
		p = math.FMA(float64(r/float64(k)), 1+p, 0)
	}
	return math.Ldexp(1+p, int(n))
}

// Pow64 is x^y for x > 0.
func Pow64(x, y float64) float64 {
	if y == 1 {
		return x
	}
	return Exp64(float64(y * Log64(x)))
}
