package kernel

import (
	"math"
	"unsafe"

	"albert/internal/engine/numeric"
)

// generic is the plain Go set: the definition that the others are held to.
var generic = &Set{
	Name: "generic", MR: 4, NR: 16, halfMR: 4,
	tile: genericTile, packRows: genericPackRows, transpose: genericTranspose,
	Add: genericAdd, AddTo: func(dst, a []float32) { genericAdd(dst, dst, a) }, Scale: genericScale, Axpy: genericAxpy,
	LayerNorm: genericLayerNorm, LayerNormGrad: genericLayerNormGrad, LayerNormGradParams: genericLayerNormGradParams,
	Softmax: genericSoftmax, SoftmaxGrad: genericSoftmaxGrad,
	GeluTanh: genericGeluTanh, GeluErf: genericGeluErf, Relu: genericRelu, Tanh: genericTanh,
	GeluTanhGrad: genericGeluTanhGrad, GeluErfGrad: genericGeluErfGrad, ReluGrad: genericReluGrad, TanhGrad: genericTanhGrad,
	CrossEntropy: genericCrossEntropy, LogSumExp: genericLogSumExp,
	Dropout: genericDropout, DropoutAdd: genericDropoutAdd,
	Dot: genericDot, Max: numeric.LaneMax, SumSquares: numeric.SumSquares, Adam: genericAdam, Finite: genericFinite, PeakFMA: genericPeak,
	int8: genericInt8, rules: genericRules,
}

func genericTile(kc int, a *float32, lda int, b, c *float32, ldc, tiles, rows, cols int, bias *float32, init int, _, _ *float32) {
	const nr = 16
	lda, ldc = lda/4, ldc/4
	m := tiles * rows
	as := unsafe.Slice(a, (m-1)*lda+kc)
	bs := unsafe.Slice(b, kc*nr)
	cs := unsafe.Slice(c, (m-1)*ldc+cols)
	for r := range m {
		row := cs[r*ldc : r*ldc+cols]
		var acc [nr]float32
		switch Init(init) &^ flush {
		case Bias:
			copy(acc[:], unsafe.Slice(bias, nr))
		case Accumulate:
			copy(acc[:], row)
		}
		if Init(init)&flush != 0 {
			genericChainFlush(&acc, as[r*lda:r*lda+kc], bs)
			copy(row, acc[:])
			continue
		}
		for k, x := range as[r*lda : r*lda+kc] {
			for j, w := range bs[k*nr : k*nr+nr] {
				acc[j] = numeric.FMA(x, w, acc[j])
			}
		}
		copy(row, acc[:])
	}
}

func genericPackRows(dst, src []float32, ld, k int) {
	const nr = 16
	for i := range k {
		copy(dst[i*nr:(i+1)*nr], src[i*ld:])
	}
}

func genericTranspose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	for r := range rows {
		for c, v := range src[r*lds : r*lds+cols] {
			dst[c*ldd+r] = v
		}
	}
}

