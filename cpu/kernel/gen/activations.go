package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// The constants of kernel/generic.go.
const (
	geluC1     = -2 * 0.7978845608028654
	geluC3     = -2 * 0.7978845608028654 * 0.044715
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
		for i := range p {
			VFMADD213PS(constant(c), s[i], p[i])
		}
	}
	return p
}

// geluSigmoid is 1/(1 + e^-2u).
func geluSigmoid(x vec) vec {
	t := fma(load(constant(geluC3)), mul(x, x), constant(geluC1))
	e := exp(mul(t, x), true)
	addTo(e, constant(1))
	return div(load(constant(1)), e)
}

func erf(x vec) vec {
	x = binary(VMINPS, load(constant(4)), x)  // 4 < x ? 4 : x, so that NaN stays
	x = binary(VMAXPS, load(constant(-4)), x) // -4 > x ? -4 : x
	s := mul(x, x)
	return mul(x, div(poly(s, erfP), poly(s, erfQ)))
}

func tanh(x vec) vec {
	a := and(x, constantBits(0x7fffffff))
	s := mul(x, x)
	small := fma(mul(poly(s, tanhPoly), s), x, x)
	b := minOf(a, constant(10))
	e := exp(add(b, b), false)
	addTo(e, constant(1))
	big := sub(load(constant(1)), div(load(constant(2)), e))
	big = or(big, and(x, constantBits(0x80000000)))
	return choose(compare(cmpGE, a, constant(0.625)), big, small)
}

func unary(name string, f func(x vec) vec) {
	begin(name, "(y, x *float32, n int)")
	y, x, n := ptr("y"), ptr("x"), ptr("n")
	forGroups(n, func(l loop) { l.store(f(l.load(x)), y) })
	end()
}

func gradient(name string, f func(dy, x vec) vec) {
	begin(name, "(dx, dy, x *float32, n int)")
	dx, dy, x, n := ptr("dx"), ptr("dy"), ptr("x"), ptr("n")
	forGroups(n, func(l loop) { l.store(f(l.load(dy), l.load(x)), dx) })
	end()
}

func genActivations() {
	unary("geluTanh", func(x vec) vec { return mul(x, geluSigmoid(x)) })
	gradient("geluTanhGrad", func(dy, x vec) vec {
		s := geluSigmoid(x)
		t := fma(load(constant(-3*geluC3)), mul(x, x), constant(-geluC1))
		q := mul(mul(x, s), sub(load(constant(1)), s))
		return mul(dy, fma(q, t, s))
	})
	unary("geluErf", func(x vec) vec {
		e := erf(mul(x, constant(invSqrt2)))
		addTo(e, constant(1))
		return mul(mul(x, constant(0.5)), e)
	})
	gradient("geluErfGrad", func(dy, x vec) vec {
		c := erf(mul(x, constant(invSqrt2)))
		addTo(c, constant(1))
		c = mul(c, constant(0.5))
		e := exp(mul(mul(x, constant(-0.5)), x), false)
		return mul(dy, fma(mul(x, constant(invSqrt2Pi)), e, c))
	})
	unary("relu", func(x vec) vec { return keep(x, compare(cmpGT, x, zero())) })
	gradient("reluGrad", func(dy, x vec) vec { return keep(dy, compare(cmpGT, x, zero())) })
	unary("tanh", tanh)
	gradient("tanhGrad", func(dy, y vec) vec {
		t := load(constant(1))
		fnmaTo(t, y, y)
		return mul(dy, t)
	})
}

// philox leaves the four random words of 16 counters in c. Each round multiplies words 0 and 2, of even and odd lanes apart.
func genDropout() {
	for _, residual := range []bool{false, true} {
		name, signature := "dropout", "(y, x *float32, blocks int, drop uint32, scale float32, key *uint32, ctr *uint32)"
		if residual {
			name, signature = "dropoutAdd", "(y, x, res *float32, blocks int, drop uint32, scale float32, key *uint32, ctr *uint32)"
		}
		begin(name, signature)
		y, x, n := ptr("y"), ptr("x"), ptr("blocks")
		var offset = GP64()
		XORQ(offset, offset)
		res := x
		if residual {
			res = ptr("res")
		}
		key, ctr := ptr("key"), ptr("ctr")
		limit := Load(Param("drop"), GP32())
		// The counters of the first block's 16 values stand in memory: word 0 is their number, which grows by 16 a block.
		number := AllocLocal(group)
		iota := load(laneNumbers())
		for i := range iota {
			VMOVUPS(iota[i], number.Offset(i*cur.bytes))
		}
		Label("block")
		c := philox(number, key, ctr)
		for w := range 4 {
			m := aboveOrEqual(c[w], limit)
			for i := range c[w] {
				src := Mem{Base: x, Index: offset, Scale: 1, Disp: 64*w + cur.bytes*i}
				VMOVUPS(src, c[w][i])
			}
			v := keep(mul(c[w], splat("scale")), m)
			if residual {
				for i := range v {
					VADDPS(Mem{Base: res, Index: offset, Scale: 1, Disp: 64*w + cur.bytes*i}, v[i], v[i])
				}
			}
			for i := range v {
				VMOVUPS(v[i], Mem{Base: y, Index: offset, Scale: 1, Disp: 64*w + cur.bytes*i})
			}
		}
		ADDQ(imm(256), offset)
		for i := range parts() {
			r := register()
			VMOVUPS(number.Offset(i*cur.bytes), r)
			VPADDD(constantBits(16), r, r)
			VMOVUPS(r, number.Offset(i*cur.bytes))
		}
		DECQ(n)
		JNE(LabelRef("block"))
		end()
	}
}

var lanes Mem

func laneNumbers() Mem {
	if lanes.Symbol.Name == "" {
		lanes = GLOBL("lanes", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(uint32(i)))
		}
	}
	return lanes
}
