package numeric

import "math"

// pi/2 in three parts, 53 bits each.
const (
	halfPi1 = 0x1.921fb54442d18p+0
	halfPi2 = 0x1.1a62633145c07p-54
	halfPi3 = math.Pi/2 - halfPi1 - halfPi2
)

// maxAngle bounds Sin64 and Cos64: below it the multiple of pi/2 times each part is exact in two float64.
const maxAngle = 1 << 30

// reduce gives x - n pi/2 in two parts, at most pi/4, and the last two bits of n.
func reduce(x float64) (high, low float64, quadrant int) {
	n := math.RoundToEven(float64(x * (2 / math.Pi)))
	h := float64(n * halfPi1)
	l := math.FMA(n, halfPi1, -h)
	a, lost := twoSum(x-h, -l) // x - h is exact
	h = float64(n * halfPi2)
	l = math.FMA(n, halfPi2, -h)
	a, b := twoSum(a, -h)
	high, low = twoSum(a, (lost+b)-math.FMA(n, halfPi3, l))
	return high, low, int(int64(n) & 3)
}

// Series of (sin(r) - r)/r^3 and (cos(r) - 1 + r^2/2)/r^4 in r^2, highest power first. With |r| <= pi/4 the first terms left out are
// below 2^-62 of the result.
var (
	sinTerms = [8]float64{1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6}
	cosTerms = [7]float64{1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24}
)

func sinSeries(r, low float64) float64 {
	z := float64(r * r)
	p := sinTerms[0]
	for _, c := range sinTerms[1:] {
		p = math.FMA(p, z, c)
	}
	return r + math.FMA(float64(r*z), p, math.FMA(-low, float64(0.5*z), low))
}

func cosSeries(r, low float64) float64 {
	z := float64(r * r)
	p := cosTerms[0]
	for _, c := range cosTerms[1:] {
		p = math.FMA(p, z, c)
	}
	h := float64(0.5 * z)
	w := 1 - h
	return w + (((1 - w) - h) + math.FMA(float64(z*z), p, -float64(r*low)))
}

// Sin64 is the sine of an angle in radians, within 1 ulp for |x| <= 2^30; NaN beyond.
func Sin64(x float64) float64 {
	if !(math.Abs(x) <= maxAngle) {
		return math.NaN()
	}
	if x == 0 {
		return x
	}
	r, low, q := reduce(x)
	return quadrant(r, low, q)
}

// Cos64 is the cosine of an angle in radians, within 1 ulp for |x| <= 2^30; NaN beyond.
func Cos64(x float64) float64 {
	if !(math.Abs(x) <= maxAngle) {
		return math.NaN()
	}
	r, low, q := reduce(x)
	return quadrant(r, low, q+1)
}

// quadrant is sin(r + q pi/2).
func quadrant(r, low float64, q int) float64 {
	v := sinSeries(r, low)
	if q&1 == 1 {
		v = cosSeries(r, low)
	}
	if q&2 == 2 {
		return -v
	}
	return v
}
