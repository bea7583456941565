package main

// The constants of kernel/generic.go and package numeric, which this module of its own cannot import.
const (
	geluC1     = -2 * 0.7978845608028654
	geluC3     = -2 * 0.7978845608028654 * 0.044715
	geluHigh   = 80
	geluLow    = -80
	invSqrt2   = 0.70710678118654752
	invSqrt2Pi = 0.39894228040143268
)

var (
	tanhPoly = []float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}
	erfP     = []float32{-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02}
	erfQ = []float32{-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
		-1.42647390514189e-02}
)

func poly(s vec, coefficients []float32) vec {
	p := load(constant(coefficients[0]))
	for _, c := range coefficients[1:] {
		mulAdd(p, s, constant(c))
	}
	return p
}

// geluExp is 1 + e^-2u, with the limits of kernel/generic.go.
func geluExp(x vec) vec {
	t := load(constant(geluC3))
	mulAdd(t, mul(x, x), constant(geluC1))
	e := mul(t, x)
	e = maxOf(load(constant(geluLow)), e) // the limit first, so that NaN stays
	e = exp(minOf(load(constant(geluHigh)), e))
	addTo(e, constant(1))
	return e
}

func erf(x vec) vec {
	x = minOf(load(constant(4)), x) // the limit first, so that NaN stays
	x = maxOf(load(constant(-4)), x)
	s := mul(x, x)
	return mul(x, div(poly(s, erfP), poly(s, erfQ)))
}

func tanh(x vec) vec {
	a := and(x, constantBits(0x7fffffff))
	s := mul(x, x)
	small := fma(mul(poly(s, tanhPoly), s), x, x)
	b := minOf(a, constant(10))
	e := exp(add(b, b))
	addTo(e, constant(1))
	big := sub(load(constant(1)), div(load(constant(2)), e))
	big = or(big, and(x, constantBits(0x80000000)))
	return choose(compare(cmpGE, a, constant(0.625)), big, small)
}

// source loads values, anew at each call: with AVX2 there are not the registers to keep them.
type source func() vec

func unary(name string, groups int, f func(x source) vec) {
	begin(name, "(y, x *float32, n int)")
	y, x, n := ptr("y"), ptr("x"), ptr("n")
	forGroupsBy(groups, n, func(l loop) { l.store(f(func() vec { return l.load(x) }), y) })
	end()
}

func gradient(name string, groups int, f func(dy, x source) vec) {
	begin(name, "(dx, dy, x *float32, n int)")
	dx, dy, x, n := ptr("dx"), ptr("dy"), ptr("x"), ptr("n")
	forGroupsBy(groups, n, func(l loop) {
		l.store(f(func() vec { return l.load(dy) }, func() vec { return l.load(x) }), dx)
	})
	end()
}

func genActivations() {
	unary("geluTanh", wide(4, 2), func(x source) vec {
		e := geluExp(x())
		return div(x(), e)
	})
	gradient("geluTanhGrad", wide(4, 1), func(dy, x source) vec {
		s := div(load(constant(1)), geluExp(x()))
		v := x()
		t := load(constant(-3 * geluC3))
		mulAdd(t, mul(v, v), constant(-geluC1))
		q := mul(mul(v, s), sub(load(constant(1)), s))
		mulAdd(q, t, s)
		return mul(dy(), q)
	})
	unary("geluErf", wide(4, 1), func(x source) vec {
		e := erf(mul(x(), constant(invSqrt2)))
		addTo(e, constant(1))
		return mul(mul(x(), constant(0.5)), e)
	})
	gradient("geluErfGrad", wide(4, 1), func(dy, x source) vec {
		c := erf(mul(x(), constant(invSqrt2)))
		addTo(c, constant(1))
		c = mul(c, constant(0.5))
		v := x()
		e := expOrZero(mul(mul(v, constant(-0.5)), v))
		mulAdd(e, mul(x(), constant(invSqrt2Pi)), c)
		return mul(dy(), e)
	})
	unary("relu", 1, func(x source) vec {
		v := x()
		return keep(v, compare(cmpGT, v, zero()))
	})
	gradient("reluGrad", 1, func(dy, x source) vec { return keep(dy(), compare(cmpGT, x(), zero())) })
	unary("tanh", wide(4, 1), func(x source) vec { return tanh(x()) })
	gradient("tanhGrad", 1, func(dy, y source) vec {
		t := load(constant(1))
		v := y()
		fnmaTo(t, v, v)
		return mul(dy(), t)
	})
}