func genericAdd(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func genericScale(dst, a []float32, s float32) {
	for i := range dst {
		dst[i] = s * a[i]
	}
}

func genericAxpy(dst, a []float32, s float32) {
	for i := range dst {
		dst[i] = numeric.FMA(s, a[i], dst[i])
	}
}

func genericDot(a, b []float32) float32 {
	var l [numeric.Lanes]float32
	for i, v := range a {
		l[i%numeric.Lanes] = numeric.FMA(v, b[i], l[i%numeric.Lanes])
	}
	return numeric.Tree(&l)
}

func genericLayerNorm(y, x, gamma, beta []float32, eps float32) (mean, rstd float32) {
	n := float32(len(x))
	mean = numeric.LaneSum(x) / n
	var l [numeric.Lanes]float32
	for i, v := range x {
		d := v - mean
		l[i%numeric.Lanes] = numeric.FMA(d, d, l[i%numeric.Lanes])
	}
	rstd = 1 / sqrt(numeric.Tree(&l)/n+eps)
	for i, v := range x {
		y[i] = numeric.FMA(float32((v-mean)*rstd), gamma[i], beta[i])
	}
	return mean, rstd
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func genericLayerNormGrad(dx, dy, x, gamma []float32, mean, rstd float32) {
	n := float32(len(x))
	var sg, sgh [numeric.Lanes]float32
	for i, v := range x {
		j := i % numeric.Lanes
		g := float32(dy[i] * gamma[i])
		sg[j] += g
		sgh[j] = numeric.FMA(g, float32((v-mean)*rstd), sgh[j])
	}
	a, b := numeric.Tree(&sg)/n, numeric.Tree(&sgh)/n
	for i, v := range x {
		g := float32(dy[i]*gamma[i]) - a
		dx[i] = rstd * numeric.FMA(-float32((v-mean)*rstd), b, g)
	}
}

func genericLayerNormGradParams(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	for i := range dgamma {
		dgamma[i] = numeric.FMA(dy[i], float32((x[i]-mean)*rstd), dgamma[i])
		dbeta[i] += dy[i]
	}
}

func genericSoftmax(x []float32, scale float32) {
	m := numeric.LaneMax(x)
	var l [numeric.Lanes]float32
	for i, v := range x {
		e := numeric.Exp(float32((v - m) * scale))
		x[i] = e
		l[i%numeric.Lanes] += e
	}
	r := 1 / numeric.Tree(&l)
	for i := range x {
		x[i] *= r
	}
}

func genericSoftmaxGrad(dp, p []float32, scale float32) {
	var l [numeric.Lanes]float32
	for i, v := range p {
		l[i%numeric.Lanes] = numeric.FMA(dp[i], v, l[i%numeric.Lanes])
	}
	s := numeric.Tree(&l)
	for i, v := range p {
		dp[i] = float32(v*(dp[i]-s)) * scale
	}
}

// The tanh form of GELU is x/(1 + e^-2u) with u = sqrt(2/pi)(x + 0.044715 x^3): constants of -2u/x in x^2. Where |2u| is so large that
// a float32 does not tell the result from x or 0 the exponent is cut, which spares the exponential its limits.
const (
	geluC1   = -2 * 0.7978845608028654
	geluC3   = -2 * 0.7978845608028654 * 0.044715
	geluHigh = 80
	geluLow  = -80
)

// geluExp is 1 + e^-2u.
func geluExp(x float32) float32 {
	e := float32(numeric.FMA(geluC3, float32(x*x), geluC1) * x)
	if e < geluLow {
		e = geluLow
	}
	if e > geluHigh {
		e = geluHigh
	}
	return 1 + numeric.Exp(e)
}

func genericGeluTanh(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] = v / geluExp(v)
	}
}

// The derivative is s + x s (1-s) 2u', with s = 1/(1 + e^-2u) and 2u' = sqrt(8/pi)(1 + 3 * 0.044715 x^2).
func genericGeluTanhGrad(dx, dy, x []float32) {
	for i, v := range x[:len(dx)] {
		s := 1 / geluExp(v)
		t := numeric.FMA(-3*geluC3, float32(v*v), -geluC1)
		q := float32(float32(v*s) * (1 - s))
		dx[i] = dy[i] * numeric.FMA(q, t, s)
	}
}

const (
	invSqrt2   = 0.70710678118654752
	invSqrt2Pi = 0.39894228040143268
)

func genericGeluErf(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] = float32(0.5*v) * (1 + numeric.Erf(float32(v*invSqrt2)))
	}
}

// The derivative is (1 + erf(x/sqrt 2))/2 + x e^(-x^2/2)/sqrt(2 pi).
func genericGeluErfGrad(dx, dy, x []float32) {
	for i, v := range x[:len(dx)] {
		c := 0.5 * (1 + numeric.Erf(float32(v*invSqrt2)))
		e := numeric.Exp(float32(float32(-0.5*v) * v))
		dx[i] = dy[i] * numeric.FMA(float32(v*invSqrt2Pi), e, c)
	}
}

