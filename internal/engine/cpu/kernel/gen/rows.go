package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func genElementwise() {
	begin("add", "(dst, a, b *float32, n int)")
	{
		dst, a, b, n := ptr("dst"), ptr("a"), ptr("b"), ptr("n")
		forGroups(n, func(l loop) { l.store(add(l.load(a), l.load(b)), dst) })
		end()
	}
	begin("scale", "(dst, a *float32, s float32, n int)")
	{
		dst, a, n := ptr("dst"), ptr("a"), ptr("n")
		s := splat("s")
		forGroups(n, func(l loop) { l.store(mul(s, l.load(a)), dst) })
		end()
	}
	begin("axpy", "(dst, a *float32, s float32, n int)")
	{
		dst, a, n := ptr("dst"), ptr("a"), ptr("n")
		s := splat("s")
		forGroups(n, func(l loop) {
			d := l.load(dst)
			fmaTo(d, s, l.load(a))
			l.store(d, dst)
		})
		end()
	}
	begin("finite", "(x *float32, n int) uint32")
	{
		x, n := ptr("x"), ptr("n")
		bad := zero()
		exponent := load(constantBits(0x7f800000))
		one := load(constantBits(1))
		forGroups(n, func(l loop) {
			v := and(l.load(x), exponent)
			// Infinity and NaN have every bit of the exponent.
			m := make(mask, len(v))
			for i := range v {
				if cur.bytes == 32 {
					r := YMM()
					VPCMPEQD(exponent[i], v[i], r)
					m[i] = r
				} else {
					k := K()
					VPCMPEQD(exponent[i], v[i], k)
					m[i] = k
				}
			}
			hit := keep(one, m)
			for i := range bad {
				if cur.bytes == 32 {
					VPOR(hit[i], bad[i], bad[i])
				} else {
					VPORD(hit[i], bad[i], bad[i])
				}
			}
		})
		x0 := tree(bad, VORPS)
		r := GP32()
		VMOVD(x0, r)
		Store(r, ReturnIndex(0))
		end()
	}
}

func genNorm() {
	begin("dot", "(a, b *float32, n int) float32")
	{
		a, b, n := ptr("a"), ptr("b"), ptr("n")
		s := zero()
		forGroups(n, func(l loop) { fmaTo(s, l.load(a), l.load(b)) })
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("norm", "(y, x, gamma, beta *float32, eps float32, n int, count float32) (mean, rstd float32)")
	{
		y, x, gamma, beta, n := ptr("y"), ptr("x"), ptr("gamma"), ptr("beta"), ptr("n")
		s := zero()
		forGroups(n, func(l loop) { addTo(s, l.load(x)) })
		m := tree(s, VADDPS)
		VDIVSS(param("count"), m, m)
		result(m, 0)
		mean := spread(m)
		q := zero()
		forGroups(n, func(l loop) {
			d := l.live(sub(l.load(x), mean))
			fmaTo(q, d, d)
		})
		v := tree(q, VADDPS)
		VDIVSS(param("count"), v, v)
		VADDSS(param("eps"), v, v)
		VSQRTSS(v, v, v)
		r := reciprocal(v)
		result(r, 1)
		rstd := spread(r)
		forGroups(n, func(l loop) {
			h := mul(sub(l.load(x), mean), rstd)
			l.store(fma(h, l.load(gamma), l.load(beta)), y)
		})
		end()
	}
	begin("normGrad", "(dx, dy, x, gamma *float32, mean, rstd float32, n int, count float32)")
	{
		dx, dy, x, gamma, n := ptr("dx"), ptr("dy"), ptr("x"), ptr("gamma"), ptr("n")
		mean, rstd := splat("mean"), splat("rstd")
		sg, sgh := zero(), zero()
		forGroups(n, func(l loop) {
			g := mul(l.load(dy), l.load(gamma)) // 0 beyond the end
			h := l.live(mul(sub(l.load(x), mean), rstd))
			addTo(sg, g)
			fmaTo(sgh, g, h)
		})
		tg, tgh := tree(sg, VADDPS), tree(sgh, VADDPS)
		VDIVSS(param("count"), tg, tg)
		VDIVSS(param("count"), tgh, tgh)
		a, b := spread(tg), spread(tgh)
		forGroups(n, func(l loop) {
			g := sub(mul(l.load(dy), l.load(gamma)), a)
			h := mul(sub(l.load(x), mean), rstd)
			fnmaTo(g, h, b)
			l.store(mul(rstd, g), dx)
		})
		end()
	}
	begin("normGradParams", "(dgamma, dbeta, dy, x *float32, mean, rstd float32, n int)")
	{
		dgamma, dbeta, dy, x, n := ptr("dgamma"), ptr("dbeta"), ptr("dy"), ptr("x"), ptr("n")
		mean, rstd := splat("mean"), splat("rstd")
		forGroups(n, func(l loop) {
			d := l.load(dy)
			h := mul(sub(l.load(x), mean), rstd)
			g := l.load(dgamma)
			fmaTo(g, d, h)
			l.store(g, dgamma)
			l.store(add(l.load(dbeta), d), dbeta)
		})
		end()
	}
}

const (
	expMin   = -87.3
	expMax   = 88.72283
	expRound = 3 << 22
	log2E    = 1.44269504
	ln2High  = 0.693359375
	ln2Low   = -2.12194440e-4
)

var expPoly = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1}

// exp is numeric.Exp within its limits.
func exp(x vec) vec {
	y, n := expParts(x)
	for i := range y {
		VPADDD(n[i], y[i], y[i])
	}
	return y
}