func genericRelu(y, x []float32) {
	for i, v := range x[:len(y)] {
		if v > 0 {
			y[i] = v
		} else {
			y[i] = 0
		}
	}
}

func genericReluGrad(dx, dy, x []float32) {
	for i, v := range x[:len(dx)] {
		if v > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}

func genericTanh(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] = numeric.Tanh(v)
	}
}

func genericTanhGrad(dx, dy, y []float32) {
	for i, v := range y[:len(dx)] {
		dx[i] = dy[i] * numeric.FMA(-v, v, 1)
	}
}

// logSumExp finds the maximum, the first place where it stands, and the sum of e^(x - max).
func logSumExp(x []float32) (m, sum float32, argmax int) {
	m = numeric.LaneMax(x)
	var l [numeric.Lanes]float32
	for i, v := range x {
		l[i%numeric.Lanes] += numeric.Exp(v - m)
	}
	return m, numeric.Tree(&l), firstOf(x, m)
}

// firstOf is the first place of m in x, 0 if it is nowhere (NaN).
func firstOf(x []float32, m float32) int {
	for i, v := range x {
		if v == m {
			return i
		}
	}
	return 0
}

func genericLogSumExp(x []float32, target int) (loss float32, argmax int) {
	m, sum, argmax := logSumExp(x)
	return lossOf(m, sum, x[target]), argmax
}

// lossOf is log(sum) + max - target, the logarithm in float64.
func lossOf(m, sum, target float32) float32 {
	return float32(numeric.Log64(float64(sum)) + (float64(m) - float64(target)))
}

func genericCrossEntropy(x []float32, target int, scale float32) (loss float32, argmax int) {
	m, sum, argmax := logSumExp(x)
	loss = lossOf(m, sum, x[target])
	r := scale / sum
	for i, v := range x {
		x[i] = numeric.Exp(v-m) * r
	}
	x[target] -= scale
	return loss, argmax
}

func genericDropout(y, x []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32) {
	dropout(y, x, nil, drop, scale, key, ctr)
}

func genericDropoutAdd(y, x, res []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32) {
	dropout(y, x, res, drop, scale, key, ctr)
}

// dropout is Dropout, or DropoutAdd with res.
func dropout(y, x, res []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32) {
	for block := 0; block < len(y); block += 64 {
		for j := range min(16, len(y)-block) {
			w := numeric.Philox(key, [4]uint32{uint32(block/4 + j), ctr[0], ctr[1], ctr[2]})
			for i := range 4 {
				e := block + 16*i + j
				if e >= len(y) {
					break
				}
				v := float32(0)
				if w[i] >= drop {
					v = float32(x[e] * scale)
				}
				if res != nil {
					v += res[e]
				}
				y[e] = v
			}
		}
	}
}

func genericAdam(u, m, v, g, w []float32, gscale float32, beta1, beta2 float64, eps, decay float32) {
	b1, b2, c1, c2 := float32(beta1), float32(beta2), float32(1-beta1), float32(1-beta2)
	for i := range u {
		d := float32(g[i] * gscale)
		m[i] = numeric.FMA(b1, m[i], float32(c1*d))
		v[i] = numeric.FMA(b2, v[i], float32(float32(c2*d)*d))
		u[i] = numeric.FMA(decay, w[i], m[i]/(sqrt(v[i])+eps))
	}
}

func genericFinite(x []float32) bool {
	const exponent = 0x7f800000
	for _, v := range x {
		if math.Float32bits(v)&exponent == exponent {
			return false
		}
	}
	return true
}

func genericPeak(n int) int {
	var acc [8]float32
	for i := range acc {
		acc[i] = 1 + float32(i)/8
	}
	for range n {
		for i := range acc {
			acc[i] = numeric.FMA(acc[i], 0.9999, 0.0001)
		}
	}
	sink = acc[0]
	return n * 2 * len(acc)
}

var sink float32