// expOrZero is numeric.Exp below its upper limit.
func expOrZero(x vec) vec {
	y, n := expParts(x)
	m := compare(cmpNLT, x, constant(expMin))
	for i := range y {
		if cur.bytes == 64 {
			VPADDD_Z(n[i], y[i], m[i], y[i])
		} else {
			VPADDD(n[i], y[i], y[i])
			VANDPS(m[i], y[i], y[i])
		}
	}
	return y
}

// expParts is e^r, and the n that has to be added to its exponent, in place.
func expParts(x vec) (y, n vec) {
	n = load(constant(log2E))
	mulAdd(n, x, constant(expRound))
	t := sub(n, constant(expRound))
	r := copyOf(x)
	fnmaTo(r, t, constant(ln2High))
	fnmaTo(r, t, constant(ln2Low))
	y = poly(r, expPoly)
	for i := range n {
		VPSLLD(U8(23), n[i], n[i])
	}
	return y, n
}

// maximum is the largest of n values at x, in all lanes.
func maximum(x, n reg.GPVirtual) vec {
	inf := constant(float32(math.Inf(-1)))
	groups := wide(4, 2)
	width = groups
	m := load(inf)
	width = 1
	forGroupsBy(groups, n, func(l loop) {
		v := l.load(x)
		if l.rest != nil {
			v = choose(l.rest, v, load(inf))
		}
		for i := range v {
			VMAXPS(m[i], v[i], m[i]) // v > m ? v : m
		}
	})
	for i := parts(); i < len(m); i++ {
		VMAXPS(m[i%parts()], m[i], m[i%parts()])
	}
	return spread(tree(m, VMAXPS))
}

// exponentials puts e^(scale*(x-max)) in place of n values at x, and gives their sum, by lanes. scale is a parameter.
func exponentials(x, n reg.GPVirtual) vec {
	m := maximum(x, n)
	scale := splat("scale")
	s := zero()
	forGroupsBy(wide(4, 1), n, func(l loop) {
		e := expOrZero(mul(sub(l.load(x), m), scale))
		l.store(e, x)
		addTo(s, l.live(e))
	})
	return s
}

func genSoftmax() {
	begin("softmax", "(x *float32, scale float32, n int)")
	{
		x, n := ptr("x"), ptr("n")
		r := spread(reciprocal(tree(exponentials(x, n), VADDPS)))
		forGroups(n, func(l loop) { l.store(mul(r, l.load(x)), x) })
		end()
	}
	begin("softmaxGrad", "(dp, p *float32, scale float32, n int)")
	{
		dp, p, n := ptr("dp"), ptr("p"), ptr("n")
		total := zero()
		forGroups(n, func(l loop) { fmaTo(total, l.load(dp), l.load(p)) })
		s := spread(tree(total, VADDPS))
		scale := splat("scale")
		forGroups(n, func(l loop) { l.store(mul(mul(l.load(p), sub(l.load(dp), s)), scale), dp) })
		end()
	}
	begin("max", "(x *float32, n int) float32")
	result(maximum(ptr("x"), ptr("n"))[0], 0)
	end()
	for _, store := range []bool{true, false} {
		name := "expSum"
		if store {
			name = "expStore"
		}
		// The sum of e^(x - m), which are stored in place or not.
		begin(name, "(x *float32, m float32, n int) float32")
		x, n := ptr("x"), ptr("n")
		m := splat("m")
		s := zero()
		forGroupsBy(wide(4, 1), n, func(l loop) {
			e := expOrZero(sub(l.load(x), m))
			if store {
				l.store(e, x)
			}
			addTo(s, l.live(e))
		})
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("first", "(x *float32, m float32, n int) int")
	{
		// The index of the first group of 16 that holds m; n if none does.
		x, n := ptr("x"), ptr("n")
		m := splat("m")
		found := GP64()
		XORQ(found, found)
		left := GP64()
		MOVQ(n, left)
		Label("look")
		SUBQ(U8(16), left)
		JLT(LabelRef("out"))
		hit := make(mask, parts())
		for i := range hit {
			hit[i] = compare(cmpEQ, vec{loadPart(Mem{Base: x, Disp: cur.bytes * i}, nil)}, m)[0]
		}
		bits := GP32()
		if cur.bytes == 32 {
			other := GP32()
			VMOVMSKPS(hit[0], bits)
			VMOVMSKPS(hit[1], other)
			ORL(other, bits)
		} else {
			KMOVW(hit[0], bits)
		}
		TESTL(bits, bits)
		JNE(LabelRef("out"))
		ADDQ(U8(group), x)
		ADDQ(U8(16), found)
		JMP(LabelRef("look"))
		Label("out")
		Store(found, ReturnIndex(0))
		end()
	}
}

func genOptimizer() {
	begin("adam", "(u, m, v, grad, w *float32, gscale, beta1, beta2, c1, c2, eps, decay float32, n int)")
	u, mp, vp, gp, wp, n := ptr("u"), ptr("m"), ptr("v"), ptr("grad"), ptr("w"), ptr("n")
	gscale, beta1, beta2 := splat("gscale"), splat("beta1"), splat("beta2")
	c1, c2, eps, decay := splat("c1"), splat("c2"), splat("eps"), splat("decay")
	one := func(l loop) {
		d := mul(l.load(gp), gscale)
		m := fma(l.load(mp), beta1, mul(c1, d))
		l.store(m, mp)
		v := fma(l.load(vp), beta2, mul(mul(c2, d), d))
		l.store(v, vp)
		for i := range v {
			VSQRTPS(v[i], v[i])
		}
		addTo(v, eps)
		q := div(m, v)
		fmaTo(q, l.load(wp), decay)
		l.store(q, u)
	}
	forGroups(n, one)
	end()
}
